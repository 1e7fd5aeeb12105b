import assert from 'node:assert/strict';
import { test } from 'node:test';

import { follow } from './mend.js';
import { FakeModel } from './stage.js';

const followed = (view, news) => {
  const model = new FakeModel(view);
  model.state.news = news;
  follow(model);
  return model;
};
const ended = (of, ended) => ({ of, n: of + 1, set: { ended } });

test('news makes the next view of the one it is about', () => {
  const model = followed({ n: 4, ended: 1, rows: [{ key: 'a', since: 1 }, { key: 'b' }, { key: 'c' }] });
  model.say('news', { of: 4, n: 5, set: { ended: 2 }, rows: { rows: [[1, 3], [0, { clock: '2 s' }, ['since']], [{ key: 'd' }]] } });
  assert.deepEqual(model.get('view'), { n: 5, ended: 2, rows: [{ key: 'b' }, { key: 'c' }, { key: 'a', clock: '2 s' }, { key: 'd' }] });
  model.say('news', { of: 5, n: 6, rows: { rows: [[0, 1]] }, gone: ['ended'] });
  assert.deepEqual(model.get('view'), { n: 6, rows: [{ key: 'b' }] });
  assert.deepEqual(model.sent, []);
});

test('a page that has missed something asks once for the whole and goes on from it', () => {
  const model = followed({ n: 4, ended: 1 }, ended(6, 3));
  assert.deepEqual(model.sent, [{ do: 'whole' }]);
  model.say('news', ended(7, 4));
  assert.equal(model.sent.length, 1);
  model.say('news', ended(9, 6));
  model.say('view', { n: 9, ended: 5 }); // the whole came after what is new in it
  assert.deepEqual(model.get('view'), { n: 10, ended: 6 });
});

test('a page that comes later, or a second view, takes nothing twice', () => {
  const model = followed({ n: 5, ended: 2 }, ended(4, 2));
  follow(model);
  model.say('news', ended(5, 3));
  assert.deepEqual(model.get('view'), { n: 6, ended: 3 });
  assert.deepEqual(model.sent, []);
});

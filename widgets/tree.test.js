import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { FakeModel, draw, leave, place, stage } from './stage.js';

const AT = Date.parse('2026-11-21T13:33:21Z');

const row = (key, name, status, last, more = {}) => ({ key, name, status, last, ...more });
const view = (rows, more = {}) => ({
  run_id: 'run_1', task: 'nightly', status: 'EXECUTING', word: 'Executing', total: 213, counts: [['COMPLETED', 149], ['FAILED', 3]], ended: 71,
  rows, as_of: '2026-11-21T13:33:21Z', as_of_text: 'Sat 21 Nov 2026, 14:33:21', zone: 'Europe/Berlin', ...more,
});
const ROWS = [
  row('run_1', 'nightly', 'EXECUTING', [], { twist: 'open', since: '2026-11-21T13:31:07Z' }),
  row('run_a', 'load', 'COMPLETED', [false], { clock: '00:38', begin: 1, end: 16 }),
  row('g', 'embed × 200', 'EXECUTING', [false], { twist: 'closed', counts: [['COMPLETED', 197], ['FAILED', 3]] }),
  row('run_b', 'mail', 'QUEUED', [true], { note: 'queue mail: 1 of 1 running' }),
];

stage('./tree.js');

const shown = (rows = ROWS, more = {}) => {
  const model = new FakeModel(view(rows, more));
  return draw(model);
};
const items = () => [...place.querySelectorAll('[role=treeitem]')];
const press = (key) => {
  const Keyboard = document.defaultView.KeyboardEvent;
  place.querySelector('[role=tree]').dispatchEvent(new Keyboard('keydown', { key, bubbles: true, cancelable: true }));
};
const selected = () => items().filter((item) => item.getAttribute('aria-selected') === 'true').map((item) => item.dataset.key);

test('the head names the total and the rows what, in which status, since when', () => {
  shown();
  assert.match(place.querySelector('.totals').textContent, /^213 runs149 completed3 failed71 % ended$/);
  assert.deepEqual(items().map((item) => item.getAttribute('aria-level')), ['1', '2', '2', '2']);
  assert.equal(items()[0].querySelector('.num').textContent, '02:14');
  assert.equal(items()[3].querySelector('.dim').textContent, 'queue mail: 1 of 1 running');
  mock.timers.tick(2000);
  assert.equal(items()[0].querySelector('.num').textContent, '02:16');
});

test('one row is in the tab order and arrows move it', () => {
  shown();
  assert.deepEqual(items().map((item) => item.tabIndex), [0, -1, -1, -1]);
  press('ArrowDown');
  press('ArrowDown');
  assert.deepEqual(selected(), ['g']);
  press('ArrowLeft');
  assert.deepEqual(selected(), ['run_1']);
  press('End');
  assert.deepEqual(selected(), ['run_b']);
});

test('opening and closing is asked of the kernel', () => {
  const model = shown();
  press('ArrowLeft');
  press('ArrowDown');
  press('ArrowDown');
  press('ArrowRight');
  press('*');
  assert.deepEqual(model.sent, [{ do: 'close', keys: ['run_1'] }, { do: 'open', keys: ['g'] }, { do: 'open', keys: ['g'] }]);
});

test('f opens the group that hides a failure, and finds it when it comes', () => {
  const model = shown();
  press('f');
  assert.deepEqual(model.sent, [{ do: 'open', keys: ['g'] }]);
  const more = [...ROWS.slice(0, 2), { ...ROWS[2], twist: 'open' }, row('run_f', '#17', 'FAILED', [false, false]), ROWS[3]];
  model.say('view', view(more));
  assert.deepEqual(selected(), ['run_f']);
});

test('f opens a closed group that is selected itself', () => {
  const model = shown();
  press('ArrowDown');
  press('ArrowDown');
  press('f');
  assert.deepEqual(model.sent, [{ do: 'open', keys: ['g'] }]);
});

test('a row keeps its element while it stays, and focus with it', () => {
  const model = shown();
  press('ArrowDown');
  const before = items()[1];
  model.say('view', view([ROWS[0], { ...ROWS[1], clock: '00:39' }, ROWS[3]]));
  assert.equal(items()[1], before);
  assert.equal(document.activeElement, before);
  assert.equal(before.querySelector('.num').textContent, '00:39');
});

test('a hostile name is text', () => {
  shown([row('run_1', '<img src=x onerror=alert(1)>', 'EXECUTING', [])]);
  assert.equal(place.querySelector('img'), null);
  assert.match(place.querySelector('.why').textContent, /No child runs so far/);
});

test('cancel is sent once and silence is told', () => {
  const model = shown();
  place.querySelector('[aria-label^=Cancel]').click();
  place.querySelector('[aria-label^=Cancel]').click();
  assert.deepEqual(model.sent, [{ do: 'cancel' }]);
  mock.timers.tick(7000);
  assert.match(place.querySelector('.strip').textContent, /No word from the notebook's kernel/);
  model.say('link', { state: 'silent', since: AT });
  assert.match(place.querySelector('.strip').textContent, /No word from the engine/);
});

test('Enter asks for the card of a run and opens a group, and the timeline is asked for once', () => {
  const model = shown([ROWS[0], ROWS[2]]);
  press('Enter');
  press('ArrowDown');
  press('Enter');
  const button = [...place.querySelectorAll('.btn')].find((one) => one.textContent === 'Timeline');
  button.click();
  button.click();
  assert.deepEqual(model.sent, [{ do: 'card', id: 'run_1' }, { do: 'open', keys: ['g'] }, { do: 'timeline' }]);
});

test('nothing is left behind', () => {
  const model = shown();
  leave();
  assert.equal(model.listeners, 0);
});

test('many rows are drawn those in sight first, the rest in small goes, and one that stays is not touched', async () => {
  const leaves = (count) => Array.from({ length: count }, (_, n) => row(`run_${n}`, `#${n}`, 'COMPLETED', [n === count - 1], { clock: '00:01' }));
  const top = row('top', 'nightly', 'EXECUTING', [], { twist: 'open' });
  const model = shown([top, ...leaves(200)]);
  assert.equal(items().length, 201);
  assert.equal(items()[10].querySelector('.name').textContent, '#9');
  assert.equal(items()[200].childElementCount, 0);
  while (!items()[200].childElementCount) await new Promise((resolve) => setImmediate(resolve));
  const [first, kept] = [items()[0], items()[150]];
  first.focus();
  const moved = [];
  place.querySelector('[role=tree]').insertBefore = (child, before) => { moved.push(child.dataset.key); return Node.prototype.insertBefore.call(place.querySelector('[role=tree]'), child, before); };
  model.say('view', view([top, row('early', 'load', 'COMPLETED', [false]), ...leaves(150)]));
  assert.deepEqual(moved, ['early']);
  assert.equal(items().length, 152);
  assert.ok(items()[0] === first && document.activeElement === first && items()[151] === kept);
});

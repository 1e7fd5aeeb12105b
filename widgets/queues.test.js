import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { FakeModel, draw, leave, place, stage } from './stage.js';

const row = (id, more = {}) => ({ id, name: id, state: 'open', slots: '1 of 4', running: 1, limit: 4, current: more.limit ?? 4, queued: '0', rate: '–', keys: '–', ...more });
const view = (rows, more = {}) => ({ title: `${rows.length} queues`, rows, as_of: '2026-11-21T13:33:21Z', as_of_text: 'Sat 21 Nov 2026, 14:33:21', zone: 'Europe/Berlin', ...more });
const ROWS = [
  row('images', { queued: '17', oldest: '2026-11-21T13:32:33Z', slots: '4 of 4', running: 4, state: 'full' }),
  row('crm', { limit: null, slots: '9, 3 a key', running: 9, keys: '4' }),
  { name: 'customer_17', is_key: true, slots: '3 of 3', running: 3, limit: 3, queued: '52' },
  row('gpu', { state: 'paused', slots: '0 of 1', running: 0, limit: 1, by_hand: '2' }),
];

stage('./queues.js');

const shown = (rows = ROWS, more = {}) => {
  const model = new FakeModel(view(rows, more));
  return draw(model);
};
const lines = () => [...place.querySelectorAll('tbody tr')];
const named = (label) => place.querySelector(`[aria-label="${label}"]`);

test('each queue is a row with its slots, and the age of its oldest run ticks', () => {
  shown();
  assert.deepEqual(lines().map((line) => line.dataset.key.trim()), ['images', 'crm', 'gpu']);
  assert.equal(lines()[0].querySelectorAll('.boxes .on').length, 4);
  assert.equal(lines()[0].querySelector('[data-since]').textContent, '00:48');
  mock.timers.tick(2000);
  assert.equal(lines()[0].querySelector('[data-since]').textContent, '00:50');
  assert.match(lines()[2].textContent, /paused/);
});

test('keys open below their queue', () => {
  shown();
  named('4 keys of crm').click();
  assert.equal(lines().length, 4);
  assert.match(lines()[2].textContent, /customer_17.*3 of 3.*52/);
  named('4 keys of crm').click();
  assert.equal(lines().length, 3);
});

test('a click is sent once, the same one waits for its answer, and a refusal is told', () => {
  const model = shown();
  named('Pause images').click();
  assert.deepEqual(model.sent, [{ do: 'pause', id: 'images', n: 1 }]);
  named('Pause images').click();
  assert.equal(model.sent.length, 1);
  model.say('view', view(ROWS, { answer: { to: 1, ok: false, text: 'There is no queue images.' } }));
  assert.equal(place.querySelector('[role=alert]').textContent, 'There is no queue images.');
  named('Pause images').click();
  assert.equal(model.sent.length, 2);
});

test('the limit is edited below, and brought back', () => {
  const model = shown();
  named('Change the limit of gpu: 0 of 1').click();
  const field = named('Limit of gpu');
  assert.equal(field.value, '1');
  field.value = '3';
  place.querySelector('form').dispatchEvent(new document.defaultView.Event('submit', { cancelable: true }));
  assert.deepEqual(model.sent, [{ do: 'limit', id: 'gpu', limit: 3, n: 1 }]);
  model.say('view', view(ROWS, { answer: { to: 1, ok: true, text: '' } }));
  place.querySelector('[data-act=reset]').click();
  assert.deepEqual(model.sent[1], { do: 'reset', id: 'gpu', n: 2 });
});

test('a silent engine stops clocks and clicks; the panel says that it is looked at', () => {
  const model = shown();
  mock.timers.tick(7000);
  assert.match(place.querySelector('.strip').textContent, /No word from the notebook's kernel/);
  assert.equal(named('Pause images').getAttribute('aria-disabled'), 'true');
  assert.equal(lines()[0].querySelector('[data-since]').textContent, '00:48');
  mock.timers.tick(20_000);
  assert.deepEqual(model.sent, [{ do: 'here' }]);
});

test('names are text, none is a sentence, and nothing is left behind', () => {
  const model = shown([row('<img src=x onerror=alert(1)>')]);
  assert.equal(place.querySelector('img'), null);
  model.say('view', view([]));
  assert.match(place.querySelector('.why').textContent + place.textContent, /No queues so far/);
  leave();
  assert.equal(model.listeners, 0);
});

import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { FakeModel, draw, leave, place, stage } from './stage.js';

const row = (id, status, more = {}) => ({ id, task: 'resize-image', status, word: status.toLowerCase(), created: '14:33:09', created_full: 'Sat', queue: 'images', ...more });
const ROWS = [
  row('run_d', 'QUEUED', { can_cancel: true, tag: 'user_1' }),
  row('run_c', 'EXECUTING', { can_cancel: true, since: '2026-11-21T13:31:07Z', attempts: 1 }),
  row('run_b', 'FAILED', { clock: '01:07', bar: 12 }),
  row('run_a', 'COMPLETED', { clock: '00:07', bar: 6 }),
];
const chips = (on) => ['QUEUED', 'EXECUTING', 'WAITING', 'COMPLETED', 'FAILED'].map((status) => ({ status, word: status, count: '1', on: status === on }));
const view = (more = {}) => ({
  rows: ROWS, total: 37, total_text: '37 match', chips: chips(), more: [{ status: 'CRASHED', word: 'Crashed', count: '0' }], periods: ['All time', 'Last hour'], tasks: ['resize-image'],
  place: '1 – 4 of 37', older: true, cancelable: 12, live: true, as_of: '2026-11-21T13:33:21Z', as_of_text: 'Sat 21 Nov 2026, 14:33:21', zone: 'Europe/Berlin', ...more,
});

stage('./table.js', { timers: ['Date', 'setInterval', 'setTimeout'] });

const shown = (more = {}) => {
  const model = new FakeModel(view(more));
  return draw(model);
};
const rows = () => [...place.querySelectorAll('tbody tr')];
const press = (key, more = {}) => {
  const Keyboard = document.defaultView.KeyboardEvent;
  rows().find((one) => one.tabIndex === 0).dispatchEvent(new Keyboard('keydown', { key, bubbles: true, cancelable: true, ...more }));
};
const button = (text) => [...place.querySelectorAll('button')].find((one) => one.textContent.trim() === text);
const chosen = () => rows().filter((one) => one.getAttribute('aria-selected') === 'true').map((one) => one.dataset.key);
const asked = (model, what) => model.sent.filter((one) => one.do === what);

test('a row says what, in which status, since when, and its clock ticks', () => {
  shown();
  assert.equal(place.querySelector('.title').textContent, 'Runs37 match');
  assert.match(rows()[1].textContent, /resize-image.*executing.*14:33:09.*02:14/);
  mock.timers.tick(2000);
  assert.equal(rows()[1].querySelector('.clock').textContent, '02:16');
  assert.equal(place.querySelector('[aria-sort=descending]').textContent, 'Created');
});

test('chosen runs may be canceled after the effect was told', () => {
  const model = shown();
  press(' ');
  press('ArrowDown', { shiftKey: true });
  press('ArrowDown', { shiftKey: true });
  assert.deepEqual(chosen(), ['run_d', 'run_c', 'run_b']);
  assert.deepEqual(asked(model, 'hold'), [{ do: 'hold', on: true }]);
  assert.match(place.querySelector('.bulk').textContent, /3 selectedSelect all 37 that matchReplay 3Cancel 2/);
  button('Cancel 2').click();
  assert.match(place.querySelector('.bulk').textContent, /Cancel 2 runs, and what they triggered\? 1 of 3 ended before\./);
  assert.deepEqual(asked(model, 'bulk'), []);
  button('Cancel 2').click();
  assert.deepEqual(asked(model, 'bulk'), [{ do: 'bulk', kind: 'CANCEL', ids: ['run_d', 'run_c'] }]);
  assert.deepEqual(chosen(), []);
});

test('every run that matches may be meant', () => {
  const model = shown();
  press(' ');
  button('Select all 37 that match').click();
  assert.match(place.querySelector('.bulk').textContent, /all 37 that match.*Replay 37.*Cancel 12/);
  button('Replay 37').click();
  button('Replay 37').click();
  assert.deepEqual(asked(model, 'bulk'), [{ do: 'bulk', kind: 'REPLAY', all: true }]);
});

test('rows are walked and opened by keys, and the selection is let go', () => {
  const model = shown();
  rows()[0].focus();
  press('End');
  assert.equal(document.activeElement, rows()[3]);
  press('Home');
  press('ArrowDown');
  press('Enter');
  assert.deepEqual(asked(model, 'card'), [{ do: 'card', id: 'run_c' }]);
  press(' ');
  press('Escape');
  assert.deepEqual(chosen(), []);
  press('/');
  assert.equal(document.activeElement, place.querySelector('[type=search]'));
});

test('filters are asked for together, the search after a pause', () => {
  const model = shown({ chips: chips('FAILED') });
  place.querySelector('[type=search]').value = 'invoice';
  place.querySelector('[type=search]').dispatchEvent(new document.defaultView.Event('input'));
  assert.deepEqual(asked(model, 'filter'), []);
  mock.timers.tick(400);
  place.querySelector('.chip[data-s=QUEUED]').click();
  place.querySelector('.chip[data-s=FAILED]').click();
  const plain = { do: 'filter', search: 'invoice', task: '', period: 0 };
  assert.deepEqual(asked(model, 'filter'), [{ ...plain, status: ['FAILED'] }, { ...plain, status: ['FAILED', 'QUEUED'] }, { ...plain, status: [] }]);
  assert.equal(place.querySelector('.chip[data-s=CRASHED]'), null);
  button('More').click();
  assert.ok(place.querySelector('.chip[data-s=CRASHED]'));
});

test('pages, new runs, and a sentence where nothing matches', () => {
  const model = shown({ new: 4 });
  button('Newer').click();
  button('Older').click();
  button('4 new runs').click();
  assert.deepEqual(model.sent.filter((one) => one.do !== 'here').map((one) => [one.do, one.to]), [['page', 'older'], ['new', undefined]]);
  model.say('view', view({ rows: [], total: 0, total_text: 'no match', empty: 'No failed run contains “x”.', chips: chips('FAILED') }));
  assert.ok(place.querySelector('table').hidden);
  button('Clear filters').click();
  assert.deepEqual(asked(model, 'filter'), [{ do: 'filter', search: '', task: '', period: 0, status: [], clear: true }]);
});

test('a bulk action shows how far it is, and what could not be done', () => {
  const model = shown({ action: { title: 'Replaying 811 runs', label: 'Replayed', done: 300, total: 811, trouble: '4 could not be replayed: why' } });
  assert.match(place.querySelector('.action').textContent, /Replaying 811 runs300 \/ 811Stop4 could not be replayed: why/);
  assert.equal(place.querySelector('[role=progressbar]').getAttribute('aria-valuenow'), '300');
  button('Stop').click();
  assert.deepEqual(asked(model, 'stop'), [{ do: 'stop' }]);
});

test('hostile text is text, a row keeps its element, and nothing is left behind', () => {
  const model = shown({ rows: [row('run_z', 'FAILED', { task: '<img src=x onerror=alert(1)>', tag: '<b>', queue: '"><i>' })] });
  assert.equal(place.querySelector('img'), null);
  const before = rows()[0];
  model.say('view', view({ rows: [ROWS[0], row('run_z', 'COMPLETED')] }));
  assert.equal(rows()[1], before);
  mock.timers.tick(7000);
  assert.match(place.querySelector('.strip').textContent, /No word from the notebook's kernel/);
  assert.equal(button('Older').getAttribute('aria-disabled'), 'true');
  leave();
  assert.equal(model.listeners, 0);
});

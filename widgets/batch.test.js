import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { FakeModel, draw, leave, place, stage } from './stage.js';

const view = (more = {}) => ({
  batch_id: 'batch_1', name: 'embed × 120', status: 'EXECUTING', word: 'Executing', total: 120, ended: 60, since: '2026-11-21T13:31:07Z', left: 'about 03:40 left', open: 60,
  counts: [['EXECUTING', 4, 'ed'], ['RETRYING', 0, 'r'], ['WAITING', 0, 'w'], ['QUEUED', 56, 'qlp'], ['COMPLETED', 58, 'C'], ['FAILED', 2, 'FXST']].map(([status, count, codes]) => ({ status, word: status, count, codes })),
  failed: [{ index: 7, status: 'FAILED', text: 'run_7 · <b>broken</b>', run_id: 'run_7' }], more_failed: 1, facts: ['120 items'],
  as_of: '2026-11-21T13:33:21Z', as_of_text: 'Sat 21 Nov 2026, 14:33:21', zone: 'Europe/Berlin', ...more,
});

stage('./batch.js');

const CELLS = 'C'.repeat(7) + 'F' + 'C'.repeat(51) + 'X' + 'e'.repeat(4) + 'q'.repeat(56);
let model;

beforeEach(() => {
  model = new FakeModel(view({ cells: CELLS }));
  draw(model);
});

const cells = () => [...place.querySelectorAll('[role=gridcell]')];
const press = (key) => place.querySelector('[role=grid]').dispatchEvent(new document.defaultView.KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
const chosen = () => cells().findIndex((cell) => cell.classList.contains('sel'));

test('the head counts, and each item has a cell in rows of fifty', () => {
  assert.match(place.querySelector('.title').textContent, /embed × 120Executing02:14Cancel rest/);
  assert.equal(place.querySelector('.ended').textContent, '60 of 120 endedabout 03:40 left');
  assert.equal(cells().length, 120);
  assert.deepEqual([...place.querySelectorAll('[role=row]')].map((row) => row.children.length), [50, 50, 20]);
  assert.equal(cells()[7].getAttribute('aria-label'), '#7 failed');
  assert.equal(place.querySelector('b b, .sel-line b'), null);
  assert.match(place.querySelector('.sel-line').textContent, /#7 · run_7 · <b>broken<\/b>Open run/);
});

test('only what has changed is drawn again', () => {
  const before = cells()[61].firstChild;
  model.say('view', view({ cells: `${CELLS.slice(0, 60)}C${CELLS.slice(61, 64)}e${CELLS.slice(65)}` }));
  assert.deepEqual([cells()[60].dataset.s, cells()[64].dataset.s], ['COMPLETED', 'EXECUTING']);
  assert.equal(cells()[61].firstChild, before);
});

test('keys walk the cells, f finds failures, Enter opens, and the line is asked for', () => {
  press('f');
  assert.equal(chosen(), 7);
  press('f');
  assert.equal(chosen(), 59);
  press('f');
  assert.equal(chosen(), 59);
  press('ArrowUp');
  assert.equal(chosen(), 9);
  press('ArrowLeft');
  press('Enter');
  press('End');
  assert.equal(place.querySelector('[role=grid]').getAttribute('aria-activedescendant'), cells()[119].id);
  assert.deepEqual(model.sent.filter((one) => one.do !== 'here'), [7, 59, 9, 8].map((index) => ({ do: 'show', index })).concat([{ do: 'card', index: 8 }, { do: 'show', index: 119 }]));
  model.say('view', view({ chosen: { index: 119, status: 'QUEUED', text: 'run_119 · queued', run_id: 'run_119' } }));
  assert.equal(place.querySelectorAll('.sel-line').length, 1);
  assert.match(place.querySelector('.sel-line').textContent, /#119/);
});

test('a count filters the grid and lets go again; cancel is asked once', () => {
  const failed = () => [...place.querySelectorAll('.counts button')].find((one) => one.textContent.includes('FAILED'));
  failed().click();
  assert.equal(cells().filter((cell) => !cell.classList.contains('off')).length, 2);
  assert.equal(failed().getAttribute('aria-pressed'), 'true');
  failed().click();
  assert.equal(cells().filter((cell) => cell.classList.contains('off')).length, 0);
  const cancel = () => place.querySelector('[data-act=cancel]');
  cancel().click();
  cancel().click();
  assert.equal(model.sent.filter((one) => one.do === 'cancel').length, 1);
  assert.match(cancel().textContent, /Canceling/);
});

test('nothing is left behind', () => {
  leave();
  assert.equal(model.listeners, 0);
});

import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { FakeModel, draw, leave, place, stage } from './stage.js';

const span = (kind, status, begin, end, say, { attempt = 0, note = '' } = {}) => [kind, begin, end ?? null, status, attempt, say, note];
const RETRIED = [
  span('queued', 'QUEUED', 0, 6, 'queued'),
  span('executing', 'FAILED', 6, 17, 'failed', { attempt: 1, note: 'ReadTimeout: no answer' }),
  span('backoff', 'RETRYING', 17, 34, 'backoff', { attempt: 1 }),
  span('executing', 'EXECUTING', 34, undefined, 'executing', { attempt: 2 }),
];
const row = (key, name, status, level, spans) => ({ key, name, status, word: status.toLowerCase(), level, spans });
const view = (rows, more = {}) => ({
  run_id: 'run_1', task: 'fetch-prices', status: 'EXECUTING', word: 'Executing', origin: '2026-11-21T13:30:00Z', offset: 3600, length: 74,
  rows, total: rows.length, as_of: '2026-11-21T13:31:14Z', as_of_text: 'Sat 21 Nov 2026, 14:31:14', zone: 'Europe/Berlin', ...more,
});
const ONE = [row('run_1', 'fetch-prices', 'EXECUTING', 0, RETRIED)];
const TREE = [
  row('run_1', 'nightly', 'EXECUTING', 0, [span('executing', 'EXECUTING', 0, undefined, 'executing', { attempt: 1 })]),
  row('run_a', 'load', 'COMPLETED', 1, [span('executing', 'COMPLETED', 3, 20, 'completed', { attempt: 1 })]),
  row('g', 'embed × 200', 'FAILED', 1, [span('pile', 'FAILED', 20, 60, '197 completed, 3 failed')]),
  row('run_b', 'mail', 'QUEUED', 1, [span('queued', 'QUEUED', 50, undefined, 'queued', { note: 'queue mail: 1 of 1 running' })]),
];

stage('./timeline.js', { at: '2026-11-21T13:31:14Z' });

const shown = (rows = ONE, more = {}) => {
  const model = new FakeModel(view(rows, more));
  return draw(model);
};
const rows = () => [...place.querySelectorAll('[role=row]')];
const shapes = (kind) => [...place.querySelectorAll(`.plot [data-kind=${kind}]`)];
const press = (key) => {
  const Keyboard = document.defaultView.KeyboardEvent;
  place.querySelector('.plot').dispatchEvent(new Keyboard('keydown', { key, bubbles: true, cancelable: true }));
};
const axis = () => [...place.querySelectorAll('.axis text')].map((text) => text.textContent);
const click = (name) => [...place.querySelectorAll('button')].find((button) => button.getAttribute('aria-label') === name).click();

test('a row says all its spans in words, and its shapes have titles', () => {
  shown();
  assert.equal(rows()[0].getAttribute('aria-label'), 'fetch-prices, executing, queued 6.0 s, attempt 1 failed 11.0 s, backoff 17.0 s, attempt 2 executing 40.0 s');
  assert.equal(shapes('executing')[0].querySelector('title').textContent, 'fetch-prices: attempt 1 failed (ReadTimeout: no answer), 14:30:06 – 14:30:17, 11.0 s');
  assert.equal(shapes('executing')[0].dataset.s, 'FAILED');
  assert.deepEqual(shapes('executing').map((one) => one.querySelector('text')?.textContent), ['1', '2']);
  assert.equal(shapes('backoff')[0].querySelector('text').textContent, 'backoff 17.0 s');
});

test('the axis has clock times and a line for now, with air at the right', () => {
  shown();
  assert.deepEqual(axis(), ['14:30:00', '14:30:15', '14:30:30', '14:30:45', '14:31:00', 'now 01:14']);
  const bar = shapes('executing')[1].querySelector('rect');
  const right = Number(bar.getAttribute('x')) + Number(bar.getAttribute('width'));
  assert.ok(right < 0.87 * 700 && right > 0.82 * 700, String(right));
});

test('what goes on grows, and the scale stays until the air is used up', () => {
  const model = shown();
  const before = shapes('queued')[0].querySelector('rect').getAttribute('width');
  const width = () => Number(shapes('executing')[1].querySelector('rect').getAttribute('width'));
  const early = width();
  mock.timers.tick(5000);
  assert.ok(width() > early);
  assert.equal(shapes('queued')[0].querySelector('rect').getAttribute('width'), before);
  for (let beat = 1; beat < 5; beat++) {
    mock.timers.tick(3000);
    model.say('beat', beat);
  }
  assert.ok(Number(shapes('queued')[0].querySelector('rect').getAttribute('width')) < Number(before));
});

test('nothing is under three pixels, and what does not fit is left out', () => {
  shown([row('run_1', 'x', 'COMPLETED', 0, [span('executing', 'COMPLETED', 0, 0.001, 'completed', { attempt: 1 }), span('queued', 'QUEUED', 1, 1.001, 'queued'), span('executing', 'EXECUTING', 70, undefined, 'executing', { attempt: 2 })])]);
  assert.equal(shapes('executing')[0].querySelector('rect').getAttribute('width'), '3');
  assert.equal(shapes('executing')[0].querySelector('text'), null);
});

test('an error stands in the bar of one run where there is room', () => {
  shown([row('run_1', 'fetch-prices', 'EXECUTING', 0, [span('executing', 'FAILED', 0, 50, 'failed', { attempt: 1, note: 'ReadTimeout: no answer' })])]);
  assert.equal(shapes('executing')[0].querySelector('text').textContent, '1  ReadTimeout');
});

test('a tree has names, piles with a red end, and why something is queued', () => {
  shown(TREE, { is_tree: true, total: 204 });
  assert.deepEqual([...place.querySelectorAll('text.name')].map((text) => text.firstChild.textContent), ['nightly', 'load', 'embed × 200', 'mail']);
  assert.equal(shapes('pile')[0].dataset.s, 'COMPLETED');
  assert.ok(shapes('pile')[0].querySelector('[data-s=FAILED]'));
  assert.match(shapes('pile')[0].querySelector('text').textContent, /197 completed, 3 failed/);
  assert.equal(place.querySelector('[role=grid]').getAttribute('aria-label'), 'Timeline of fetch-prices: 4 rows');
});

test('one row is in the tab order and arrows move it', () => {
  shown(TREE, { is_tree: true });
  assert.deepEqual(rows().map((one) => one.getAttribute('tabindex')), ['0', '-1', '-1', '-1']);
  rows()[0].focus();
  press('ArrowDown');
  assert.equal(document.activeElement.dataset.key, 'run_a');
  press('End');
  assert.equal(document.activeElement.dataset.key, 'run_b');
  assert.deepEqual(rows().map((one) => one.getAttribute('tabindex')), ['-1', '-1', '-1', '0']);
});

test('Enter asks for the card of a run, and a pile has none', () => {
  const model = shown([TREE[0], { ...TREE[2], is_group: true }], { is_tree: true });
  press('Enter');
  press('End');
  rows()[1].focus();
  press('Enter');
  assert.deepEqual(model.sent, [{ do: 'card', id: 'run_1' }]);
});

test('zoom by keys and buttons shows a part, which an overview marks, and 0 shows all', () => {
  shown(TREE, { is_tree: true });
  assert.equal(place.querySelector('.seen').hidden, true);
  const whole = axis();
  press('+');
  press('+');
  assert.equal(place.querySelector('.seen').hidden, false);
  assert.notDeepEqual(axis(), whole);
  for (let n = 0; n < 20; n++) press('ArrowRight');
  assert.match(rows()[1].textContent, /← earlier/);
  for (let n = 0; n < 20; n++) press('ArrowLeft');
  assert.match(rows()[3].textContent, /later →/);
  press('0');
  assert.equal(place.querySelector('.seen').hidden, true);
  assert.deepEqual(axis(), whole);
  click('Zoom in (+)');
  click('Zoom out (−)');
  assert.deepEqual(axis(), whole);
});

test('the wheel zooms only with Ctrl', () => {
  shown();
  const Wheel = document.defaultView.WheelEvent;
  const wheel = (ctrlKey) => {
    const event = new Wheel('wheel', { deltaY: -1, bubbles: true, cancelable: true });
    Object.defineProperty(event, 'ctrlKey', { value: ctrlKey });  // happy-dom leaves it out
    place.querySelector('.tl').dispatchEvent(event);
    return event.defaultPrevented;
  };
  assert.equal(wheel(false), false);
  assert.equal(place.querySelector('.seen').hidden, true);
  assert.equal(wheel(true), true);
  assert.equal(place.querySelector('.seen').hidden, false);
});

test('more rows are asked for', () => {
  const model = shown(TREE, { is_tree: true, hidden: 200 });
  const button = place.querySelector('.rest button');
  assert.equal(button.textContent, 'Show 160 more of 200');
  button.click();
  assert.deepEqual(model.sent, [{ do: 'more' }]);
});

test('a row keeps its element and its focus while it stays', () => {
  const model = shown(TREE, { is_tree: true });
  rows()[1].focus();
  const before = rows()[1];
  model.say('view', view([TREE[0], { ...TREE[1], spans: [...TREE[1].spans, span('backoff', 'RETRYING', 20, 30, 'backoff')] }], { is_tree: true }));
  assert.equal(rows()[1], before);
  assert.equal(document.activeElement, before);
  assert.equal(shapes('backoff').length, 1);
});

test('a silent kernel stops the clock and is told', () => {
  shown();
  mock.timers.tick(7000);
  assert.match(place.querySelector('.strip').textContent, /No word from the notebook's kernel/);
  assert.match(axis().at(-1), /^now 01:14$/);
});

test('a change of status is read out, and nothing else', () => {
  const model = shown();
  const said = () => place.querySelector('[aria-live=polite]').textContent;
  mock.timers.tick(1000);
  assert.equal(said(), '');
  model.say('view', view(ONE, { status: 'WAITING', word: 'Waiting' }));
  mock.timers.tick(1000);
  assert.equal(said(), 'fetch-prices: Waiting');
});

test('hostile texts are text', () => {
  const bad = '<img src=x onerror=alert(1)>';
  shown([row('run_1', bad, 'FAILED', 0, [span('waiting', 'WAITING', 0, 50, `waits for ${bad}`, { note: bad })])], { task: bad, is_tree: true });
  assert.equal(place.querySelector('img'), null);
});

test('nothing is left behind', () => {
  const model = shown();
  leave();
  assert.equal(model.listeners, 0);
});

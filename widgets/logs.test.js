import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';
import { FakeModel, draw, leave, place, stage } from './stage.js';

const LEVELS = ['info', 'warn', 'error'];
const view = (more = {}) => ({
  run_id: 'run_1', task: 'crawl', status: 'EXECUTING', word: 'Executing', count: 3, earlier: true, levels: LEVELS.map((level) => [level, level, false]), follow: true,
  as_of: '2026-11-21T13:33:21Z', as_of_text: 'Sat 21 Nov 2026, 14:33:21', zone: 'Europe/Berlin', ...more,
});
const line = (key, text = `line ${key}`, level = 'info') => [key, '14:33:21.000', level, text];

stage('./logs.js', { timers: ['Date', 'setInterval', 'setTimeout'] });

const LINES = [line(0), line(1, '<img src=x onerror=alert(1)>', 'error'), line(2)];
let model;

beforeEach(() => {
  model = new FakeModel(view({ lines: LINES }));
  draw(model);
});

const lines = () => [...place.querySelectorAll('.lines > div')].map((one) => one.textContent);
const sent = (what) => model.sent.filter((one) => one.do === what);

test('lines are text with their time and level', () => {
  assert.deepEqual(lines(), ['14:33:21.000infoline 0', '14:33:21.000error<img src=x onerror=alert(1)>', '14:33:21.000infoline 2']);
  assert.equal(place.querySelector('img'), null);
  assert.match(place.querySelector('.title').textContent, /Log of crawl.*Executing.*run_1.*Download/);
  assert.equal(place.querySelector('.foot').textContent, '3 lines, and earlier ones');
});

test('new lines come after, earlier ones before, and the first may go', () => {
  const kept = place.querySelectorAll('.lines > div')[2];
  model.say('view', view({ lines: [...LINES.slice(1), line(3), line(4)] }));
  model.say('view', view({ lines: [line(-1), ...LINES.slice(1), line(3), line(4)] }));
  assert.deepEqual(lines().map((one) => one.replace(/^.*line /, '')).filter((one) => one.length < 4), ['-1', '2', '3', '4']);
  assert.equal(place.querySelectorAll('.lines > div')[2], kept);
  model.say('view', view({ lines: [line(9)] }));
  assert.equal(lines().length, 1);
});

test('levels and search are asked for together, earlier lines by a click', () => {
  const chip = (level) => place.querySelector(`.chip[data-level=${level}]`);
  chip('warn').click();
  model.say('view', view({ levels: [['info', 'info', false], ['warn', 'warn', true], ['error', 'error', false]] }));
  chip('error').click();
  chip('warn').click();
  place.querySelector('[type=search]').value = 'row';
  place.querySelector('[type=search]').dispatchEvent(new document.defaultView.Event('input'));
  mock.timers.tick(400);
  assert.deepEqual(sent('filter').map((one) => [one.level, one.search]), [[['warn'], ''], [['warn', 'error'], ''], [[], ''], [['warn'], 'row']]);
  [...place.querySelectorAll('button')].find((one) => one.textContent === 'Show earlier lines').click();
  assert.equal(sent('earlier').length, 1);
});

test('an ended run is not followed; nothing written is a sentence; nothing is left behind', () => {
  model.say('view', view({ count: 0, follow: false, earlier: false, empty: 'This run has written nothing, or its log is no longer kept.' }));
  assert.equal(place.querySelector('.log').hidden, true);
  assert.match(place.querySelector('.why:not(.bad)').textContent, /has written nothing/);
  leave();
  assert.equal(model.listeners, 0);
});

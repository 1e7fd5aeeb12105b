import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeModel, draw, leave, place, stage, window } from './stage.js';

const FIELDS = [
  { name: 'url', kind: 'text', required: true, pattern: '^https?://', hint: 'Where to read from' },
  { name: 'width', kind: 'number', integer: true, low: 16, high: 4096, initial: 512, has_default: true },
  { name: 'format', kind: 'choice', initial: 'webp', has_default: true, choices: ['jpeg', 'webp'].map((label) => ({ label, value: label })) },
  { name: 'colour', kind: 'choice', nullable: true, choices: ['a', 'b', 'c', 'd', 'e', 'f'].map((label, value) => ({ label, value })) },
  { name: 'upright', kind: 'check' },
  { name: 'crop', kind: 'group', nullable: true, fields: [{ name: 'left', kind: 'number', initial: 0 }, { name: 'top', kind: 'number', required: true }] },
  { name: 'labels', kind: 'list', initial: ['thumb'], max_items: 2, item: { name: 'item', kind: 'text' } },
  { name: 'more', kind: 'json', initial: {} },
];
const OPTIONS = [{ name: 'delay', kind: 'text' }, { name: 'max_attempts', label: 'max attempts', kind: 'number', integer: true, low: 1 }];
const view = (more = {}) => ({
  task: 'resize-image', name: 'resize_image', version: 'version 20261121.3', where: 'cell [8]', rules: ['queue images (4 at once)'], form: { fields: FIELDS }, options: OPTIONS,
  recent: [], total: 0, as_of: '2026-11-21T13:33:21Z', as_of_text: 'Sat 21 Nov 2026, 14:33:21', zone: 'Europe/Berlin', answer: { to: 0, ok: true, text: '' }, ...more,
});

stage('./task.js');

const shown = (more) => {
  const model = new FakeModel(view(more));
  return draw(model);
};
const fire = (element, name, more = {}) => element.dispatchEvent(new window[more.key ? 'KeyboardEvent' : 'Event'](name, { bubbles: true, cancelable: true, ...more }));
const labelled = (text) => {
  const label = [...place.querySelectorAll('label')].find((one) => one.textContent.replace(' *', '') === text);
  return document.getElementById(label.getAttribute('for'));
};
const fill = (text, value) => {
  const control = labelled(text);
  control.value = value;
  fire(control, 'input');
  fire(control, 'focusout');
  return control;
};
const hint = (control) => document.getElementById(control.getAttribute('aria-describedby'));
const trigger = () => place.querySelector('[data-act=trigger]').click();
const note = () => place.querySelector('.acts [role=status]').textContent;

test('only what was changed is sent, options apart', () => {
  const model = shown();
  fill('url', 'https://a');
  fill('width', '256');
  fill('max attempts', '1');
  trigger();
  assert.deepEqual(model.sent, [{ do: 'trigger', payload: { url: 'https://a', width: 256 }, options: { max_attempts: 1 }, n: 1 }]);
  assert.equal(note(), 'Triggering…');
  trigger();
  assert.equal(model.sent.length, 1, 'a second click makes no second run');
  model.say('view', view({ answer: { to: 1, ok: true, text: 'Triggered run_1' }, total: 1, recent: [{ run_id: 'run_1', status: 'EXECUTING', word: 'Executing', created: '14:33:02', since: '2026-11-21T13:33:17Z', note: 'url https://a' }] }));
  assert.equal(note(), 'Triggered run_1');
  assert.match(place.querySelector('.recent').textContent, /Executing14:33:0200:04url https:\/\/a/);
  place.querySelector('[aria-label="Executing: show the card of run_1"]').click();
  assert.deepEqual(model.sent[1], { do: 'card', id: 'run_1', n: 2 });
});

test('versions, source and schema are behind one button, and asked for when wanted', () => {
  const model = shown();
  const menu = place.querySelector('[aria-haspopup=menu]');
  const pane = place.querySelector('.more > .pane');
  assert.equal(menu.getAttribute('aria-expanded'), 'false');
  menu.click();
  assert.equal(menu.getAttribute('aria-expanded'), 'true');
  place.querySelector('[data-act=source]').click();
  assert.deepEqual(model.sent, [{ do: 'more', what: 'source', n: 1 }]);
  assert.ok(pane.hidden);
  model.say('view', view({ answer: { to: 1, ok: true, text: '' }, more: { what: 'source', text: 'def <b>resize</b>(): ...' } }));
  assert.equal(pane.hidden, false);
  assert.equal(pane.querySelector('pre').innerHTML, 'def &lt;b&gt;resize&lt;/b&gt;(): ...');
  assert.equal(place.querySelector('[data-act=source]').getAttribute('aria-checked'), 'true');
  fire(pane.firstChild, 'keydown', { key: 'Escape' });
  assert.ok(pane.hidden && place.querySelector('.more > .row').hidden);
  assert.ok(document.activeElement === menu);
});

test('all runs of the task are shown below, once', () => {
  const model = shown({ total: 4218 });
  place.querySelector('[data-act=all]').click();
  assert.deepEqual(model.sent, [{ do: 'all', n: 1 }]);
  assert.equal(place.querySelector('[data-act=all]').textContent, 'All 4,218');
  assert.ok(place.querySelector('[data-act=all]').disabled);
});

test('what will not do is told at its field on leaving it, and counted', () => {
  const model = shown();
  const width = fill('width', '9000');
  assert.equal(width.getAttribute('aria-invalid'), 'true');
  assert.equal(hint(width).getAttribute('role'), 'alert');
  assert.equal(hint(width).textContent, 'Must be at most 4,096');
  trigger();
  assert.equal(note(), '2 fields need a change');
  assert.equal(document.activeElement, labelled('url'), 'the first of them');
  assert.deepEqual(model.sent, []);
  fill('width', '9');
  fill('url', 'https://a');
  assert.equal(hint(labelled('url')).textContent, 'Where to read from');
  assert.equal(hint(width).textContent, 'Must be at least 16');
});

test('groups, lists, choices and JSON make values', () => {
  const model = shown();
  fill('url', 'https://a');
  const crop = place.querySelector('.nest');
  assert.equal(crop.hidden, true);
  const box = labelled('crop');
  box.checked = true;
  fire(box, 'change');
  assert.equal(crop.hidden, false);
  fill('top', '40');
  const add = labelled('labels');
  add.value = '2026';
  fire(add, 'keydown', { key: 'Enter' });
  assert.equal(add.value, '');
  fill('colour', '5');
  labelled('upright').checked = true;
  fill('more', '{"a": [1]}');
  trigger();
  assert.deepEqual(model.sent[0].payload, { url: 'https://a', colour: 5, upright: true, crop: { top: 40 }, labels: ['thumb', '2026'], more: { a: [1] } });
  place.querySelector('[aria-label="Remove thumb"]').click();
  fill('labels', 'x');
  fill('labels', 'y');
  assert.equal(hint(labelled('labels')).textContent, 'At most 2 items');
});

test('errors of the kernel come to their fields; what has none stands below the title', () => {
  const model = shown();
  fill('url', 'https://a');
  trigger();
  const errors = [{ path: ['crop', 'top'], text: 'Required' }, { path: ['labels', 1], text: 'Too long' }, { path: ['@', 'delay'], text: 'No duration' }];
  model.say('view', view({ answer: { to: 1, ok: false, text: 'all of it', errors } }));
  assert.equal(hint(labelled('labels')).textContent, 'Too long');
  assert.equal(hint(labelled('delay')).textContent, 'No duration');
  assert.equal(place.querySelector('.drawer').hidden, false);
  assert.equal(place.querySelector('.why.bad').hidden, true);
  assert.equal(note(), '3 fields need a change');
  fill('url', 'https://b');
  trigger();
  model.say('view', view({ answer: { to: 2, ok: false, text: 'The engine does not answer.' } }));
  assert.equal(place.querySelector('.why.bad').textContent, 'The engine does not answer.');
  assert.equal(note(), 'Not triggered');
});

test('Ctrl-Enter triggers, and the form tells the host to leave its keys alone', () => {
  const model = shown();
  const url = fill('url', 'https://a');
  fire(url, 'keydown', { key: 'Enter' });
  assert.deepEqual(model.sent, []);
  fire(url, 'keydown', { key: 'Enter', ctrlKey: true });
  assert.equal(model.sent.length, 1);
  assert.equal(place.querySelector('form').dataset.lmSuppressShortcuts, 'true');
});

test('the call is given as Python', async () => {
  shown();
  fill('url', 'https://a');
  fill('delay', '10m');
  [...place.querySelectorAll('.acts .btn')].find((one) => one.textContent === 'Copy as code').click();
  assert.equal(place.querySelector('form > pre').textContent, 'resize_image.options(delay="10m").trigger(url="https://a")');
});

test('values that are typed stay when the kernel says something', () => {
  const model = shown();
  const url = fill('url', 'https://a');
  url.focus();
  model.say('view', view({ counts: '2 queued', total: 7 }));
  assert.equal(labelled('url'), url);
  assert.equal(url.value, 'https://a');
  assert.equal(document.activeElement, url);
});

test('a task without parameters has a button, one without schema a box for JSON', () => {
  const model = shown({ form: { fields: [] } });
  assert.match(place.textContent, /Takes no payload/);
  trigger();
  assert.deepEqual(model.sent, [{ do: 'trigger', options: {}, n: 1 }]);
  leave();
  const other = shown({ form: { fields: [{ name: 'payload', kind: 'json' }], whole: true } });
  const forms = [...place.querySelectorAll('textarea')].at(-1);
  forms.value = '[1, 2';
  fire(forms, 'focusout');
  assert.equal(hint(forms).textContent, 'Line 1, column 6: expected a comma or ]');
  forms.value = '[1, 2]';
  [...place.querySelectorAll('[data-act=trigger]')].at(-1).click();
  assert.deepEqual(other.sent, [{ do: 'trigger', payload: [1, 2], options: {}, n: 1 }]);
});

test('names, hints and values are text', () => {
  const evil = '<img src=x onerror=alert(1)>';
  shown({ task: evil, where: evil, rules: [evil], form: { fields: [{ name: evil, kind: 'text', hint: evil, initial: evil }, { name: 'l', kind: 'list', initial: [evil], item: { name: 'i', kind: 'text' } }] }, recent: [{ run_id: 'r', status: 'FAILED', word: evil, created: evil, note: evil }] });
  assert.equal(place.querySelector('img'), null);
});

test('nothing is left behind', () => {
  const model = shown();
  leave();
  assert.equal(model.listeners, 0);
});

import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { FakeModel, draw, leave, place, stage, window } from './stage.js';

const AT = Date.parse('2026-11-21T13:33:21Z');

const executing = (more = {}) => ({
  run_id: 'run_1', task: 'embed-documents', status: 'EXECUTING', word: 'Executing', title: 'EXECUTING',
  since: '2026-11-21T13:31:07Z', as_of: '2026-11-21T13:33:21Z', as_of_text: 'Sat 21 Nov 2026, 14:33:21',
  reason: [{ text: 'Attempt 1 started 14:31:07.' }], attempt: 'attempt 1 of 3', queue: 'embeddings',
  bars: [{ label: 'Embedding', done: 1204, total: 4800, share: 0.25, left: '06:40' }],
  logs: [{ time: '14:33:14', level: 'warn', text: 'truncated' }], metadata: [{ key: 'model', value: 'bge-small' }], ...more,
});

stage('./card.js');

const shown = (view) => {
  const model = new FakeModel(view);
  return draw(model);
};
const one = (selector) => place.querySelector(selector);
const text = (selector) => one(selector).textContent;

test('the first two rows say what, in which status, for how long and why', () => {
  shown(executing());
  assert.equal(text('.name'), 'embed-documents');
  assert.equal(text('.status'), 'Executing');
  assert.equal(text('.clock'), '02:14');
  assert.equal(text('.why'), 'Attempt 1 started 14:31:07.');
  assert.equal(one('.kk').getAttribute('aria-label'), 'Run of embed-documents: Executing');
});

test('the clock ticks without a message', () => {
  shown(executing());
  mock.timers.tick(3000);
  assert.equal(text('.clock'), '02:17');
});

test('a bar has its values for those who cannot see it', () => {
  shown(executing());
  const bar = one('[role=progressbar]');
  assert.deepEqual(['aria-label', 'aria-valuemax', 'aria-valuenow'].map((name) => bar.getAttribute(name)), ['Embedding', '4800', '1204']);
  assert.equal(one('.bar > i').style.width, '25%');
});

test('logs keep four rows and are not read out', () => {
  shown(executing());
  assert.equal(place.querySelectorAll('.log > div').length, 4);
  assert.equal(one('.log').getAttribute('aria-live'), 'off');
});

test('hostile text stays text', () => {
  const evil = '<img src=x onerror="globalThis.hit = true"><script>globalThis.hit = true</script>';
  shown(executing({
    task: evil, word: evil, queue: evil, tags: [evil], facts: [evil], attempt: evil, reason: [{ text: evil, kind: 'mono' }],
    logs: [{ time: evil, level: evil, text: evil }], metadata: [{ key: evil, value: evil }], bars: [{ label: evil, done: 1 }],
    output: { kind: evil, size: evil, text: evil, flat: '' },
    error: { name: evil, message: evil, note: evil, traceback: evil, frames: [{ place: evil, function: evil, line: 3, source: evil, before: evil }] },
  }));
  assert.equal(place.querySelectorAll('img, script').length, 0);
  assert.ok(place.textContent.includes(evil));
  assert.equal(globalThis.hit, undefined);
});

test('a click on Cancel is said at once, and that it waits after a second', () => {
  const model = shown(executing());
  one('.head button').click();
  assert.deepEqual(model.sent, [{ do: 'cancel', n: 1 }]);
  assert.equal(text('.head button'), 'Canceling…');
  assert.ok(one('.head button').disabled);
  mock.timers.tick(1500);
  assert.ok(text('.why').includes('kernelkit cancel run_1'));
  model.say('answer', { to: 1, ok: true });
  assert.equal(text('.why'), 'Attempt 1 started 14:31:07.');
  assert.equal(text('.head button'), 'Canceling…');
});

test('a refused cancel says why and may be tried again', () => {
  const model = shown(executing());
  one('.head button').click();
  model.say('answer', { to: 1, ok: false, text: 'No engine answers.' });
  assert.equal(text('.why'), 'Not canceled: No engine answers.');
  assert.ok(!one('.head button').disabled);
});

test('a gone engine stops the clock and the actions and says since when', () => {
  const model = shown(executing());
  model.say('link', { state: 'silent', since: AT - 24_000 });
  mock.timers.tick(1000);
  assert.ok(text('.strip').startsWith('No word from the engine for 0:25. Showing what was known at 14:33:21'));
  assert.equal(text('.status'), 'Executing, last known');
  assert.equal(text('.clock'), '02:14');
  assert.ok(one('.head button').disabled);
  model.say('link', { state: 'live' });
  assert.ok(one('.strip').hidden);
  assert.equal(text('.status'), 'Executing');
});

test('a kernel that says nothing for six seconds is told from the browser alone', () => {
  const model = shown(executing());
  mock.timers.tick(7000);
  assert.ok(text('.strip').startsWith("No word from the notebook's kernel for 0:07"));
  model.say('beat', 1);
  assert.ok(one('.strip').hidden);
});

test('a picture of yesterday whose kernel is gone says so, with its day', () => {
  const model = shown(executing({ as_of: '2026-11-20T13:33:21Z', as_of_text: 'Fri 20 Nov 2026, 14:33:21' }));
  mock.timers.tick(2000);
  assert.ok(one('.strip').hidden);
  mock.timers.tick(2000);
  assert.equal(text('.strip'), "The notebook's kernel is not connected. Showing what was known on Fri 20 Nov 2026, 14:33:21. Run the cell again to see how it stands now.");
  model.say('beat', 1);
  assert.ok(one('.strip').hidden);
});

test('a countdown goes on in the browser', () => {
  shown(executing({ status: 'RETRYING', word: 'Retrying', reason: [{ text: 'Attempt 3 of 5', kind: 'strong' }, { text: ' ' }, { text: '14:33:29', kind: 'countdown', at: '2026-11-21T13:33:29Z' }] }));
  assert.equal(text('.why'), 'Attempt 3 of 5 in 0:08');
  mock.timers.tick(2000);
  assert.equal(text('.why'), 'Attempt 3 of 5 in 0:06');
});

test('what has not changed is not drawn again, so that focus stays', () => {
  const model = shown(executing());
  const before = [one('.foot button'), one('.head button'), one('.kv > div'), one('.mark')];
  model.say('view', executing({ as_of: '2026-11-21T13:33:22Z', bars: [{ label: 'Embedding', done: 1300, total: 4800, share: 0.27 }] }));
  assert.deepEqual([one('.foot button'), one('.head button'), one('.kv > div'), one('.mark')].map((node, at) => node === before[at]), [true, true, true, true]);
  assert.ok(text('.prog').includes('1,300 / 4,800'));
});

test('status changes are told politely, the first word and the ticking not', () => {
  const model = shown(executing());
  assert.equal(text('[aria-live=polite]'), '');
  model.say('view', executing({ status: 'COMPLETED', word: 'Completed', is_final: true, clock: '08:51', since: undefined }));
  assert.equal(text('[aria-live=polite]'), 'embed-documents: Completed');
  assert.ok(one('.head button').hidden);
  assert.equal(text('.clock'), '08:51');
});

test('a clock of the browser that is an hour ahead does not count', () => {
  const model = shown(executing());
  mock.timers.setTime(AT + 3_600_000);
  model.say('view', executing({ as_of: '2026-11-21T13:33:22Z' }));
  assert.equal(text('.clock'), '02:15');
});

test('a disposed card listens to nothing and ticks no more', () => {
  const model = shown(executing());
  leave();
  assert.equal(model.listeners, 0);
  mock.timers.tick(5000);
  assert.equal(text('.clock'), '02:14');
});

test('a run that waits for a token shows what is asked and takes the answer', () => {
  const asked = { id: 'waitpoint_1', title: 'Deploy?', context: [{ key: 'commit', value: 'b1946ac' }], answer: '{"approved": true}' };
  const model = shown(executing({ status: 'WAITING', word: 'Waiting', bars: [], logs: [], metadata: [], asked }));
  assert.match(one('.body').textContent, /Deploy\?.*b1946ac/);
  one('[data-act="approve"]').click();
  assert.deepEqual(model.sent, [{ do: 'complete', id: 'waitpoint_1', data: '{"approved": true}', n: 1 }]);
  assert.equal(one('.head .btn').textContent, 'Cancel', 'the run is not being canceled');
  model.say('answer', { to: 1, ok: false, text: 'There is no token.' });
  assert.match(one('.why').textContent, /Not taken: There is no token/);
  model.say('view', executing());
  assert.equal(one('.ask').hidden, true);
});

test('the end of a stream reads like text', () => {
  shown(executing({ streams: [{ name: 'tokens', count: '12 values', text: 'To be or <i>not</i>\nto be' }] }));
  assert.match(one('.streams .count').textContent, /tokens · 12 values/);
  assert.equal(one('.streams pre').textContent, 'To be or <i>not</i>\nto be');
  assert.equal(one('.streams i'), null);
});

const act = (name) => one(`[data-act="${name}"]`);
const key = (name) => document.activeElement.dispatchEvent(new window.KeyboardEvent('keydown', { key: name, bubbles: true, cancelable: true }));
const ended = (more) => executing({ status: 'COMPLETED', word: 'Completed', is_final: true, clock: '08:51', since: undefined, reason: [], ...more });

test('what is behind More is reached by keys, and Escape comes back', () => {
  const model = shown(executing());
  const more = one('[aria-haspopup=menu]');
  assert.equal(more.getAttribute('aria-label'), 'More: copy id, timeline, payload, all logs');
  more.focus();
  key('ArrowDown');
  assert.equal(document.activeElement, act('id'));
  key('ArrowLeft');
  assert.equal(document.activeElement, act('logs'));
  key('Home');
  key('ArrowRight');
  assert.equal(document.activeElement, act('timeline'));
  key('Escape');
  assert.equal(document.activeElement, more);
  assert.ok(one('[role=menu]').hidden);
  more.click();
  act('timeline').click();
  assert.deepEqual(model.sent, [{ do: 'act', what: 'timeline', n: 1 }]);
  assert.equal(document.activeElement, more, 'an entry that opens something below closes the menu');
});

test('the payload is asked for, and put away again; nothing of it is kept with the view', () => {
  const model = shown(executing());
  one('[aria-haspopup=menu]').click();
  act('payload').click();
  assert.deepEqual(model.sent, [{ do: 'act', what: 'payload', n: 1 }]);
  assert.ok(one('.pane').hidden);
  for (const callback of model.heard.get('msg:custom')) callback({ inside: { what: 'payload', value: { kind: 'dict', size: '2.1 MB', text: '<b>1</b>', is_cut: true }, code: 'kk.x' } });
  assert.equal(text('.pane pre'), '<b>1</b>');
  assert.equal(text('.pane .count'), 'Payload · dict · 2.1 MB, cut for show Download or read kk.x');
  act('payload file').click();
  assert.deepEqual(model.sent[1], { do: 'act', what: 'payload file', n: 2 });
  act('payload').click();
  assert.ok(one('.pane').hidden);
  assert.equal(model.sent.length, 2);
});

test('an id that the page may not copy is selected, and that is said for a while', async () => {
  shown(executing());
  one('[aria-haspopup=menu]').click();
  act('id').click();
  await new Promise(setImmediate);
  assert.equal(text('.why'), 'This page may not write to the clipboard. The id is selected below, for a copy by the keyboard.');
  assert.equal(String(window.getSelection()), 'run_1');
  mock.timers.tick(5000);
  assert.equal(text('.why'), 'Attempt 1 started 14:31:07.');
});

test('Replay stands in the place of Cancel, and what came of it is said', () => {
  const model = shown(ended({ has_tree: true }));
  const visible = [...place.querySelectorAll('.head .btn')].filter((button) => !button.hidden);
  assert.deepEqual(visible.map((button) => button.textContent), ['Replay', 'Open tree', '']);
  act('replay').click();
  act('replay').click();
  assert.deepEqual(model.sent, [{ do: 'act', what: 'replay', n: 1 }], 'a second click makes no second run');
  mock.timers.tick(1500);
  assert.equal(text('.why'), "Replay asked for. The notebook's kernel is busy, or no longer connected.");
  model.say('answer', { to: 1, ok: true, text: 'Replayed as run_2.' });
  assert.equal(text('.why'), 'Replayed as run_2.');
  act('tree').click();
  model.say('answer', { to: 2, ok: false, text: 'No engine answers.' });
  mock.timers.tick(5000);
  assert.equal(text('.why'), 'Not shown: No engine answers.');
});

test('a cancel stays asked for whatever else is clicked, and a gone engine is asked for nothing', () => {
  const model = shown(executing({ has_tree: true }));
  one('.head button').click();
  act('tree').click();
  assert.equal(text('.head button'), 'Canceling…');
  model.say('link', { state: 'silent', since: AT - 24_000 });
  act('tree').click();
  act('logs').click();
  assert.equal(act('tree').getAttribute('aria-disabled'), 'true');
  assert.equal(model.sent.length, 2);
});

test('what a run left behind may be downloaded once it has ended', () => {
  const model = shown(ended({ files: [{ name: 'model.bin', size: '2 MB', path: '' }], output: { kind: 'dict', size: '2 B', text: '{}' } }));
  act('file-model.bin').click();
  assert.equal(act('file-model.bin').textContent, 'Download model.bin2 MB');
  assert.deepEqual(model.sent, [{ do: 'fetch', name: 'model.bin', n: 1 }]);
  assert.equal(act('copy output').textContent, 'Copy');
});

test('a paused queue may be resumed where the reason is told', () => {
  const model = shown(executing({ status: 'QUEUED', word: 'Queued', reason: [{ text: 'Queue gpu is paused.' }], remedy: 'resume' }));
  assert.equal(text('.why'), 'Queue gpu is paused. Resume queue');
  act('resume').click();
  assert.deepEqual(model.sent, [{ do: 'act', what: 'resume', n: 1 }]);
});

test('a run between two attempts may be retried now', () => {
  const model = shown(executing({ word: 'Retrying', reason: [{ text: 'Attempt 2 of 3.' }], remedy: 'retry' }));
  assert.equal(text('.why'), 'Attempt 2 of 3. Retry now');
  act('retry').click();
  assert.deepEqual(model.sent, [{ do: 'act', what: 'retry', n: 1 }]);
});

test('a delayed run may start now', () => {
  shown(executing({ status: 'DELAYED', word: 'Delayed', reason: [{ text: 'Due 15:04.' }], remedy: 'start' }));
  assert.equal(text('.why'), 'Due 15:04. Start now');
});

test('the way to a cell of the notebook, which is known by its number and the line', () => {
  const frame = (number) => ({ place: `Cell [${number}]`, function: 'f', line: 3, source: '  fail()' });
  const page = document.createElement('div');
  page.className = 'jp-Notebook';
  page.innerHTML = '<div class="jp-CodeCell"><span class="jp-InputPrompt">[2]:</span><div class="cm-content" tabindex="0">def f():\n  fail()</div></div>';
  document.body.append(page);
  page.append(place);
  shown(ended({ error: { name: 'E', message: 'm', frames: [frame(2), frame(3), { ...frame(1), place: 'a.py' }] } }));
  const links = [...place.querySelectorAll('.frame .btn')];
  assert.equal(links.length, 2);
  links[1].click();
  assert.equal(text('.why'), 'Cell [3] has changed since, or is not on this page.');
  links[0].click();
  assert.equal(document.activeElement.className, 'cm-content');
});

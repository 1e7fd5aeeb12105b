import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { FakeModel, draw, place, stage, window } from './stage.js';

const running = (job = {}, more = {}) => ({
  run_id: 'run_n8', task: 'daily-report', status: 'EXECUTING', word: 'Executing', title: 'EXECUTING', since: '2026-11-21T13:31:33Z',
  as_of: '2026-11-21T13:33:21Z', reason: [], attempt: 'attempt 1 of 2', files: [{ name: 'daily.ipynb', size: '214 kB', path: '' }],
  job: { file: 'daily.ipynb', kernel: 'python3', cells: 18, done: 9, cell: 10, at: 'EXECUTING', told: 'executing cell 10', since: '2026-11-21T13:32:50Z',
    source: '# 3.2 Sales\nload()', output: '412 rows', parameters: [{ name: 'region', value: 'EU' }], ...job }, ...more,
});

stage('./card.js');

const one = (selector) => place.querySelector(selector);
const cells = () => [...place.querySelectorAll('.cellbar i')].map((cell) => cell.dataset.s);

test('the cells, the current one, what was shown last, and what it was given', () => {
  draw(new FakeModel(running()));
  assert.equal(one('.job .row').textContent, '9 of 18 cellsexecuting cell 10 for 00:31');
  assert.deepEqual([cells().length, cells()[8], cells()[9], cells()[10]], [18, 'COMPLETED', 'EXECUTING', 'QUEUED']);
  const bar = one('.job [role=progressbar]');
  assert.deepEqual(['aria-label', 'aria-valuenow', 'aria-valuetext'].map((name) => bar.getAttribute(name)), ['Cells', '9', '9 of 18, executing cell 10']);
  assert.equal(one('.job .src').textContent, '# 3.2 Sales\nload()');
  assert.ok(one('.job p').textContent.includes('412 rows'));
  assert.equal(one('.job dl').textContent, 'regionEU');
  assert.ok(one('.head').textContent.includes('daily.ipynb') && one('.foot').textContent.includes('kernel python3'));
  mock.timers.tick(2000);
  assert.ok(one('.job .row').textContent.endsWith('for 00:33'));
});

test('where it failed; many cells are one bar; a run that is no job has nothing of this', () => {
  const model = draw(new FakeModel(running({ at: 'FAILED', told: 'failed in cell 10', since: undefined })));
  assert.equal(cells()[9], 'FAILED');
  model.say('view', running({ cells: 400, done: 100, cell: 101 }));
  assert.equal(cells().length, 0);
  assert.equal(one('.job .bar > i').style.width, '25%');
  model.say('view', { ...running(), job: undefined });
  assert.ok(one('.job').hidden);
});

test('hostile text stays text', () => {
  const evil = '<img src=x onerror="globalThis.hit = true"><script>globalThis.hit = true</script>';
  draw(new FakeModel(running({ file: evil, kernel: evil, told: evil, source: evil, output: evil, at: evil, parameters: [{ name: evil, value: evil }] }, { files: [{ name: evil, size: evil, path: evil }] })));
  assert.equal(place.querySelectorAll('img, script').length, 0);
  assert.equal(globalThis.hit, undefined);
});

test('its notebook is asked for by name and kept as a file, never opened', () => {
  const model = draw(new FakeModel(running()));
  const button = one('.files button');
  assert.equal(button.textContent, 'Download daily.ipynb so far214 kB');
  button.click();
  assert.deepEqual(model.sent, [{ do: 'fetch', name: 'daily.ipynb', n: 1 }]);
  const kept = [];
  mock.method(URL, 'createObjectURL', (blob) => { kept.push([blob.type, blob.size]); return 'blob:it'; });
  const clicked = mock.method(window.HTMLElement.prototype, 'click', () => {});
  model.heard.get('msg:custom')[0]({ file: 'daily.ipynb', is_last: false }, [new Uint8Array(3)]);
  model.heard.get('msg:custom')[0]({ file: 'daily.ipynb', is_last: true }, [new Uint8Array(2)]);
  assert.deepEqual(kept, [['application/octet-stream', 5]]);
  assert.equal(clicked.mock.callCount(), 1);
  model.say('answer', { to: 1, ok: false, text: 'gone' });
  assert.ok(one('.why').textContent.includes('Not downloaded: gone'));
  mock.restoreAll();
});

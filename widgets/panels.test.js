import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { FakeModel, draw, leave, place, stage } from './stage.js';
import { ahead, moment } from './format.js';

const AS_OF = { as_of: '2026-11-21T13:33:21Z', as_of_text: 'Sat 21 Nov 2026, 14:33:21', zone: 'Europe/Berlin' };
const EVIL = '<img src=x onerror=alert(1)>';

stage('');

const shown = async (file, view) => {
  const { render } = await import(file);
  return draw(new FakeModel({ ...view, ...AS_OF }), render);
};

const schedule = (id, more = {}) => ({ id, on: true, task: id, cron: '0 7 * * *', words: 'At 07:00', timezone: 'Asia/Tokyo', missed: '–', next_at: '2026-11-21T22:00:00Z', ...more });
const schedules = (...rows) => ({ title: '1 active, 1 off', rows, note: '' });

test('a schedule says when in both zones, what came last and what was missed', async () => {
  await shown('./schedules.js', schedules(schedule('report', { last_at: '2026-11-20T22:00:00Z', last_status: 'FAILED', last_word: 'Failed', missed: '6', missed_why: 'no engine was running' }), schedule('mail', { on: false, external: 'u1' })));
  const [report, mail] = place.querySelectorAll('tbody tr');
  assert.match(report.textContent, /reportAt 07:00, Asia.Tokyo0 7 \* \* \*.*07:00 in Tokyo, in 8 h 26 min/);
  assert.match(report.textContent, /Failed.*6 missed/);
  assert.equal(report.querySelector('.warn').title, 'the last ones because no engine was running');
  assert.match(mail.textContent, /mail · u1.*offwould be .*never yet/);
  mock.timers.tick(60_000);
  assert.match(report.textContent, /in 8 h 2[56] min/);
});

test('switch and run now are asked of the kernel', async () => {
  const model = await shown('./schedules.js', schedules(schedule('report'), schedule('mail', { on: false })));
  const [on, off] = place.querySelectorAll('[role=switch]');
  assert.deepEqual([on.getAttribute('aria-checked'), off.getAttribute('aria-checked')], ['true', 'false']);
  on.click();
  off.click();
  place.querySelector('[aria-label="Run report now"]').click();
  assert.deepEqual(model.sent.map(({ n, ...sent }) => sent), [{ do: 'off', id: 'report' }, { do: 'on', id: 'mail' }, { do: 'run', id: 'report' }]);
  model.say('view', { ...schedules(schedule('report')), ...AS_OF, answer: { to: 3, ok: true, text: 'Triggered run_1 of report' } });
  assert.match(place.textContent, /Triggered run_1 of report/);
});

const four = [{ name: 'Runs ended per minute', value: '102', more: 'last 15 min', line: [0, 4, 8] }, { name: 'Executing', value: '31', of: '40', share: 0.775 }, { name: 'Start delay', value: '–', line: [-1, 0.1, 0.2] }];
const engine = (more = {}) => ({ is_well: true, title: 'Engine healthy', about: 'pid 4711', problem: '', began: '2026-11-21T13:00:00Z', four, held: [{ queue: 'images', queued: '17', reason: 'Queue images: 4 of 4 in use.' }], workers: [{ id: 'w1', kind: 'shared', pid: 12, doing: '22 runs', names: 'embed', is_busy: true, memory: '412 MB', since: '2026-11-21T13:31:21Z' }], logs: '', ...more });

test('the engine says how it is, what it does, and why runs wait', async () => {
  await shown('./engine.js', engine());
  assert.match(place.querySelector('.title').textContent, /Engine healthypid 4711 · up 33:21LogsRestart/);
  const [ended, executing, delay] = place.querySelectorAll('.stats > div');
  assert.match(executing.textContent, /Executing31 of 40/);
  assert.equal(executing.querySelector('.bar i').style.width, '77.5%');
  assert.equal(ended.querySelector('polyline').getAttribute('points'), '116,21 118,11.5 120,2');
  assert.equal(delay.querySelector('polyline').getAttribute('points'), '118,11.5 120,2', 'a gap where nothing started');
  const [held, worker] = place.querySelectorAll('tbody tr');
  assert.match(held.textContent, /images17Queue images: 4 of 4 in use/);
  assert.match(worker.textContent, /w1shared22 runs embed412 MB02:00/);
});

test('an engine that is away offers to start it', async () => {
  const model = await shown('./engine.js', engine({ is_well: false, is_away: true, title: 'Engine not running', problem: 'Nothing is lost.', four: [], held: [], workers: [], last_word: '14:33:21', began: null }));
  assert.match(place.textContent, /Its last word was at 14:33:21. Nothing is lost./);
  assert.deepEqual([...place.querySelectorAll('table')].map((table) => table.hidden), [true, true]);
  place.querySelector('[data-act=start]').click();
  assert.deepEqual(model.sent, [{ do: 'start', n: 1 }]);
});

test('what they show is text, and nothing is left behind', async () => {
  for (const [file, view] of [['./schedules.js', schedules(schedule(EVIL, { timezone: 'UTC', words: EVIL, external: EVIL }))], ['./engine.js', engine({ about: EVIL, problem: EVIL, logs: EVIL, workers: [{ id: EVIL, kind: EVIL, pid: 1, doing: EVIL, names: EVIL }] })]]) {
    const model = await shown(file, view);
    assert.equal(place.querySelector('img'), null);
    leave();
    assert.equal(model.listeners, 0);
  }
});

test('moments are those of the reader, far ones in hours and days', () => {
  const now = new Date(2026, 10, 21, 14, 33, 21);
  assert.equal(moment(now, now), '14:33:21');
  assert.equal(moment(new Date(2026, 10, 22, 7, 0), now), 'Sun 07:00');
  assert.equal(moment(new Date(2026, 11, 1, 7, 5), now), '1 Dec 07:05');
  assert.equal(moment(new Date(2027, 0, 1, 7, 5), now), '1 Jan 2027 07:05');
  assert.deepEqual([ahead(42), ahead(16.5 * 3600), ahead(76 * 3600)], ['in 0:42', 'in 16 h 30 min', 'in 3 d 4 h']);
});

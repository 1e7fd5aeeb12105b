import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { FakeModel, draw, place, stage } from './stage.js';

const ASKED = { id: 'waitpoint_k2vd', title: 'Approve invoice INV-2291?', context: [{ key: 'amount', value: '18,400.00 EUR' }, { key: 'supplier', value: '<b>Nordlicht</b>' }], answer: '{"approved": true, "note": ""}', until: '2026-11-21T14:19:33Z' };
const view = (more = {}) => ({ asked: ASKED, status: 'WAITING', word: 'Waiting', until_text: 'Sat 21 Nov 2026, 15:19:33', waiting: ['approve-invoice run_1'], created: 'created 14:20:03', tags: ['invoice'], as_of: '2026-11-21T13:33:21Z', as_of_text: 'Sat 21 Nov 2026, 14:33:21', zone: 'Europe/Berlin', ...more });

stage('./token.js');

const shown = (more = {}) => {
  const model = new FakeModel(view(more));
  return draw(model);
};
const one = (selector) => place.querySelector(selector);
const button = (act) => one(`[data-act="${act}"]`);
const write = (text) => {
  one('textarea').value = text;
  one('textarea').dispatchEvent(new Event('input'));
};

test('the question, what is to know, who asks, and how long there is', () => {
  shown();
  assert.equal(one('.name').textContent, 'Approve invoice INV-2291?');
  assert.match(one('.why:not(.bad)').textContent, /Asked by approve-invoice run_1/);
  assert.deepEqual([...place.querySelectorAll('dd')].map((value) => value.textContent), ['18,400.00 EUR', '<b>Nordlicht</b>']);
  assert.equal(one('b b'), null, 'a value is text, never markup');
  assert.equal(one('.clock').textContent, '46:12 left');
  mock.timers.tick(1000);
  assert.equal(one('.clock').textContent, '46:11 left');
});

test('Approve sends what is written, Reject its own answer, without asking again', () => {
  const model = shown();
  write('{"approved": true, "note": "ok"}');
  button('approve').click();
  assert.deepEqual(model.sent, [{ do: 'complete', data: '{"approved": true, "note": "ok"}', n: 1 }]);
  button('reject').click();
  assert.equal(model.sent.length, 1, 'one answer is under way');
  model.say('view', view({ answer: { to: 1, ok: true, text: '' } }));
  button('reject').click();
  assert.deepEqual(model.sent[1], { do: 'complete', data: '{"approved": false}', n: 2 });
});

test('what is no JSON cannot be sent, and it is said where', () => {
  const model = shown();
  write('{"approved": tru');
  assert.equal(button('approve').getAttribute('aria-disabled'), 'true');
  assert.match(one('.ask [role="alert"]').textContent, /line 1/i);
  button('approve').click();
  assert.deepEqual(model.sent, []);
  write('{"approved": true}');
  assert.equal(button('approve').getAttribute('aria-disabled'), 'false');
});

test('what was written stays while others are seen to wait', () => {
  const model = shown();
  write('{"note": "half"}');
  model.say('view', view({ waiting: ['approve-invoice run_1', 'audit run_2'] }));
  assert.equal(one('textarea').value, '{"note": "half"}');
  assert.match(one('.why:not(.bad)').textContent, /audit run_2/);
});

test('answered elsewhere: by whom, and nothing more to do', () => {
  const model = shown();
  model.say('view', view({ status: 'COMPLETED', word: 'Approved', is_final: true, why: 'Answered 14:24:13 by notebook invoices.ipynb.', output: '{"approved": true}', after: '04:10' }));
  assert.equal(one('.ask').hidden, true);
  assert.equal(one('.status').textContent, 'Approved');
  assert.equal(one('.clock').textContent, 'after 04:10');
  assert.match(one('.why:not(.bad)').textContent, /invoices\.ipynb/);
  assert.equal(one('pre').textContent, '{"approved": true}');
});

test('without a kernel nothing is sent', () => {
  const model = shown();
  mock.timers.tick(60_000);
  button('approve').click();
  assert.deepEqual(model.sent.filter((one) => one.do === 'complete'), []);
  assert.match(one('.status').textContent, /last known/);
});

const FORM = { fields: [
  { name: 'amount', kind: 'number', required: true, low: 0, high: 20_000, hint: '0 – 20,000' },
  { name: 'note', kind: 'text', has_default: true, initial: '' },
] };
const asking = (more) => shown({ asked: { ...ASKED, form: FORM, verdict: true, ...more } });
const fill = (at, text) => {
  const input = place.querySelectorAll('.ask .f input')[at];
  input.value = text;
  input.dispatchEvent(new Event('input'));
};

test('what is asked for is a form; Approve and Reject are one of its fields', () => {
  const model = asking();
  assert.equal(one('textarea'), null);
  button('approve').click();
  assert.deepEqual(model.sent, []);
  assert.match(one('.ask [role="alert"]').textContent, /Required/);
  fill(0, '17.5');
  button('approve').click();
  assert.deepEqual(model.sent, [{ do: 'complete', data: '{"approved":true,"amount":17.5}', n: 1 }]);
  model.say('view', view({ asked: { ...ASKED, form: FORM, verdict: true }, answer: { to: 1, ok: true, text: '' } }));
  fill(1, 'no');
  button('reject').click();
  assert.equal(model.sent[1].data, '{"approved":false,"amount":17.5,"note":"no"}');
});

test('what the engine refuses stands at its field, and what was filled in stays', () => {
  const model = asking();
  fill(0, '12');
  button('approve').click();
  const refusal = { to: 1, ok: false, text: 'The answer does not fit', errors: [{ path: ['amount'], text: 'Input should be less' }] };
  model.say('view', view({ asked: { ...ASKED, form: FORM, verdict: true }, answer: refusal }));
  assert.match(one('.ask .f [role="alert"]').textContent, /Input should be less/);
  assert.equal(one('p[role="alert"]').hidden, true, 'it is said once');
  assert.equal(one('.ask .f input').value, '12');
  model.say('view', view({ asked: { ...ASKED, form: FORM, verdict: true }, answer: { ...refusal, errors: [{ path: ['approved'], text: 'x' }] } }));
  assert.match(one('p[role="alert"]').textContent, /does not fit/);
});

test('an answer that is no yes or no has one button', () => {
  const model = asking({ verdict: false, form: { whole: true, fields: [{ name: 'payload', label: 'answer', kind: 'choice', required: true, choices: [{ label: 'red', value: 'red' }, { label: 'green', value: 'green' }] }] } });
  assert.equal(button('approve').textContent, 'Send answer');
  assert.equal(button('reject').hidden, true);
  place.querySelectorAll('.seg input')[1].checked = true;
  button('approve').click();
  assert.equal(model.sent[0].data, '"green"');
});

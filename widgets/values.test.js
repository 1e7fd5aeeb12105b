import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fault } from './fault.js';
import { call, literal } from './python.js';
import { first, read } from './values.js';

const field = (kind, more = {}) => ({ name: 'x', kind, ...more });

test('a field that is left as it was is not sent', () => {
  for (const one of [field('text'), field('text', { initial: 'a' }), field('number', { initial: 512 }), field('check', { initial: true }), field('json', { initial: { a: [1] } }), field('choice', { initial: 'b', choices: [{ label: 'a', value: 'a' }, { label: 'b', value: 'b' }] })]) {
    assert.deepEqual(read(one, first(one)), {}, JSON.stringify(one));
  }
});

test('a required field that is empty says so, one that may be none is none', () => {
  assert.deepEqual(read(field('text', { required: true }), ''), { error: 'Required' });
  assert.deepEqual(read(field('number', { required: true, nullable: true }), ''), { value: null });
  assert.deepEqual(read(field('text', { nullable: true, initial: 'a' }), ''), { value: null });
  assert.deepEqual(read(field('text', { initial: 'a' }), ''), { value: '' });
  assert.deepEqual(read(field('check', { required: true }), false), { value: false });
});

test('numbers keep their bounds, and large ones their digits', () => {
  const width = field('number', { integer: true, low: 16, high: 4096 });
  assert.deepEqual(read(width, '17'), { value: 17 });
  assert.deepEqual(read(width, '9000'), { error: 'Must be at most 4,096' });
  assert.deepEqual(read(width, '1'), { error: 'Must be at least 16' });
  assert.deepEqual(read(width, '17.5'), { error: 'Must be a whole number' });
  assert.deepEqual(read(width, 'many'), { error: 'Must be a number' });
  const share = field('number', { above: 0, below: 1 });
  assert.deepEqual(read(share, '0'), { error: 'Must be over 0' });
  assert.deepEqual(read(share, '1'), { error: 'Must be under 1' });
  assert.deepEqual(read(share, '1e-3'), { value: 0.001 });
  assert.deepEqual(read(field('number', { integer: true }), '12345678901234567890'), { value: '12345678901234567890' });
});

test('texts keep their length and pattern, choices their value', () => {
  assert.deepEqual(read(field('text', { pattern: '^https?://' }), 'img.example'), { error: 'Must match ^https?://' });
  assert.deepEqual(read(field('text', { max_length: 2 }), 'abc'), { error: 'Must have at most 2 characters' });
  assert.deepEqual(read(field('text', { max_length: 2 }), '😀😀'), { value: '😀😀' });
  assert.deepEqual(read(field('choice', { choices: [{ label: '1', value: 1 }] }), '0'), { value: 1 });
});

test('a moment is sent with the zone of the browser, and shown in it', () => {
  const { value } = read(field('datetime'), '2026-12-01T09:00');
  assert.match(value, /^2026-12-01T09:00[+-]\d\d:\d\d$/);
  assert.equal(first(field('datetime', { initial: value })), '2026-12-01T09:00');
  assert.equal(first(field('datetime', { initial: '2026-12-01T09:00:00' })), '2026-12-01T09:00');
});

test('the place of a fault in JSON is told', () => {
  for (const good of ['1', ' {"a": [1, -2.5e+3, "x\\n\\u00e9", {}, []], "b": null} ', '"é"', '\n[\n]\n']) {
    assert.equal(fault(good), '', good);
    JSON.parse(good);
  }
  const faults = {
    '{"since": "2026-11-01",\n "dry_run": tru}': 'Line 2, column 13: expected true, false, null, a number, text, a list or an object',
    '{a: 1}': 'Line 1, column 2: expected a name in double quotes',
    '{"a" 1}': 'Line 1, column 6: expected a colon',
    '[1, 2': 'Line 1, column 6: expected a comma or ]',
    '[1,]': 'Line 1, column 4: expected true, false, null, a number, text, a list or an object',
    '"open': 'Line 1, column 1: expected text that ends with a double quote',
    '1 2': 'Line 1, column 3: expected nothing more',
    '01': 'Line 1, column 1: expected true, false, null, a number, text, a list or an object',
    '': 'Line 1, column 1: expected true, false, null, a number, text, a list or an object',
  };
  for (const [bad, told] of Object.entries(faults)) {
    assert.equal(fault(bad), told, bad);
    assert.throws(() => JSON.parse(bad));
  }
});

test('the same call is written in Python', () => {
  assert.equal(literal({ a: [1, true, null, 'é"\n'] }), '{"a": [1, True, None, "é\\"\\n"]}');
  assert.equal(call('resize', false, { url: 'a.png', width: 256 }, {}), 'resize.trigger(url="a.png", width=256)');
  assert.equal(call('resize', false, {}, { delay: '10m', tags: ['a'] }), 'resize.options(delay="10m", tags=["a"]).trigger()');
  assert.equal(call('sync', false, { class: 1, 'a-b': 2 }, {}), 'sync.trigger({"class": 1, "a-b": 2})');
  assert.equal(call('sync', true, [1], {}), 'sync.trigger([1])');
  assert.equal(call('sync', true, undefined, {}), 'sync.trigger()');
});

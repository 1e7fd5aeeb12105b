import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countdown, figure, ticking } from './format.js';

test('durations tick in the widths the card reserves', () => {
  assert.deepEqual([0, 134.9, 3661, 151200, -3].map(ticking), ['00:00', '02:14', '1:01:01', '1 d 18 h', '00:00']);
});

test('a countdown never says less than is left', () => {
  assert.deepEqual([8.2, 0, -1, 2772, 3600, 151200].map(countdown), ['0:09', '0:00', '0:00', '46:12', '1:00:00', '1 d 18 h']);
});

test('figures take commas', () => {
  assert.equal(figure(2911004), '2,911,004');
  assert.equal(figure(0.25), '0.25');
});

// What the model of a part is that is unpacked by another, the one that all share.

import { part } from './page.js';

/**
 * What such a part's model is to anywidget.
 * @param {string} key
 * @param {string} by the part that unpacks it
 * @param {string} packed
 */
export function hands(key, by, packed) {
  void part(by).ready.then((made) => made.unpack(key, packed));
  return {};
}

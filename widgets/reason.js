// The line that says why a run stands where it does; for a while what became of a click stands there instead.

import { h } from './dom.js';

/** @typedef {import('./types').View} View */

/** @type {Record<string, [waits: string, refused: string]>} What is said of a click that waits, and of one that was refused. */
const CLICKS = {
  cancel: ['Cancel requested.', 'Not canceled:'], fetch: ['Asked for.', 'Not downloaded:'], complete: ['Answered.', 'Not taken:'],
  replay: ['Replay asked for.', 'Not replayed:'], '': ['Asked for.', 'Not shown:'],
};

/**
 * @param {View} view
 * @param {string[]} until
 * @param {boolean} waits
 * @param {string} refused
 * @param {string} kind
 */
export function why(view, until, waits, refused, kind) {
  const [asked, not] = CLICKS[kind] ?? CLICKS[''];
  if (waits && view.is_final) return [h('b', {}, asked), " The notebook's kernel is busy, or no longer connected."];
  if (waits) {
    const more = kind === 'cancel' ? ['; ', h('code', {}, `kernelkit cancel ${view.run_id}`), ' works at once.'] : ['.'];
    return [h('b', {}, asked), ' The kernel is busy and passes it on when the running cell ends', ...more];
  }
  if (refused) return [h('b', {}, not), ` ${refused}`];
  return (view.reason ?? []).map((bit, index) => {
    if (bit.kind === 'strong') return h('b', {}, bit.text);
    if (bit.kind === 'mono') return h('span', { class: 'mono' }, bit.text);
    if (bit.kind === 'countdown') return h('b', { title: `at ${bit.text}` }, 'in ', h('span', { class: 'num' }, until[index]));
    return bit.text;
  });
}

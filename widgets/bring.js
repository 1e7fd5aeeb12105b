// What the model of a part is: it unpacks its code and styles once a page.

import { part, tell } from './page.js';

/** @typedef {import('./page').Host} Host */

/** @param {string} key */
const needs = (key) => part(key).ready;

/**
 * What a part's model is to anywidget.
 * @param {string} key
 * @param {string} packed [styles, code] as JSON, gzip and base64
 */
export function brings(key, packed) {
  const mine = part(key);
  const brought = async () => {
    const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
    const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
    const [styles, code] = await new Response(plain).json();
    const url = URL.createObjectURL(new Blob([code], { type: 'text/javascript' }));
    const made = await (await import(url)).default(needs, key);
    URL.revokeObjectURL(url);
    const style = document.createElement('style');
    style.textContent = styles;
    document.head.append(style);
    mine.done(made);
  };
  if (!mine.isHere) {
    mine.isHere = true;
    brought().catch((problem) => mine.done({ render: (/** @type {Host} */ { el }) => tell(el, problem) }));
  }
  return { initialize: (/** @type {Host} */ { model }) => void mine.ready.then((made) => made.start?.(model.widget_manager)) };
}


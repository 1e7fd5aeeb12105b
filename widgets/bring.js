// What the model of the part is that all share: it unpacks its own code and styles and those of the others, once a page.

import { part } from './page.js';
import { tell } from './tell.js';

/** @typedef {import('./page').Host} Host */

const LETTERS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_\x60{|}~';

const NOTHING = Uint8Array.of(3, 0); // the end of a stream

/** @param {string} key */
const needs = (key) => part(key).ready;

/** @param {string} text four bytes in five letters, as Python's base64.b85encode writes them */
function bytes(text) {
  const made = new DataView(new ArrayBuffer(4 * Math.ceil(text.length / 5)));
  for (let at = 0; at < text.length; at += 5) {
    let word = 0;
    for (const letter of text.slice(at, at + 5).padEnd(5, '~')) word = word * 85 + LETTERS.indexOf(letter);
    made.setUint32((4 * at) / 5, word);
  }
  return made.buffer.slice(0, Math.floor((4 * text.length) / 5));
}

/**
 * What its model is to anywidget. All are [styles, code] as JSON, and one deflated stream: what is packed here is its
 * beginning, which each of the others goes on from, so that nothing is sent twice that they have in common.
 * @param {string} key
 * @param {string} packed
 */
export function brings(key, packed) {
  const begin = bytes(packed);
  let begun = 0; // letters of it

  /** @param {string} name @param {BlobPart} rest */
  const bring = async (name, rest) => {
    const plain = new Blob([begin, rest]).stream().pipeThrough(new DecompressionStream('deflate-raw'));
    const text = await new Response(plain).text();
    const [styles, code] = JSON.parse(text.slice(begun));
    begun ||= text.length;
    const url = URL.createObjectURL(new Blob([code], { type: 'text/javascript' }));
    const made = await (await import(url)).default(needs, name);
    URL.revokeObjectURL(url);
    const style = document.createElement('style');
    style.textContent = styles;
    document.head.append(style);
    return made;
  };

  /** @param {string} name @param {BlobPart} rest */
  const unpack = (name, rest) => {
    const mine = part(name);
    if (mine.isHere) return;
    mine.isHere = true;
    const done = (/** @type {object} */ made) => mine.done({ ...made, unpack: (/** @type {string} */ other, /** @type {string} */ text) => unpack(other, bytes(text)) });
    bring(name, rest).then(done, (problem) => done({ render: (/** @type {Host} */ { el }) => tell(el, problem) }));
  };
  unpack(key, NOTHING);
  return { initialize: (/** @type {Host} */ { model }) => void part(key).ready.then((made) => made.start?.(model.widget_manager)) };
}

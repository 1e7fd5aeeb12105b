// What went wrong in a run: the error, the reader's own lines around it, and the whole traceback behind a click.

import { h } from './dom.js';

/** @typedef {import('./types').View} View */

/**
 * @param {View} view
 * @param {(frame: import('./types').Frame) => HTMLElement | false} toCell
 */
export function failure(view, toCell) {
  const { error } = view;
  if (!error) return [];
  const frames = (error.frames ?? []).flatMap((frame) => [h('span', { class: 'dim' }, `${capital(frame.place)}${frame.function ? ` ${frame.function}` : ''}, line ${frame.line} `, toCell(frame)), ...sourceLines(frame)]);
  const note = h('div', { class: 'note err', 'data-s': 'FAILED' },
    h('p', { class: 'mono' }, h('b', {}, error.message ? `${error.name}:` : error.name), error.message ? ` ${error.message}` : ''),
    frames.length > 0 && h('div', { class: 'frame', 'aria-label': 'Traceback excerpt' }, ...frames),
    error.note && h('p', { class: 'small' }, error.note));
  if (error.traceback) note.append(traceback(error.traceback, error.frame_count ?? 0));
  return [note];
}

/** @param {import('./types').Frame} frame */
function sourceLines(frame) {
  /** @param {number} line @param {string | undefined} text @param {string} more */
  const one = (line, text, more) => (text ? [h('span', { class: `src${more}` }, h('span', {}, line), h('span', {}, text))] : []);
  return [...one(frame.line - 1, frame.before, ''), ...one(frame.line, frame.source, ' hit'), ...one(frame.line + 1, frame.after, '')];
}

/**
 * @param {string} text
 * @param {number} frames
 */
function traceback(text, frames) {
  const whole = h('pre', { class: 'out', hidden: true }, text);
  const toggle = h('button', { class: 'btn link', type: 'button', 'aria-expanded': 'false' }, `Full traceback${frames ? ` (${frames} ${frames === 1 ? 'frame' : 'frames'})` : ''}`);
  toggle.addEventListener('click', () => {
    whole.hidden = !whole.hidden;
    toggle.setAttribute('aria-expanded', String(!whole.hidden));
  });
  return h('div', { class: 'whole' }, toggle, whole);
}

/** @param {string} text */
function capital(text) {
  return text.startsWith('cell') ? `C${text.slice(1)}` : text;
}

// The shapes of a timeline's rows. Texts stand only where they fit; the title of a shape has them all.

import { svg } from './dom.js';
import { lasted } from './format.js';
import { mark } from './marks.js';

/** @typedef {import('./types').TimelineRow} TimelineRow */
/** @typedef {import('./types').Span} Span */
/**
 * @typedef {{ view: import('./types').TimelineView, place: number, pitch: number, width: number, left: number, right: number,
 *   x: (at: number) => number, moment: number, from: number, to: number, clip: string, hatch: string }} Frame
 */

/** @type {[kind: string, status: string, word: string][]} */
export const LEGEND = [
  ['queued', 'QUEUED', 'queued'], ['executing', 'EXECUTING', 'executing'], ['executing', 'COMPLETED', 'ended well'],
  ['executing', 'FAILED', 'attempt failed'], ['waiting', 'WAITING', 'waiting'], ['backoff', 'RETRYING', 'backoff'],
];
const FAILED = new Set(['FAILED', 'CRASHED', 'SYSTEM_FAILURE', 'TIMED_OUT']);

/**
 * The spans of a row by the names of their parts.
 * @param {TimelineRow} row
 * @returns {Span[]}
 */
export function spansOf(row) {
  return (row.spans ?? []).map(([kind, begin, end, status = '', attempt = 0, say = '', note = '']) => ({ kind, begin, end, status, attempt, say, note }));
}

/**
 * One entry of the legend.
 * @param {string} kind
 * @param {string} status
 * @param {string} hatch
 */
export function swatch(kind, status, hatch) {
  const isOpen = status === 'EXECUTING';
  return svg('svg', { width: 22, height: 16 }, ...shape(kind, status, 0, isOpen ? 20 : 22, 8, isOpen, hatch), FAILED.has(status) && cross(11, 8));
}

/**
 * Everything in one row.
 * @param {TimelineRow} row
 * @param {Frame} frame
 */
export function draw(row, frame) {
  const { view, x, left, right, moment } = frame;
  const spans = spansOf(row);
  const middle = frame.place * frame.pitch + frame.pitch / 2 - (view.is_tree ? 0 : 5);
  const made = view.is_tree ? name(row, middle, left) : [];
  made.push(svg('g', { 'clip-path': `url(#${frame.clip})` }, ...spans.filter((span) => span.begin <= frame.to && (span.end ?? moment) >= frame.from).map((span) => draws(row, span, middle, frame))));
  if (spans.length && Math.min(...spans.map((span) => span.begin)) >= frame.to) made.push(svg('text', { class: 'dim', x: right - 2, y: middle + 4, 'text-anchor': 'end' }, 'later →'));
  if (spans.length && Math.max(...spans.map((span) => span.end ?? moment)) <= frame.from) made.push(svg('text', { class: 'dim', x: x(frame.from) + 4, y: middle + 4 }, '← earlier'));
  return made;
}

/**
 * @param {TimelineRow} row
 * @param {number} middle
 * @param {number} left
 */
function name(row, middle, left) {
  const at = 12 + Math.min(row.level ?? 0, 6) * 12;
  const letters = Math.floor((left - at - 26) / (row.level ? 6.6 : 7.6)); // the first is bold
  const shown = mark(row.status);
  for (const [key, value] of Object.entries({ x: at, y: middle - 6, width: 12, height: 12 })) shown.setAttribute(key, String(value));
  const text = row.name.length > letters ? `${row.name.slice(0, letters - 1)}…` : row.name;
  return [svg('g', { 'data-s': row.status }, shown, svg('title', {}, `${row.name}, ${row.word}`)), svg('text', { class: 'name', x: at + 18, y: middle + 4, 'font-weight': row.level ? 400 : 600 }, text, svg('title', {}, row.name))];
}

/**
 * @param {TimelineRow} row
 * @param {Span} span
 * @param {number} middle
 * @param {Frame} frame
 */
function draws(row, span, middle, frame) {
  const isOpen = span.end === undefined || span.end === null;
  const end = span.end ?? frame.moment;
  // What is far outside is cut, since some browsers lose shapes of a million pixels.
  const begin = Math.max(frame.x(span.begin), frame.left - 20);
  const wide = Math.max(3, Math.min(frame.x(end), frame.width + 20) - begin);
  const words = `${span.kind === 'executing' && span.attempt ? `attempt ${span.attempt} ` : ''}${span.say}`;
  const title = `${row.name}: ${words}${span.note ? ` (${span.note})` : ''}, ${clock(frame, span.begin)} – ${isOpen ? 'now' : clock(frame, end)}, ${lasted(end - span.begin)}`;
  return svg('g', { 'data-s': span.kind === 'pile' && FAILED.has(span.status) ? 'COMPLETED' : span.status, 'data-kind': span.kind }, svg('title', {}, title), ...shape(span.kind, span.status, begin, wide, middle, isOpen, frame.hatch), ...texts(span, begin, wide, middle, end, frame));
}

/**
 * @param {string} kind
 * @param {string} status
 * @param {number} x
 * @param {number} wide
 * @param {number} middle
 * @param {boolean} isOpen
 * @param {string} hatch
 */
function shape(kind, status, x, wide, middle, isOpen, hatch) {
  /** @param {number} high @param {Record<string, string | number>} more */
  const bar = (high, more, y = middle - high / 2, at = x, width = wide) => svg('rect', { x: at, y, width, height: high, ...more });
  const solid = { fill: 'var(--kk-s)' };
  switch (kind) {
    case 'executing': {
      const made = [bar(14, { ...solid, rx: 2 })];
      if (isOpen) made.push(svg('path', { d: `M${x + wide} ${middle - 9}v18`, stroke: 'var(--kk-s)', 'stroke-width': 2 }));
      return made;
    }
    case 'waiting':
      return [bar(8, { fill: `url(#${hatch})` }), svg('path', { d: `M${x} ${middle - 4}h${wide}M${x} ${middle + 4}h${wide}`, stroke: 'var(--kk-s)' })];
    case 'backoff':
      return [svg('path', { d: `M${x + 2} ${middle}h${Math.max(0.1, wide - 4)}`, stroke: 'var(--kk-s)', 'stroke-width': 2, 'stroke-dasharray': '2 4', 'stroke-linecap': 'round' })];
    case 'pile': {
      const made = [bar(14, { ...solid, rx: 2, opacity: 0.35 }), bar(4, solid, middle + 3)];
      if (FAILED.has(status)) made.push(svg('g', { 'data-s': status }, bar(14, solid, middle - 7, x + Math.max(0, wide - 6), Math.min(6, wide))));
      return made;
    }
    default:
      return [bar(6, { fill: 'none', stroke: 'var(--kk-s)' }, middle - 3, x + 0.5, Math.max(2, wide - 1))];
  }
}

/** @param {number} x @param {number} y */
function cross(x, y) {
  return svg('path', { d: `M${x - 3} ${y - 3}l6 6m0 -6l-6 6`, stroke: 'var(--kk-surface)', 'stroke-width': 1.6 });
}

/**
 * The number of an attempt, its cross, and what the bar is, as far as there is room.
 * @param {Span} span
 * @param {number} x
 * @param {number} wide
 * @param {number} middle
 * @param {number} end
 * @param {Frame} frame
 */
function texts(span, x, wide, middle, end, frame) {
  const from = Math.max(x, frame.left);
  const room = Math.min(x + wide, frame.right) - from;
  /** @param {string} text */
  const fits = (text) => room > text.length * 6.3 + 10;
  const isTree = frame.view.is_tree;
  if (span.kind === 'executing') {
    const number = span.attempt ? String(span.attempt) : '';
    const error = FAILED.has(span.status) ? span.note.split(':')[0] : '';
    const more = !isTree && error && fits(`${number}  ${error}   `) ? `  ${error}` : '';
    return [number && room > 16 && svg('text', { class: 'on', x: from + 5, y: middle + 4 }, number + more), FAILED.has(span.status) && room > 28 && cross(x + wide - 8, middle)];
  }
  if (isTree) {
    const text = span.kind === 'queued' ? span.note : span.kind === 'backoff' || span.kind === 'starting' ? '' : span.say;
    if (!text || !fits(text)) return [];
    if (span.kind === 'pile') return [svg('text', { x: from + 6, y: middle + 1, 'font-size': 10 }, text)];
    return [svg('rect', { class: 'under', x: from + 6, y: middle - 7, width: text.length * 5.7 + 10, height: 14 }), svg('text', { class: 'dim', x: from + 11, y: middle + 4 }, text)];
  }
  const long = span.kind === 'waiting' ? span.say : `${span.say} ${lasted(end - span.begin)}`;
  const text = [long, lasted(end - span.begin)].find(fits);
  return text ? [svg('text', { class: 'dim', x: from + room / 2, y: middle + 20, 'text-anchor': 'middle' }, text)] : [];
}

/** @param {Frame} frame @param {number} at */
function clock(frame, at) {
  const moment = new Date(Date.parse(frame.view.origin) + ((frame.view.offset ?? 0) + at) * 1000);
  return moment.toISOString().slice(11, 19);
}

// The status marks and icons, 16 x 16, drawn in currentColor. Open shapes have not ended, filled shapes have.

import { svg } from './dom.js';

/** @typedef {[tag: string, attributes: Record<string, string | number>]} Shape */

const LINE = { fill: 'none', stroke: 'currentColor', 'stroke-width': 1.6, 'stroke-linecap': 'round', 'stroke-linejoin': 'round' };
const CUT = { ...LINE, stroke: 'var(--kk-surface)', 'stroke-width': 1.7 };
const FILL = { fill: 'currentColor' };

/** @returns {Shape} */
const ring = (more = {}) => ['circle', { cx: 8, cy: 8, r: 6, ...LINE, ...more }];
/** @returns {Shape} */
const disc = () => ['circle', { cx: 8, cy: 8, r: 7, ...FILL }];
/** @param {string} d @returns {Shape} */
const line = (d, more = {}) => ['path', { d, ...LINE, ...more }];
/** @param {string} d @returns {Shape} */
const cut = (d) => ['path', { d, ...CUT }];
/** @param {string} d @returns {Shape} */
const fill = (d) => ['path', { d, ...FILL }];

/** @type {Record<string, Shape[]>} */
export const MARKS = {
  DELAYED: [ring(), line('M8 4.8V8l2.2 1.4')],
  QUEUED: [ring()],
  PENDING_VERSION: [ring({ 'stroke-dasharray': '2.2 2.5' })],
  DEQUEUED: [ring(), ['circle', { cx: 8, cy: 8, r: 2.4, ...FILL }]],
  EXECUTING: [ring({ opacity: 0.3 }), line('M8 2a6 6 0 0 1 6 6', { class: 'spin' }), fill('M6.6 5.6v4.8L10.6 8z')],
  WAITING: [ring(), line('M6.4 5.9v4.2M9.6 5.9v4.2')],
  RETRYING: [line('M13.6 8a5.6 5.6 0 1 1-1.7-4'), line('M12.3 1.4v3h-3')],
  COMPLETED: [disc(), cut('M4.8 8.3l2.2 2.2 4.2-4.6')],
  FAILED: [disc(), cut('M5.4 5.4l5.2 5.2M10.6 5.4l-5.2 5.2')],
  CRASHED: [fill('M8 .7L15.3 8 8 15.3.7 8z'), cut('M8 4.7v3.8M8 11v.1')],
  SYSTEM_FAILURE: [fill('M8 1l7.4 13.4H.6z'), cut('M8 6v3.6M8 12v.1')],
  TIMED_OUT: [disc(), cut('M8 4.4V8l2.4 1.6')],
  CANCELED: [disc(), cut('M4.9 8h6.2')],
  EXPIRED: [fill('M3 1h10v2.6L9.6 8l3.4 4.4V15H3v-2.6L6.4 8 3 3.6z')],
};

/** @type {Record<string, Shape[]>} */
export const ICONS = {
  stop: [['rect', { x: 4, y: 4, width: 8, height: 8, rx: 1, ...FILL }]],
  down: [line('M3.5 6l4.5 4.5L12.5 6')],
  minus: [line('M3.5 8h9')],
  plus: [line('M3.5 8h9M8 3.5v9')],
  right: [line('M6 3.5l4.5 4.5L6 12.5')],
  left: [line('M10 3.5L5.5 8l4.5 4.5')],
  play: [fill('M4.5 3v10l8-5z')],
  pause: [line('M5 3.5v9M11 3.5v9', { 'stroke-width': 2.4 })],
  replay: [line('M2.4 8a5.6 5.6 0 1 0 1.7-4'), line('M3.7 1.4v3h3')],
  x: [line('M4 4l8 8M12 4l-8 8')],
  tree: [line('M3 2.5V12h4M3 6h4M8 4h6v4H8zM8 10h6v4H8z')],
  more: [3.5, 8, 12.5].map((cx) => ['circle', { cx, cy: 8, r: 1.4, ...FILL }]),
  check: [line('M3 8.5l3.5 3.5L13 4.5')],
};

/**
 * @param {string} status
 * @returns {SVGElement}
 */
export function mark(status) {
  return draw(MARKS[status] ?? MARKS.PENDING_VERSION, 'mark');
}

/**
 * @param {string} name
 * @returns {SVGElement}
 */
export function icon(name) {
  return draw(ICONS[name], 'icon');
}

/**
 * @param {Shape[]} shapes
 * @param {string} kind
 * @returns {SVGElement}
 */
export function draw(shapes, kind) {
  const set = { class: kind, viewBox: '0 0 16 16', width: 16, height: 16, 'aria-hidden': 'true', focusable: 'false' };
  return svg('svg', set, ...shapes.map(([tag, attributes]) => svg(tag, attributes)));
}

// The live timeline. The kernel sends spans in seconds since the origin; what goes on has no end and grows here. Zoom and
// the part in sight are the reader's and stay in the browser. Keys act only while a row has the focus.

import { Announcer } from './announcer.js';
import { h, redraw, svg } from './dom.js';
import { lasted } from './format.js';
import { icon, mark } from './marks.js';
import { ruler } from './ruler.js';
import { Silence } from './silence.js';
import { LEGEND, draw, spansOf, swatch } from './spans.js';

/** @typedef {import('./types').TimelineView} TimelineView */
/** @typedef {import('./types').TimelineRow} TimelineRow */
/** @typedef {import('./types').Model<TimelineView>} Model */

const RIGHT = 12;
const AIR = 0.85; // of the width is used when the scale is set anew, so that bars grow and do not shrink each second

/**
 * @param {{ model: Model, el: HTMLElement }} host
 * @returns {() => void}
 */
export function render({ model, el }) {
  const timeline = new Timeline(model);
  el.append(timeline.root);
  timeline.draw();
  return () => timeline.dispose();
}

class Timeline {
  /** @param {Model} model */
  constructor(model) {
    this.model = model;
    this.id = `kk-${Math.random().toString(36).slice(2)}`; // ids are the page's, which may have several versions of this module
    this.selected = '';
    this.quiet = false;
    this.second = -1;
    this.scale = 1; // pixels a second
    this.left = 12;
    this.edge = 0; // the end of the scale when all is in sight
    /** @type {[number, number] | null} */
    this.part = null; // what the reader has zoomed to
    this.announcer = new Announcer();
    this.silence = new Silence(model, () => this.tick(), 'the runs themselves go on');
    this.head = h('span', { class: 'told' });
    this.name = h('span', { class: 'dim small cut' });
    this.axis = svg('svg', { class: 'axis', height: 22, 'aria-hidden': 'true' });
    const hatch = svg('pattern', { id: `${this.id}-wait`, 'data-s': 'WAITING', width: 5, height: 5, patternTransform: 'rotate(45)', patternUnits: 'userSpaceOnUse' }, svg('path', { d: 'M0 0V5', stroke: 'var(--kk-s)', 'stroke-width': 2, opacity: 0.65 }));
    this.clip = svg('rect', { y: 0 });
    this.lines = svg('g', { 'aria-hidden': 'true' });
    this.rows = svg('g', { role: 'rowgroup' });
    this.now = svg('path', { class: 'now', 'aria-hidden': 'true' });
    this.plot = svg('svg', { class: 'plot', role: 'grid' }, svg('defs', {}, svg('clipPath', { id: this.id }, this.clip), hatch), this.lines, this.rows, this.now);
    this.box = h('div', { class: 'tl', 'data-lm-suppress-shortcuts': 'true' }, this.axis, this.plot);
    this.shown = svg('rect', { y: 1, height: 14, rx: 2, fill: 'var(--kk-blue)', 'fill-opacity': 0.2, stroke: 'var(--kk-blue)' });
    this.seen = h('div', { class: 'seen', hidden: true }, svg('svg', { role: 'img', 'aria-label': 'The part in sight' }, svg('rect', { y: 6, width: '100%', height: 4, fill: 'var(--kk-track)' }), this.shown));
    this.rest = h('div', { class: 'rest', hidden: true });
    this.rest.addEventListener('click', () => this.model.send({ do: 'more' }));
    /** @param {number} factor @param {string} text @param {string} title */
    const button = (factor, text, title) => {
      const one = h('button', { class: 'btn', type: 'button', title, 'aria-label': title }, factor === 0 ? text : icon(text));
      one.addEventListener('click', () => this.zoom(factor));
      return one;
    };
    this.root = h('section', { class: 'kk', role: 'group' }, this.silence.strip,
      h('div', { class: 'title' }, h('span', { class: 'name' }, 'Timeline'), this.head, this.name, h('span', { class: 'gap' }), button(1.6, 'minus', 'Zoom out (−)'), button(1 / 1.6, 'plus', 'Zoom in (+)'), button(0, 'Fit', 'Show all (0)')),
      this.seen, this.box, this.rest, h('div', { class: 'legend', 'aria-hidden': 'true' }, ...LEGEND.map(([kind, status, word]) => h('span', { 'data-s': status }, swatch(kind, status, `${this.id}-wait`), word))), this.announcer.place);
    this.plot.addEventListener('keydown', (event) => this.key(event));
    this.plot.addEventListener('click', (event) => {
      this.select(/** @type {Element} */ (event.target));
      this.focus(this.selected); // JupyterLab has given it to the cell
    });
    this.plot.addEventListener('focusin', (event) => this.select(/** @type {Element} */ (event.target)));
    this.box.addEventListener('wheel', (event) => this.wheel(event), { passive: false });
    this.listenToDrag();
    this.onView = () => this.draw();
    model.on('change:view', this.onView);
    this.sized = typeof ResizeObserver === 'undefined' ? null : new ResizeObserver(() => this.draw());
    this.sized?.observe(this.box);
  }

  dispose() {
    this.silence.dispose();
    this.sized?.disconnect();
    this.model.off('change:view', this.onView);
  }

  get view() {
    return this.model.get('view');
  }

  /** Seconds since the origin, up to which everything is known. */
  get moment() {
    const view = this.view;
    if (view.is_final) return view.length ?? 0;
    const at = this.quiet ? Date.parse(view.as_of) : this.silence.now();
    return Math.max(view.length ?? 0, (at - Date.parse(view.origin)) / 1000, 0);
  }

  /** The seconds in sight, from and to. @returns {[number, number]} */
  get sight() {
    return this.part ?? [0, this.edge];
  }

  tick() {
    const second = Math.floor(this.moment);
    const quiet = this.silence.draw(this.view.as_of_text ?? '');
    if (this.view.task) this.announcer.say(`${this.view.task}: ${this.view.word}${quiet ? ', last known' : ''}`);
    if (quiet === this.quiet && second === this.second) return;
    this.quiet = quiet;
    this.second = second;
    this.root.classList.toggle('stale', quiet);
    this.draw();
  }

  draw() {
    const { view, moment } = this;
    if (!view.run_id) return;
    if (moment >= this.edge || this.edge > 3 * moment) this.edge = Math.max(view.is_final ? moment * 1.02 : moment / AIR, 0.001);
    this.root.setAttribute('aria-label', `Timeline of ${view.task}, ${view.word}`);
    this.plot.setAttribute('aria-label', `Timeline of ${view.task}: ${view.rows.length} ${view.rows.length === 1 ? 'row' : 'rows'}`);
    redraw(this.head, [view.status, view.word], () => [h('span', { class: 'slot', 'data-s': view.status }, mark(view.status)), h('span', { class: 'status', 'data-s': view.status }, view.word)]);
    redraw(this.name, [view.task, view.run_id], () => [`${view.task} · ${view.run_id}`]);
    redraw(this.rest, view.hidden, () => (view.hidden ? [h('button', { class: 'btn link', type: 'button' }, `Show ${Math.min(160, view.hidden)} more of ${view.hidden.toLocaleString('en')}`)] : []));
    this.drawPlot(view, moment);
    this.root.classList.toggle('zoomed', this.part !== null);
    this.seen.hidden = this.part === null;
    const [from, to] = this.sight;
    this.shown.setAttribute('x', `${(100 * from) / this.edge}%`);
    this.shown.setAttribute('width', `${Math.max(1, (100 * (to - from)) / this.edge)}%`);
  }

  /** @param {TimelineView} view @param {number} moment */
  drawPlot(view, moment) {
    const width = this.box.clientWidth || 700;
    const isNarrow = width < 640;
    const left = view.is_tree ? (isNarrow ? 156 : 200) : 12;
    const pitch = view.is_tree ? 26 : 40;
    const height = view.rows.length * pitch + (view.is_tree ? 4 : 14);
    const [from, to] = this.sight;
    const room = Math.max(1, width - left - RIGHT);
    this.scale = room / (to - from);
    this.left = left;
    /** @param {number} at */
    const x = (at) => left + (at - from) * room / (to - from);
    for (const [name, value] of Object.entries({ height, viewBox: `0 0 ${width} ${height}` })) this.plot.setAttribute(name, String(value));
    this.axis.setAttribute('viewBox', `0 0 ${width} 22`);
    for (const [name, value] of Object.entries({ x: left - 1, width: room + 2, height })) this.clip.setAttribute(name, String(value));

    const at = x(moment);
    const nowInSight = !view.is_final && at >= left && at <= width - RIGHT;
    const ticks = ruler(from, to, room, isNarrow, (Date.parse(view.origin) / 1000 + (view.offset ?? 0)));
    redraw(this.lines, [ticks, width, left, height], () => ticks.map((tick) => svg('path', { class: 'grid', d: `M${x(tick.at)} 0V${height}` })));
    const said = `now ${lasted(moment)}`;
    const isLeft = at > width - 78;
    const nowEnds = isLeft ? [at - 70, at + 4] : [at - 4, at + 70];
    /** @param {{ at: number, label: string }} tick */
    const isClear = (tick) => {
      const ends = x(tick.at) + tick.label.length * 6.6 + 6;
      return ends < width && !(nowInSight && x(tick.at) < nowEnds[1] && ends > nowEnds[0]);
    };
    redraw(this.axis, [ticks, width, left, nowInSight && [Math.round(at), said]], () => [
      ...ticks.filter(isClear).map((tick) => svg('text', { class: 'dim', x: x(tick.at) + 3, y: 14 }, tick.label)),
      nowInSight && svg('path', { class: 'now', d: `M${at} 4V22` }),
      nowInSight && svg('text', { class: 'now', x: isLeft ? at - 4 : at + 4, y: 14, 'text-anchor': isLeft ? 'end' : 'start' }, said),
    ]);
    this.now.setAttribute('d', nowInSight ? `M${at} 0V${height}` : '');

    const known = new Map([...this.rows.children].map((row) => [/** @type {SVGElement} */ (row).dataset.key, /** @type {SVGElement} */ (row)]));
    const had = this.rows.contains(document.activeElement);
    const rows = view.rows.map((row, place) => {
      const isOpen = spansOf(row).some((span) => span.end === undefined || span.end === null);
      const element = known.get(row.key) ?? svg('g', { role: 'row', 'data-key': row.key });
      const label = told(row, moment);
      if (element.getAttribute('aria-label') !== label && !(had && isOpen && element.hasAttribute('aria-label') && element === document.activeElement)) element.setAttribute('aria-label', label);
      redraw(element, [row, place, width, left, from, to, isOpen && Math.round(at)], () => [
        svg('rect', { class: 'hit', x: 1, y: place * pitch, width: width - 2, height: pitch }),
        svg('g', { role: 'gridcell' }, ...draw(row, { view, place, pitch, width, left, right: width - RIGHT, x, moment, from, to, clip: this.id, hatch: `${this.id}-wait` })),
      ]);
      return element;
    });
    if (!view.rows.some((row) => row.key === this.selected)) this.selected = view.rows[0]?.key ?? '';
    for (const row of rows) row.setAttribute('tabindex', row.dataset.key === this.selected ? '0' : '-1');
    if (rows.length !== this.rows.children.length || rows.some((row, place) => row !== this.rows.children[place])) this.rows.replaceChildren(...rows);
    if (had && !this.rows.contains(document.activeElement)) this.focus(this.selected);
  }

  // ---- zoom --------------------------------------------------------------------------------------------------------

  /**
   * Make the part in sight longer or shorter; the second under `share` of the width stays where it is.
   * @param {number} factor 0 shows all
   */
  zoom(factor, share = 0.5) {
    const [from, to] = this.sight;
    const least = Math.min(this.edge, Math.max(0.05, this.edge / 5000));
    const length = factor === 0 ? this.edge : Math.max(least, (to - from) * factor);
    this.show(from + (to - from) * share - length * share, length);
  }

  /** @param {number} from @param {number} length */
  show(from, length) {
    const begin = Math.min(Math.max(0, from), Math.max(0, this.edge - length));
    this.part = length >= this.edge * 0.999 ? null : [begin, begin + length];
    this.draw();
  }

  /** @param {number} seconds */
  pan(seconds) {
    const [from, to] = this.sight;
    this.show(from + seconds, to - from);
  }

  /** @param {WheelEvent} event */
  wheel(event) {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const { left } = this;
    const box = this.box.getBoundingClientRect();
    const share = (event.clientX - box.left - left) / Math.max(1, box.width - left - RIGHT);
    this.zoom(event.deltaY < 0 ? 1 / 1.3 : 1.3, Math.min(1, Math.max(0, share)));
  }

  listenToDrag() {
    /** @type {number | undefined} */
    let from;
    this.plot.addEventListener('pointerdown', (event) => {
      if (event.button !== 0 || !this.part) return;
      from = event.clientX;
      this.plot.setPointerCapture?.(event.pointerId);
    });
    this.plot.addEventListener('pointermove', (event) => {
      if (from === undefined) return;
      this.pan((from - event.clientX) / this.scale);
      from = event.clientX;
    });
    for (const name of ['pointerup', 'pointercancel']) this.plot.addEventListener(name, () => { from = undefined; });
  }

  // ---- keyboard ----------------------------------------------------------------------------------------------------

  /** @param {Element} target */
  select(target) {
    const row = /** @type {SVGElement | null} */ (target.closest('[role=row]'));
    if (!row) return;
    this.selected = row.dataset.key ?? '';
    for (const one of this.rows.children) one.setAttribute('tabindex', one === row ? '0' : '-1');
  }

  /** @param {string} key */
  focus(key) {
    for (const row of this.rows.children) if (/** @type {SVGElement} */ (row).dataset.key === key) /** @type {SVGElement} */ (row).focus();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { rows } = this.view;
    const place = rows.findIndex((row) => row.key === this.selected);
    const step = (this.sight[1] - this.sight[0]) / 8;
    /** @param {number} to */
    const go = (to) => rows[to] && this.focus(rows[to].key);
    /** @type {Record<string, () => unknown>} */
    const does = {
      ArrowDown: () => go(place + 1),
      ArrowUp: () => go(place - 1),
      Enter: () => rows[place] && !rows[place].is_group && this.model.send({ do: 'card', id: rows[place].key }),
      Home: () => go(0),
      End: () => go(rows.length - 1),
      ArrowLeft: () => this.pan(-step),
      ArrowRight: () => this.pan(step),
      '+': () => this.zoom(1 / 1.6),
      '=': () => this.zoom(1 / 1.6),
      '-': () => this.zoom(1.6),
      0: () => this.zoom(0),
    };
    if (!does[event.key]) return;
    event.preventDefault();
    event.stopPropagation();
    does[event.key]();
  }
}

/** A row with all its spans in words. @param {TimelineRow} row @param {number} moment */
function told(row, moment) {
  const spans = spansOf(row).map((span) => `${span.kind === 'executing' && span.attempt ? `attempt ${span.attempt} ` : ''}${span.say} ${lasted((span.end ?? moment) - span.begin)}`);
  return [row.name, row.word, ...spans].join(', ');
}

export default { render };

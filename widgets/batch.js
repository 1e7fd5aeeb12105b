// The live batch: a bar, counts that filter, a cell for each item in their order, and the line of the chosen one. The
// cells are a text of one letter each; a cell keeps its place, so an index can be read off the grid.

import { h, redraw, svg } from './dom.js';
import { figure } from './format.js';
import { mark } from './marks.js';
import { button, Panel } from './panel.js';

/** @typedef {import('./types').BatchView} BatchView */
/** @typedef {import('./types').BatchItem} BatchItem */
/** @typedef {import('./types').Model<BatchView>} Model */

/** @type {Record<string, string>} */
const STATUS = {
  l: 'DELAYED', q: 'QUEUED', p: 'PENDING_VERSION', d: 'DEQUEUED', e: 'EXECUTING', w: 'WAITING', r: 'RETRYING', C: 'COMPLETED', F: 'FAILED',
  X: 'CRASHED', S: 'SYSTEM_FAILURE', T: 'TIMED_OUT', N: 'CANCELED', P: 'EXPIRED', '-': 'NONE',
};
const FAILED = 'FXST';
const WIDE = 692; // of the drawing; it is scaled to the output
const GAP = 2;
const TEN = 4;
const PAGE = `kk-batch-${Math.random().toString(36).slice(2)}`; // a page may have several versions of this module
let made = 0;

/**
 * @param {{ model: Model, el: HTMLElement }} host
 * @returns {() => void}
 */
export function render({ model, el }) {
  const batch = new Batch(model);
  el.append(batch.root);
  return () => batch.dispose();
}

/** @extends {Panel<BatchView>} */
class Batch extends Panel {
  /** @param {Model} model */
  constructor(model) {
    super(model, 'Batch', 'the runs themselves go on');
    this.root.classList.add('batch');
    this.id = `${PAGE}-${made += 1}`;
    this.cells = [...(this.view.cells ?? '')];
    this.at = -1;
    this.only = ''; // the codes of the count that filters
    this.name = /** @type {HTMLElement} */ (this.title.querySelector('.name'));
    this.per = this.cells.length <= 100 ? 40 : 50;
    this.side = (WIDE - (this.per - 1) * GAP - (this.per / 10 - 1) * TEN) / this.per;
    this.progress = h('div', { class: 'ended' });
    this.counts = h('div', { class: 'counts', role: 'group', 'aria-label': 'Filter by status' });
    this.grid = svg('svg', { class: 'cellgrid', role: 'grid', tabindex: 0, 'data-lm-suppress-shortcuts': 'true' });
    this.grid.addEventListener('keydown', (event) => this.key(/** @type {KeyboardEvent} */ (event)));
    this.grid.addEventListener('click', (event) => this.click(event));
    this.line = h('div', { 'aria-live': 'polite' });
    this.foot = h('div', { class: 'foot' });
    this.body.append(this.progress, this.counts, h('div', { class: 'cells' }, this.grid), this.line, this.foot);
    this.drawGrid();
    this.redraw();
  }

  /** @param {BatchView} view */
  draw(view) {
    if (!view.batch_id) return;
    this.take(view.cells ?? '');
    this.root.setAttribute('aria-label', `Batch ${view.batch_id}: ${view.word}`);
    this.name.textContent = view.name;
    redraw(this.sub, view.status, () => [h('span', { class: 'row status', 'data-s': view.status }, mark(view.status), view.word)]);
    const clock = view.since ? '' : view.clock;
    redraw(this.buttons, [view.since, clock, view.open, this.number], () => [h('span', { class: 'num small dim', 'data-since': view.since }, view.clock),
      view.open && button('cancel', 'stop', this.number ? 'Canceling…' : 'Cancel rest', () => this.number || this.act({ do: 'cancel' }), `Cancel ${figure(view.open)}`)]);
    redraw(this.progress, [view.ended, view.total, view.left, view.counts], () => {
      const bar = h('div', { class: 'bar', role: 'progressbar', 'aria-label': 'Ended', 'aria-valuemin': 0, 'aria-valuemax': view.total, 'aria-valuenow': view.ended }, ...view.counts.filter((one) => ['COMPLETED', 'FAILED', 'CANCELED'].includes(one.status) && one.count).map((one) => {
        const part = h('i', { 'data-s': one.status });
        part.style.width = `${(100 * one.count) / view.total}%`;
        return part;
      }));
      return [h('div', { class: 'row small' }, h('span', {}, h('b', {}, figure(view.ended)), ` of ${figure(view.total)} ended`), h('span', { class: 'gap dim' }, view.left)), bar];
    });
    redraw(this.counts, [view.counts, this.only], () => view.counts.map((one) => {
      const shown = h('button', { type: 'button', 'data-act': one.status, 'data-s': one.count ? one.status : 'NONE', 'aria-pressed': String(this.only === one.codes) }, mark(one.status), h('b', {}, figure(one.count)), h('small', {}, one.word));
      shown.addEventListener('click', () => {
        this.only = this.only === one.codes ? '' : one.codes;
        this.redraw();
        this.dim();
      });
      return shown;
    }));
    const lines = this.at >= 0 && view.chosen?.index === this.at ? [view.chosen] : view.failed ?? [];
    redraw(this.line, [lines, view.more_failed], () => [...lines.map((item) => this.item(item)), lines !== undefined && lines[0] !== view.chosen && (view.more_failed ?? 0) > 0 && h('p', { class: 'why' }, `${figure(view.more_failed ?? 0)} more failed; f goes to the next.`)]);
    redraw(this.foot, [view.batch_id, view.facts], () => [h('span', { class: 'mono' }, view.batch_id), ...(view.facts ?? []).map((fact) => h('span', {}, fact))]);
  }

  /** @param {BatchItem} item */
  item(item) {
    const open = button(`open ${item.index}`, '', 'Open run', () => this.model.send({ do: 'card', index: item.index }));
    open.classList.add('link');
    return h('div', { class: 'sel-line', 'data-s': item.status }, item.status && mark(item.status), h('span', { class: 'cut grow', title: item.text }, `#${item.index} · ${item.text ?? ''}`), item.run_id && open);
  }

  // ---- cells -------------------------------------------------------------------------------------------------------

  drawGrid() {
    const { per, side } = this;
    const lines = Math.ceil(this.cells.length / per);
    this.grid.setAttribute('viewBox', `-1 -1 ${WIDE + 2} ${lines * (side + GAP) + 1}`);
    this.grid.setAttribute('aria-label', `${figure(this.cells.length)} runs of the batch in order; arrow keys move, Enter opens`);
    const rows = [];
    for (let line = 0; line < lines; line += 1) {
      rows.push(svg('g', { role: 'row' }, ...this.cells.slice(line * per, (line + 1) * per).map((code, n) => {
        const cell = svg('g', { role: 'gridcell', id: `${this.id}-${line * per + n}`, transform: `translate(${n * (side + GAP) + Math.floor(n / 10) * TEN} ${line * (side + GAP)})` });
        return this.fill(cell, line * per + n, code);
      })));
    }
    this.grid.replaceChildren(...rows);
    this.dim();
    this.choose(this.at, false);
  }

  /** @param {SVGElement} cell @param {number} index @param {string} code */
  fill(cell, index, code) {
    const status = STATUS[code] ?? 'NONE';
    const word = status.toLowerCase().replace('_', ' ');
    cell.setAttribute('data-s', status);
    cell.setAttribute('aria-label', `#${index} ${word}`);
    cell.replaceChildren(svg('title', {}, `#${index} ${word}`), ...shape(code, this.side));
    return cell;
  }

  /** Only those that have changed are drawn again. @param {string} cells */
  take(cells) {
    const before = this.cells;
    this.cells = [...cells];
    if (before.length !== this.cells.length) {
      this.drawGrid();
      return;
    }
    this.cells.forEach((code, index) => {
      const cell = code !== before[index] && this.cell(index);
      if (cell) this.fill(cell, index, code);
    });
    this.dim();
  }

  /** @param {number} index */
  cell(index) {
    return /** @type {SVGElement | undefined} */ (this.grid.children[Math.floor(index / this.per)]?.children[index % this.per]);
  }

  dim() {
    this.cells.forEach((code, index) => this.cell(index)?.classList.toggle('off', !!this.only && !this.only.includes(code)));
  }

  /** @param {number} index @param {boolean} [mayAsk] */
  choose(index, mayAsk = true) {
    if (index < 0 || index >= this.cells.length) return;
    this.cell(this.at)?.classList.remove('sel');
    this.at = index;
    this.cell(index)?.classList.add('sel');
    this.grid.setAttribute('aria-activedescendant', `${this.id}-${index}`);
    if (mayAsk) this.model.send({ do: 'show', index });
  }

  /** @param {Event} event */
  click(event) {
    const cell = /** @type {Element} */ (event.target).closest('[role=gridcell]');
    if (cell) this.choose(Number(cell.id.slice(this.id.length + 1)));
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const last = this.cells.length - 1;
    const here = Math.max(0, this.at);
    /** @type {Record<string, () => void>} */
    const does = {
      ArrowRight: () => this.choose(this.at + 1),
      ArrowLeft: () => this.choose(this.at - 1),
      ArrowDown: () => this.choose(here + this.per),
      ArrowUp: () => this.choose(here - this.per),
      Home: () => this.choose(0),
      End: () => this.choose(last),
      Enter: () => this.at >= 0 && this.model.send({ do: 'card', index: this.at }),
      f: () => this.choose(this.cells.findIndex((code, index) => index > this.at && FAILED.includes(code))),
    };
    if (!does[event.key]) return;
    does[event.key]();
    event.preventDefault();
    event.stopPropagation();
  }
}

/**
 * What a cell shows besides its colour; open shapes have not begun.
 * @param {string} code @param {number} w
 */
function shape(code, w) {
  if ('lqp-'.includes(code)) return [svg('rect', { x: 0.5, y: 0.5, width: w - 1, height: w - 1, fill: 'none', stroke: 'var(--kk-s)', 'stroke-opacity': code === '-' ? 0.3 : 0.78 })];
  const m = w * 0.28;
  const q = w - m;
  const half = w / 2;
  /** @param {string} d @param {object} [more] */
  const line = (d, more = {}) => svg('path', { class: 'sign', d, stroke: 'var(--kk-surface)', 'stroke-width': w > 12 ? 1.6 : 1.2, fill: 'none', ...more });
  const cross = `M${m} ${m}L${q} ${q}M${q} ${m}L${m} ${q}`;
  /** @type {Record<string, string>} */
  const signs = { F: cross, X: cross, S: cross, T: cross, w: `M${w * 0.38} ${m}V${q}M${w * 0.62} ${m}V${q}`, r: `M${m} ${half}a${half - m} ${half - m} 0 1 1 ${half - m} ${half - m}`, N: `M${m} ${half}H${q}`, P: `M${m} ${half}H${q}` };
  const box = svg('rect', { width: w, height: w, fill: 'var(--kk-s-fill)', rx: 1 });
  if (code === 'e' || code === 'd') return [box, line(`M${w * 0.34} ${m}V${q}L${w * 0.74} ${half}z`, { fill: 'var(--kk-surface)', stroke: 'none' })];
  return signs[code] ? [box, line(signs[code])] : [box];
}

export default { render };

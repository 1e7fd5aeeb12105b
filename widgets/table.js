// The live runs table. The kernel sends the page; filters, pages and bulk actions are asked of it. What is chosen is
// known here alone. While the pointer or the focus is on a row, or any is chosen, the kernel is asked to hold new ones.

import { h, keyed, redraw, svg } from './dom.js';
import { figure } from './format.js';
import { icon, mark } from './marks.js';
import { button, Panel } from './panel.js';

/** @typedef {import('./types').TableView} TableView */
/** @typedef {import('./types').RunRow} RunRow */
/** @typedef {import('./types').Chip} Chip */
/** @typedef {import('./types').Model<TableView>} Model */
/** @typedef {'CANCEL' | 'REPLAY'} Kind */

const TYPED_MS = 300; // after the last key the search is asked for
const NAMES = { CANCEL: 'Cancel', REPLAY: 'Replay' };

/**
 * @param {{ model: Model, el: HTMLElement }} host
 * @returns {() => void}
 */
export function render({ model, el }) {
  const table = new Table(model);
  el.append(table.root);
  return () => table.dispose();
}

/** @extends {Panel<TableView>} */
class Table extends Panel {
  /** @param {Model} model */
  constructor(model) {
    super(model, 'Runs', 'the runs themselves go on');
    this.root.classList.add('runs');
    /** @type {Set<string>} */
    this.chosen = new Set();
    this.all = false; // every run that matches is meant, not the chosen rows
    /** @type {Kind | ''} */
    this.confirm = '';
    this.at = ''; // the row in the tab order
    this.anchor = '';
    this.isOver = this.isInside = this.isHeld = this.hasMore = false;
    this.search = /** @type {HTMLInputElement} */ (h('input', { type: 'search', placeholder: 'Run id, tag, or text', 'aria-label': 'Search runs', maxlength: 200 }));
    this.task = /** @type {HTMLSelectElement} */ (h('select', { 'aria-label': 'Task' }));
    this.period = /** @type {HTMLSelectElement} */ (h('select', { 'aria-label': 'Period' }));
    this.live = /** @type {HTMLInputElement} */ (h('input', { type: 'checkbox' }));
    this.chips = h('div', { class: 'filters', role: 'group', 'aria-label': 'Filter by status' });
    this.problem = h('p', { class: 'why', role: 'alert', hidden: true });
    this.action = h('div', { class: 'action', role: 'status', hidden: true });
    this.bulk = h('div', { class: 'bulk', role: 'toolbar', 'aria-label': 'Selected runs', hidden: true });
    this.spark = h('div', { class: 'spark', hidden: true });
    this.every = /** @type {HTMLInputElement} */ (h('input', { type: 'checkbox', 'aria-label': 'Select all on this page' }));
    this.lines = h('tbody');
    const head = [['', ''], ['Task', ''], ['Status', 'st'], ['Created', 'cr'], ['Duration', 'du'], ['Att.', 'num at hide-s'], ['Queue', 'qu hide-s'], ['Run', 'ru show-l']];
    this.grid = h('table', { role: 'grid', 'aria-label': 'Runs', 'data-lm-suppress-shortcuts': 'true', 'aria-multiselectable': 'true' },
      h('thead', {}, h('tr', {}, ...head.map(([name, kind], n) => h('th', { class: n ? kind : 'box', scope: 'col', title: name === 'Att.' && 'Attempts', 'aria-sort': name === 'Created' && 'descending' }, n ? name : this.every)))), this.lines);
    this.empty = h('p', { class: 'none', hidden: true });
    this.place = h('span', { class: 'grow' });
    this.fresh = h('span');
    this.newer = button('newer', 'left', 'Newer', () => this.page('newer'), 'Newer page');
    this.older = button('older', '', 'Older', () => this.page('older'), 'Older page');
    this.older.append(icon('right'));
    this.body.append(
      h('div', { class: 'filters', role: 'search', 'data-lm-suppress-shortcuts': 'true' }, this.search, this.task, this.period, h('label', { class: 'gap small row' }, this.live, 'Live')),
      this.chips, this.problem, this.action, this.bulk, this.spark, this.grid, this.empty,
      h('div', { class: 'pager', role: 'navigation', 'aria-label': 'Pages' }, this.place, this.fresh, this.newer, this.older));
    this.listen();
    this.redraw();
  }

  listen() {
    this.search.addEventListener('input', () => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.filter(), TYPED_MS);
    });
    for (const one of [this.task, this.period]) one.addEventListener('change', () => this.filter());
    this.live.addEventListener('change', () => this.send('live', { on: this.live.checked }));
    this.every.addEventListener('change', () => this.choose(this.every.checked ? this.ids() : []));
    this.grid.addEventListener('pointerenter', () => this.hold({ isOver: true }));
    this.grid.addEventListener('pointerleave', () => this.hold({ isOver: false }));
    this.grid.addEventListener('focusin', () => this.hold({ isInside: true }));
    this.grid.addEventListener('focusout', (event) => this.hold({ isInside: this.grid.contains(/** @type {Node | null} */ (event.relatedTarget)) }));
    this.grid.addEventListener('keydown', (event) => this.key(event));
    this.lines.addEventListener('click', (event) => this.click(event));
  }

  dispose() {
    super.dispose();
    clearTimeout(this.typing);
  }

  /** @param {string} what @param {object} [more] */
  send(what, more = {}) {
    this.model.send({ do: what, ...more });
  }

  ids() {
    return (this.view.rows ?? []).map((row) => row.id);
  }

  /** @param {TableView} view */
  draw(view) {
    if (!view.total_text) return;
    const rows = view.rows ?? [];
    redraw(this.sub, view.total_text, () => [view.total_text]);
    if (document.activeElement !== this.search) this.search.value = view.search ?? '';
    options(this.task, ['All tasks', ...(view.tasks ?? [])], view.task ? (view.tasks ?? []).indexOf(view.task) + 1 : 0);
    options(this.period, view.periods ?? [], view.period ?? 0);
    this.live.checked = view.live !== false;
    redraw(this.chips, [view.chips, view.more, this.hasMore], () => this.drawChips());
    redraw(this.problem, view.problem ?? '', () => (view.problem ? [view.problem] : []));
    redraw(this.action, view.action ?? '', () => this.drawAction());
    redraw(this.spark, view.last ?? '', () => (view.last ? drawSpark(view.last) : []));
    const had = this.lines.contains(document.activeElement);
    keyed(this.lines, 'tr', rows.map((row, place) => ({ key: row.id, data: { ...row, clock: row.since ? '' : row.clock }, attributes: { 'aria-rowindex': String(place + 2) }, build: () => cells(row) })));
    if (!rows.some((row) => row.id === this.at)) this.at = rows[0]?.id ?? '';
    for (const id of this.chosen) if (!rows.some((row) => row.id === id)) this.chosen.delete(id);
    if (!this.chosen.size) this.all = false;
    this.grid.hidden = !rows.length;
    this.grid.setAttribute('aria-rowcount', String((view.total ?? 0) + 1));
    redraw(this.empty, [view.empty, view.wider], () => (view.empty ? [`${view.empty} `, this.isFiltered() && link('clear', 'Clear filters', () => this.clear()), view.wider && ' or ', view.wider && link('widen', `look at ${view.wider}`, () => this.widen())] : []));
    redraw(this.place, view.place, () => [rows.length ? view.place : '']);
    redraw(this.fresh, view.new ?? 0, () => [view.new && link('new', `${figure(view.new)} new run${view.new === 1 ? '' : 's'}`, () => this.send('new'))]);
    this.mark(had);
  }

  drawChips() {
    const { view } = this;
    const more = (view.more ?? []).filter((one) => this.hasMore || one.on);
    const opener = button('more', '', 'More', () => {
      this.hasMore = !this.hasMore;
      this.redraw();
    });
    opener.className = 'chip';
    opener.setAttribute('aria-expanded', String(this.hasMore));
    opener.append(icon('down'));
    return [...view.chips, ...more].map((one) => this.chip(one)).concat(opener);
  }

  /** @param {Chip} one */
  chip(one) {
    const made = h('button', { class: 'chip', type: 'button', 'data-act': `chip ${one.status}`, 'data-s': one.status, 'aria-pressed': String(!!one.on) }, mark(one.status), one.word, h('b', {}, one.count ?? '–'));
    made.addEventListener('click', () => {
      const on = [...this.view.chips, ...(this.view.more ?? [])].filter((each) => each.on).map((each) => each.status);
      this.filter({ status: one.on ? on.filter((each) => each !== one.status) : [...on, one.status] });
    });
    return made;
  }

  drawAction() {
    const action = this.view.action;
    if (!action) return [];
    const bar = h('i');
    bar.style.width = `${action.total ? (100 * (action.done ?? 0)) / action.total : 0}%`;
    const progress = h('div', { class: 'bar', role: 'progressbar', 'aria-label': action.label, 'aria-valuemin': 0, 'aria-valuemax': action.total ?? 0, 'aria-valuenow': action.done ?? 0 }, bar);
    return [h('div', { class: 'prog', 'data-s': action.over ? 'COMPLETED' : 'EXECUTING' }, h('span', { class: 'cut' }, action.over ? action.label : action.title), progress,
      h('span', { class: 'num' }, `${figure(action.done ?? 0)} / ${figure(action.total ?? 0)}`), action.over ? button('close', '', 'Close', () => this.send('dismiss')) : button('stop', 'stop', 'Stop', () => this.send('stop'))),
    action.trouble && h('p', { class: 'small dim' }, action.trouble)];
  }

  // ---- what is chosen, and what may be done with it ----------------------------------------------------------------

  drawBulk() {
    const { view } = this;
    const rows = (view.rows ?? []).filter((row) => this.chosen.has(row.id));
    const count = this.all ? view.total ?? 0 : rows.length;
    const open = this.all ? view.cancelable ?? 0 : rows.filter((row) => row.can_cancel).length;
    redraw(this.bulk, [count, open, this.all, this.confirm, view.total], () => {
      if (!count) return [];
      const back = button('clear', 'x', '', () => this.choose([]), 'Clear selection');
      if (this.confirm) return this.drawConfirm(this.confirm, this.confirm === 'CANCEL' ? open : count, count);
      const acts = /** @type {[Kind, number, string][]} */ ([['REPLAY', count, 'replay'], ['CANCEL', open, 'stop']]).map(([kind, n, sign]) => {
        const made = /** @type {HTMLButtonElement} */ (button(kind, sign, `${NAMES[kind]} ${figure(n)}`, () => this.ask(kind)));
        made.classList.add('line');
        made.disabled = !n;
        if (n < count) made.title = `${figure(n)} of ${figure(count)} can be canceled`;
        return made;
      });
      return [h('b', {}, this.all ? `all ${figure(count)} that match` : `${count} selected`),
        !this.all && (view.total ?? 0) > count && link('all', `Select all ${figure(view.total ?? 0)} that match`, () => {
          this.all = true;
          this.drawBulk();
        }), h('span', { class: 'gap' }), ...acts, back];
    });
    redraw(this.buttons, count > 0, () => [count > 0 && h('span', { class: 'dim small' }, 'new rows held while rows are selected')]);
  }

  /** @param {Kind} kind @param {number} n @param {number} count */
  drawConfirm(kind, n, count) {
    const runs = `${figure(n)} run${n === 1 ? '' : 's'}`;
    const text = kind === 'CANCEL' ? `Cancel ${runs}, and what they triggered?${n < count ? ` ${figure(count - n)} of ${figure(count)} ended before.` : ''}` : `Replay ${runs}? Each is a new run with the same payload.`;
    const go = button('go', '', `${NAMES[kind]} ${figure(n)}`, () => this.go(kind));
    go.classList.add('line', ...(kind === 'CANCEL' ? ['danger'] : []));
    return [h('span', { class: 'cut', title: text }, text), h('span', { class: 'gap' }), go, button('back', '', 'Back', () => this.ask(''))];
  }

  /** @param {Kind | ''} kind */
  ask(kind) {
    this.confirm = kind;
    this.drawBulk();
    /** @type {HTMLElement | null} */ (this.bulk.querySelector('.btn.line'))?.focus();
  }

  /** @param {Kind} kind */
  go(kind) {
    if (this.isQuiet) return;
    const rows = (this.view.rows ?? []).filter((row) => this.chosen.has(row.id) && (kind === 'REPLAY' || row.can_cancel));
    this.send('bulk', this.all ? { kind, all: true } : { kind, ids: rows.map((row) => row.id) });
    this.choose([]);
    this.mark(true);
  }

  /** @param {string[]} ids */
  choose(ids) {
    this.chosen = new Set(ids);
    this.all = false;
    this.confirm = '';
    this.mark(false);
    this.hold({});
  }

  /** @param {{ isOver?: boolean, isInside?: boolean }} change */
  hold(change) {
    Object.assign(this, change);
    const on = this.isOver || this.isInside || this.chosen.size > 0;
    if (on !== this.isHeld) this.send('hold', { on });
    this.isHeld = on;
  }

  // ---- filters and pages -------------------------------------------------------------------------------------------

  /** @param {object} [changed] */
  filter(changed = {}) {
    clearTimeout(this.typing);
    const on = [...this.view.chips, ...(this.view.more ?? [])].filter((one) => one.on).map((one) => one.status);
    const task = this.task.selectedIndex > 0 ? this.task.value : '';
    this.choose([]);
    this.send('filter', { search: this.search.value, task, period: this.period.selectedIndex, status: on, ...changed });
  }

  isFiltered() {
    const { view } = this;
    return !!(view.search || view.task || view.period || [...view.chips, ...(view.more ?? [])].some((one) => one.on) || view.total_text === 'no match');
  }

  clear() {
    this.search.value = '';
    this.task.selectedIndex = 0;
    this.period.selectedIndex = 0;
    this.filter({ status: [], clear: true });
  }

  widen() {
    this.period.selectedIndex = 0;
    this.filter();
  }

  /** @param {'newer' | 'older'} to */
  page(to) {
    if (this.isQuiet || !this.view[to]) return;
    this.choose([]);
    this.at = '';
    this.send('page', { to });
  }

  // ---- rows --------------------------------------------------------------------------------------------------------

  /** @param {Event} event */
  click(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    const id = /** @type {HTMLElement | null} */ (target.closest('tr'))?.dataset.key;
    if (!id) return;
    this.at = id;
    if (target instanceof HTMLInputElement) this.toggle(id);
    else if (target.closest('.btn')) this.send('card', { id });
    this.mark(true);
  }

  /** @param {string} id */
  toggle(id) {
    this.anchor = id;
    this.choose(this.chosen.has(id) ? [...this.chosen].filter((one) => one !== id) : [...this.chosen, id]);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const ids = this.ids();
    const place = ids.indexOf(this.at);
    if (place < 0 || event.ctrlKey || event.metaKey || event.altKey || !this.lines.contains(/** @type {Node} */ (event.target))) return;
    /** @type {Record<string, () => void>} */
    const does = {
      ArrowDown: () => this.move(ids, place + 1, event.shiftKey),
      ArrowUp: () => this.move(ids, place - 1, event.shiftKey),
      Home: () => this.move(ids, 0, event.shiftKey),
      End: () => this.move(ids, ids.length - 1, event.shiftKey),
      ' ': () => this.toggle(this.at),
      Enter: () => this.send('card', { id: this.at }),
      Escape: () => this.choose([]),
      '/': () => this.search.focus(),
    };
    if (!does[event.key]) return;
    does[event.key]();
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {string[]} ids @param {number} place @param {boolean} withShift */
  move(ids, place, withShift) {
    if (!ids[place]) return;
    if (withShift) {
      if (!this.anchor || !ids.includes(this.anchor)) this.anchor = this.at;
      const [from, to] = [ids.indexOf(this.anchor), place].sort((a, b) => a - b);
      this.choose(ids.slice(from, to + 1));
    } else this.anchor = '';
    this.at = ids[place];
    this.mark(true);
  }

  /** @param {boolean} withFocus */
  mark(withFocus) {
    for (const element of this.lines.children) {
      const row = /** @type {HTMLElement} */ (element);
      const id = row.dataset.key ?? '';
      row.tabIndex = id === this.at ? 0 : -1;
      row.setAttribute('aria-selected', String(this.all || this.chosen.has(id)));
      /** @type {HTMLInputElement} */ (row.querySelector('input')).checked = this.all || this.chosen.has(id);
      if (withFocus && id === this.at && !row.contains(document.activeElement)) row.focus();
    }
    const count = this.lines.children.length;
    this.every.checked = count > 0 && this.chosen.size === count;
    this.every.indeterminate = this.chosen.size > 0 && this.chosen.size < count;
    this.drawBulk();
  }

  tick() {
    super.tick();
    const { view } = this;
    this.newer?.setAttribute('aria-disabled', String(this.isQuiet || !view.newer));
    this.older?.setAttribute('aria-disabled', String(this.isQuiet || !view.older));
  }
}

/** @param {string} act @param {string} text @param {() => void} does */
function link(act, text, does) {
  const made = button(act, '', text, does);
  made.classList.add('link');
  return made;
}

/** @param {HTMLSelectElement} place @param {string[]} names @param {number} at */
function options(place, names, at) {
  redraw(place, names, () => names.map((name) => h('option', {}, name)));
  if (place !== document.activeElement) place.selectedIndex = at;
}

/** @param {RunRow} row */
function cells(row) {
  const bar = h('i', { class: 'rbar' });
  bar.style.width = `${row.bar ?? 0}px`;
  bar.hidden = !row.bar;
  return [h('td', { class: 'box' }, h('input', { type: 'checkbox', tabindex: -1, 'aria-label': `Select ${row.id}` })),
    h('td', { title: `${row.task} ${row.id}` }, h('button', { class: 'btn link', type: 'button', tabindex: -1 }, row.task), ' ', h('span', { class: 'dim' }, row.tag ?? '')),
    h('td', { class: 'st' }, h('span', { class: 'status', 'data-s': row.status, title: row.status }, mark(row.status), row.word)),
    h('td', { class: 'dim cr', title: row.created_full }, row.created),
    h('td', { class: 'du', 'data-s': row.status }, h('span', { class: 'clock', 'data-since': row.since }, row.clock ?? '–'), bar),
    h('td', { class: 'num dim at hide-s' }, row.attempts ? row.attempts : '–'),
    h('td', { class: 'dim qu hide-s', title: row.queue }, row.queue),
    h('td', { class: 'dim mono ru show-l' }, row.id)];
}

/** @param {NonNullable<TableView['last']>} last */
function drawSpark(last) {
  const bars = last.bars.map(([status, high], n) => {
    const tall = (24 * high) / 100;
    const failed = status !== 'COMPLETED';
    return svg('g', { 'data-s': status }, svg('rect', { x: n * 6, y: 26 - tall, width: 4, height: tall, fill: 'var(--kk-s)', opacity: failed ? 1 : 0.7 }), failed && high >= 100 && svg('path', { d: `M${n * 6} ${24 - tall}h4`, stroke: 'var(--kk-s)', 'stroke-width': 1.5 }));
  });
  return [h('span', { class: 'about' }, `Last ${last.bars.length} ended`, h('br'), `median ${last.median}`),
    svg('svg', { viewBox: '0 0 240 28', preserveAspectRatio: 'none', role: 'img', 'aria-label': last.told }, ...bars), h('span', { class: 'num' }, `p95 ${last.p95}`, h('br'), `${last.failed} failed`)];
}

export default { render };

// The live run tree. The kernel sends the rows that are open; opening and closing is asked of it. What moves by itself
// are the clocks. Keys are those of the ARIA tree pattern, and act only while a row has the focus.

import { Announcer } from './announcer.js';
import { arrange, h, redraw } from './dom.js';
import { ticking } from './format.js';
import { icon, mark } from './marks.js';
import { Silence } from './silence.js';

/** @typedef {import('./types').TreeView} TreeView */
/** @typedef {import('./types').TreeRow} TreeRow */
/** @typedef {import('./types').Model<TreeView>} Model */

/** @type {Record<string, string>} */
const WORDS = {
  DELAYED: 'Delayed', QUEUED: 'Queued', PENDING_VERSION: 'Pending version', DEQUEUED: 'Dequeued', EXECUTING: 'Executing',
  WAITING: 'Waiting', RETRYING: 'Retrying', COMPLETED: 'Completed', FAILED: 'Failed', CRASHED: 'Crashed',
  SYSTEM_FAILURE: 'System failure', TIMED_OUT: 'Timed out', CANCELED: 'Canceled', EXPIRED: 'Expired',
};
const ROW_PX = 28;
const AROUND = 12; // rows above and below those in sight that are drawn with them
const AT_ONCE = 20; // rows drawn in one go after that, so that the page hears keys in between
const FAILED = new Set(['FAILED', 'CRASHED', 'SYSTEM_FAILURE', 'TIMED_OUT']);

/**
 * @param {{ model: Model, el: HTMLElement }} host
 * @returns {() => void}
 */
export function render({ model, el }) {
  const tree = new Tree(model);
  el.append(tree.root);
  return () => tree.dispose();
}

class Tree {
  /** @param {Model} model */
  constructor(model) {
    this.model = model;
    this.selected = '';
    this.seekFailed = false;
    this.announcer = new Announcer();
    this.silence = new Silence(model, () => this.tick(), 'the runs themselves go on');
    this.label = h('span', { class: 't' }, 'Cancel all');
    this.cancel = /** @type {HTMLButtonElement} */ (h('button', { class: 'btn', type: 'button' }, icon('stop'), this.label));
    this.cancel.addEventListener('click', () => this.stop());
    this.isStopping = false;
    this.timeline = /** @type {HTMLButtonElement} */ (h('button', { class: 'btn', type: 'button' }, 'Timeline'));
    this.timeline.addEventListener('click', () => {
      this.timeline.disabled = true; // it stands below
      this.model.send({ do: 'timeline' });
    });
    this.name = h('span', { class: 'dim small cut' });
    this.totals = h('div', { class: 'totals' });
    this.sum = h('div', { class: 'sum', 'aria-hidden': 'true' });
    this.rows = h('div', { class: 'tree', role: 'tree', 'data-lm-suppress-shortcuts': 'true' });
    this.rows.addEventListener('keydown', (event) => this.key(event));
    this.rows.addEventListener('click', (event) => this.click(event));
    this.rows.addEventListener('scroll', () => this.drawSeen(), { passive: true });
    /** @type {Map<string, HTMLElement>} */
    this.known = new Map();
    /** @type {HTMLElement | undefined} */
    this.marked = undefined;
    this.drawing = 0;
    this.empty = h('p', { class: 'why' });
    this.keys = h('div', { class: 'keys' }, ...[['↑ ↓', 'move'], ['→', 'open'], ['←', 'close, parent'], ['Enter', 'card'], ['*', 'open siblings'], ['f', 'next failed']].map(([key, does]) => h('span', {}, h('kbd', {}, key), ` ${does}`)));
    this.root = h('section', { class: 'kk', role: 'group' }, this.silence.strip,
      h('div', { class: 'title' }, h('span', { class: 'name' }, 'Run tree'), this.name, h('span', { class: 'gap' }), this.timeline, this.cancel),
      this.totals, this.sum, this.rows, this.empty, this.keys, this.announcer.place);
    this.onView = () => this.draw();
    model.on('change:view', this.onView);
    this.draw();
  }

  dispose() {
    clearTimeout(this.drawing);
    this.silence.dispose();
    this.model.off('change:view', this.onView);
  }

  draw() {
    const view = this.model.get('view');
    if (!view.run_id) return;
    this.root.setAttribute('aria-label', `Run tree of ${view.task}`);
    this.rows.setAttribute('aria-label', `Runs below ${view.task}`);
    redraw(this.name, [view.task, view.run_id], () => [`${view.task} · ${view.run_id}`]);
    redraw(this.totals, [view.total, view.counts, view.ended], () => [h('b', {}, view.total === 1 ? '1 run' : `${view.total.toLocaleString('en')} runs`), roll(view.counts), h('span', { class: 'gap dim' }, `${view.ended} % ended`)]);
    redraw(this.sum, view.counts, () => view.counts.map(([status, count]) => part(status, count)));
    const had = this.rows.contains(document.activeElement);
    // A row keeps its element while its key stays, so that focus, hover and a screen reader's place stay with it.
    this.known = new Map(view.rows.map((row) => [row.key, framed(this.known.get(row.key), row)]));
    arrange(this.rows, [...this.known.values()]);
    this.drawSeen();
    this.drawRest(0);
    if (!view.rows.some((row) => row.key === this.selected)) this.selected = view.rows[0]?.key ?? '';
    if (this.seekFailed) this.nextFailed(false);
    this.mark(had && !this.rows.contains(document.activeElement));
    redraw(this.empty, view.rows.length, () => (view.rows.length === 1 ? ['No child runs so far. Runs triggered from inside this one appear here.'] : view.hidden ? [`${view.hidden.toLocaleString('en')} more rows: close some.`] : []));
    this.keys.hidden = view.rows.length < 2;
    this.tick();
  }

  /** The rows in sight; they have one height. */
  drawSeen() {
    const { rows } = this.model.get('view');
    const first = Math.floor(this.rows.scrollTop / ROW_PX) - AROUND;
    const last = first + Math.ceil(this.rows.clientHeight / ROW_PX) + 2 * AROUND;
    this.drawRows(rows.slice(Math.max(0, first), last + 1));
  }

  /** @param {number} from */
  drawRest(from) {
    clearTimeout(this.drawing);
    const { rows } = this.model.get('view');
    this.drawRows(rows.slice(from, from + AT_ONCE));
    if (from + AT_ONCE < rows.length) this.drawing = setTimeout(() => this.drawRest(from + AT_ONCE));
  }

  /** @param {TreeRow[]} rows */
  drawRows(rows) {
    const { length = 0 } = this.model.get('view');
    for (const row of rows) {
      const made = /** @type {HTMLElement} */ (this.known.get(row.key));
      drawRow(made, row);
      placeBar(made, row, length);
    }
  }

  tick() {
    const view = this.model.get('view');
    const quiet = this.silence.draw(view.as_of_text ?? '');
    this.root.classList.toggle('stale', quiet);
    if (view.task) this.announcer.say(`${view.task}: ${view.word}${quiet ? ', last known' : ''}`);
    const now = quiet ? Date.parse(view.as_of) : this.silence.now();
    for (const row of view.rows ?? []) {
      if (!row.since) continue;
      const place = this.known.get(row.key)?.lastElementChild; // none while it is not drawn
      const text = ticking((now - Date.parse(row.since)) / 1000);
      if (place && place.textContent !== text) place.textContent = text;
    }
    this.cancel.hidden = !!view.is_final;
    this.cancel.disabled = quiet || this.isStopping;
    const text = this.isStopping ? 'Canceling…' : `Cancel ${(view.total ?? 1) > 1 ? 'all' : 'run'}`;
    if (this.label.textContent !== text) this.label.textContent = text;
    this.cancel.setAttribute('aria-label', this.isStopping ? 'Canceling' : `Cancel ${view.task} and the runs below it`);
  }

  stop() {
    this.isStopping = true;
    this.model.send({ do: 'cancel' });
    this.tick();
  }

  /** @param {boolean} withFocus */
  mark(withFocus) {
    const row = this.known.get(this.selected);
    if (row !== this.marked) {
      for (const [one, isIt] of /** @type {[HTMLElement | undefined, boolean][]} */ ([[this.marked, false], [row, true]])) {
        if (one) one.tabIndex = isIt ? 0 : -1;
        one?.setAttribute('aria-selected', String(isIt));
      }
      this.marked = row;
    }
    if (withFocus && row && row !== document.activeElement) row.focus();
  }

  /** @param {number} place */
  go(place) {
    const row = this.model.get('view').rows[place];
    if (!row) return;
    this.selected = row.key;
    this.mark(true);
  }

  /** @param {'open' | 'close'} what @param {string[]} keys */
  ask(what, keys) {
    if (keys.length) this.model.send({ do: what, keys });
  }

  /** @param {Event} event */
  click(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    const element = /** @type {HTMLElement | null} */ (target.closest('[role=treeitem]'));
    const row = this.model.get('view').rows.find((one) => one.key === element?.dataset.key);
    if (!row) return;
    this.selected = row.key;
    this.mark(true);
    if (row.twist && (target.closest('.twist') || !row.status)) this.ask(row.twist === 'open' ? 'close' : 'open', [row.key]);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const { rows } = this.model.get('view');
    const place = rows.findIndex((row) => row.key === this.selected);
    const row = rows[place];
    if (!row || event.ctrlKey || event.metaKey || event.altKey) return;
    const level = depth(row);
    const parent = rows.slice(0, place).findLastIndex((one) => depth(one) < level);
    /** @type {Record<string, () => void>} */
    const does = {
      ArrowDown: () => this.go(place + 1),
      ArrowUp: () => this.go(place - 1),
      Home: () => this.go(0),
      End: () => this.go(rows.length - 1),
      Enter: () => (row.status && !row.counts ? this.model.send({ do: 'card', id: row.key }) : row.twist && this.ask(row.twist === 'open' ? 'close' : 'open', [row.key])),
      ArrowRight: () => (row.twist === 'closed' ? this.ask('open', [row.key]) : row.twist === 'open' && this.go(place + 1)),
      ArrowLeft: () => (row.twist === 'open' ? this.ask('close', [row.key]) : this.go(parent)),
      '*': () => this.ask('open', siblings(rows, place).filter((one) => one.twist === 'closed').map((one) => one.key)),
      f: () => this.nextFailed(true),
    };
    if (!does[event.key]) return;
    does[event.key]();
    event.preventDefault();
    event.stopPropagation();
  }

  /**
   * The next failed run below the selected row; a closed row that hides one is opened first, and it is found when it comes.
   * @param {boolean} mayOpen
   */
  nextFailed(mayOpen) {
    const { rows } = this.model.get('view');
    const place = rows.findIndex((row) => row.key === this.selected);
    this.seekFailed = false;
    const isAhead = (/** @type {TreeRow} */ row, /** @type {number} */ at) => at > place || (at === place && row.counts && row.twist === 'closed');
    const next = rows.findIndex((row, at) => isAhead(row, at) && (FAILED.has(row.status ?? '') || (row.counts ?? []).some(([status]) => FAILED.has(status))));
    if (next < 0) return;
    const row = rows[next];
    if (row.counts && row.twist === 'closed' && mayOpen) {
      this.seekFailed = true;
      this.selected = row.key;
      this.ask('open', [row.key]);
    } else if (row.counts) {
      const inside = rows.findIndex((one, at) => at > next && FAILED.has(one.status ?? '') && !one.counts);
      this.go(inside < 0 ? next : inside);
    } else {
      this.go(next);
    }
  }
}

/** @param {TreeRow} row */
function depth(row) {
  return (row.last ?? []).length;
}

/** @param {TreeRow[]} rows @param {number} place */
function siblings(rows, place) {
  const level = depth(rows[place]);
  const first = rows.slice(0, place).findLastIndex((row) => depth(row) < level) + 1;
  const after = rows.findIndex((row, at) => at > place && depth(row) < level);
  return rows.slice(first, after < 0 ? rows.length : after).filter((row) => depth(row) === level);
}

/** @param {[string, number][]} counts */
function roll(counts) {
  return h('span', { class: 'roll' }, ...counts.map(([status, count]) => h('span', { 'data-s': status, title: `${count} ${WORDS[status].toLowerCase()}` }, mark(status), count.toLocaleString('en'), h('span', { class: 'sr' }, ` ${WORDS[status].toLowerCase()}`))));
}

/** @param {string} status @param {number} count */
function part(status, count) {
  const made = h('i', { 'data-s': status });
  made.style.flex = String(count);
  return made;
}

/**
 * The row without what stands in it.
 * @param {HTMLElement | undefined} known
 * @param {TreeRow} row
 */
function framed(known, row) {
  const made = known ?? h('div', { role: 'treeitem', class: 'tr', 'data-key': row.key, tabindex: -1, 'aria-selected': 'false' });
  for (const [name, value] of [['aria-level', String(depth(row) + 1)], ['aria-expanded', row.twist ? String(row.twist === 'open') : null]]) {
    if (made.getAttribute(/** @type {string} */ (name)) === value) continue;
    if (value === null) made.removeAttribute(/** @type {string} */ (name));
    else made.setAttribute(/** @type {string} */ (name), value);
  }
  return made;
}

/** @param {HTMLElement} made @param {TreeRow} row */
function drawRow(made, row) {
  redraw(made, { ...row, clock: row.since ? '' : row.clock, begin: 0, end: 0 }, () => {
    const last = row.last ?? [];
    const guides = last.map((isLast, at) => h('span', { class: at < last.length - 1 ? `guide${isLast ? ' none' : ''}` : `guide elbow${isLast ? ' end' : ''}` }));
    const twist = h('span', { class: 'twist', 'aria-hidden': 'true' }, row.twist ? icon(row.twist === 'open' ? 'down' : 'right') : null);
    const lead = h('span', { class: 'lead' }, ...guides, twist, row.status ? h('span', { class: 'slot', 'data-s': row.status, title: row.status }, mark(row.status)) : null,
      h('span', { class: row.status ? 'name cut' : 'more cut', title: row.name }, row.name), row.note && !row.counts ? h('span', { class: 'dim small cut', title: row.note }, row.note) : null);
    if (!row.status) return [lead];
    return [lead, row.counts ? h('span', { class: 'two' }, roll(row.counts)) : h('span', { class: 'status', 'data-s': row.status }, WORDS[row.status]),
      row.counts ? null : h('span', { class: 'mini', 'data-s': row.status, 'aria-hidden': 'true' }, h('i')), h('span', { class: 'num small dim' }, row.clock ?? '–')];
  });
}

/**
 * Where it stood in the root's time, which grows with all of them.
 * @param {HTMLElement} made @param {TreeRow} row @param {number} length
 */
function placeBar(made, { begin = 0, end }, length) {
  const bar = /** @type {HTMLElement | null} */ (made.querySelector('.mini i'));
  if (!bar) return;
  const share = (/** @type {number} */ seconds) => `${length > 0 ? Math.round((1000 * seconds) / length) / 10 : 0}%`;
  const [left, width] = [share(begin), share(Math.max(0, (end ?? length) - begin))];
  if (bar.style.left !== left) bar.style.left = left;
  if (bar.style.width !== width) bar.style.width = width;
}

export default { render };

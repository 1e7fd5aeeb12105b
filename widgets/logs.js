// The log viewer of a run. Only new lines are drawn; levels and search are asked of the kernel, which reads
// the engine. It follows the end of the log until the reader scrolls away from it.

import { h, redraw } from './dom.js';
import { Download } from './download.js';
import { figure } from './format.js';
import { mark } from './marks.js';
import { button, Panel } from './panel.js';

/** @typedef {import('./types').LogView} LogView */
/** @typedef {import('./types').Line} Line */
/** @typedef {import('./types').Model<LogView>} Model */

const TYPED_MS = 300;

/**
 * @param {{ model: Model, el: HTMLElement }} host
 * @returns {() => void}
 */
export function render({ model, el }) {
  const log = new Log(model);
  el.append(log.root);
  return () => log.dispose();
}

/** @extends {Panel<LogView>} */
class Log extends Panel {
  /** @param {Model} model */
  constructor(model) {
    super(model, 'Log', 'the run itself goes on');
    this.root.classList.add('logs');
    this.name = /** @type {HTMLElement} */ (this.title.querySelector('.name'));
    this.file = new Download(model);
    this.isMoving = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.typing = undefined;
    this.search = /** @type {HTMLInputElement} */ (h('input', { type: 'search', placeholder: 'Text in a line', 'aria-label': 'Search lines', maxlength: 200 }));
    this.search.addEventListener('input', () => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.filter(), TYPED_MS);
    });
    this.levels = h('span', { class: 'row', role: 'group', 'aria-label': 'Levels' });
    this.follow = /** @type {HTMLInputElement} */ (h('input', { type: 'checkbox', checked: true }));
    this.follow.addEventListener('change', () => this.toEnd());
    this.followed = h('label', { class: 'row small gap' }, this.follow, 'Follow');
    this.earlier = h('div', { class: 'earlier' });
    this.lines = h('div', { class: 'lines', role: 'log', 'aria-live': 'off', 'aria-label': 'Lines', tabindex: 0 });
    this.scroll = h('div', { class: 'log' }, this.earlier, this.lines);
    this.scroll.addEventListener('scroll', () => {
      const isAtEnd = this.scroll.scrollTop + this.scroll.clientHeight >= this.scroll.scrollHeight - 4;
      if (!isAtEnd && !this.isMoving) this.follow.checked = false;
      this.isMoving = false;
    });
    this.empty = h('p', { class: 'why' });
    this.foot = h('div', { class: 'foot' });
    this.body.append(h('div', { class: 'filters', role: 'search', 'data-lm-suppress-shortcuts': 'true' }, this.search, this.levels, this.followed), this.scroll, this.empty, this.foot);
    this.redraw();
  }

  dispose() {
    super.dispose();
    clearTimeout(this.typing);
    this.file.dispose();
  }

  /** @param {LogView} view */
  draw(view) {
    if (!view.run_id) return;
    this.take(view.lines ?? []);
    this.root.setAttribute('aria-label', `Log of ${view.task}`);
    this.name.textContent = `Log of ${view.task}`;
    redraw(this.sub, [view.status, view.run_id], () => [h('span', { class: 'row' }, h('span', { class: 'row status', 'data-s': view.status }, mark(view.status), view.word), h('span', { class: 'mono' }, view.run_id))]);
    redraw(this.buttons, view.run_id, () => [button('download', 'down', 'Download', () => this.download(), 'Download the whole log')]);
    if (document.activeElement !== this.search) this.search.value = view.search ?? '';
    redraw(this.levels, view.levels, () => (view.levels ?? []).map(([level, word, on]) => {
      const made = h('button', { class: 'chip', type: 'button', 'data-act': level, 'aria-pressed': String(on), 'data-level': level }, word);
      made.addEventListener('click', () => this.filter(level));
      return made;
    }));
    this.followed.hidden = !view.follow;
    redraw(this.earlier, view.earlier, () => [view.earlier && button('earlier', '', 'Show earlier lines', () => this.model.send({ do: 'earlier' }))]);
    this.scroll.hidden = !view.count;
    redraw(this.empty, [view.empty, view.problem], () => [view.problem || view.empty]);
    const count = `${figure(view.count)} line${view.count === 1 ? '' : 's'}${view.earlier ? ', and earlier ones' : ''}`;
    redraw(this.foot, [count, view.note], () => [view.count ? h('span', {}, count) : null, view.note && h('span', {}, view.note)]);
    this.toEnd();
  }

  tick() {
    super.tick();
    if (this.scroll) this.toEnd(); // also when it has just got its place in the page
  }

  // ---- lines -------------------------------------------------------------------------------------------------------

  /** Lines have keys that grow, and keep theirs. @param {Line[]} lines */
  take(lines) {
    const height = this.scroll.scrollHeight - this.scroll.scrollTop;
    const first = lines[0]?.[0] ?? 0;
    const last = lines.at(-1)?.[0] ?? -1;
    for (const line of [...this.lines.children]) {
      const key = Number(/** @type {HTMLElement} */ (line).dataset.key);
      if (key < first || key > last) line.remove();
    }
    const low = Number(/** @type {HTMLElement} */ (this.lines.firstElementChild)?.dataset.key ?? Infinity);
    const high = Number(/** @type {HTMLElement} */ (this.lines.lastElementChild)?.dataset.key ?? -Infinity);
    const earlier = lines.filter(([key]) => key < low && high !== -Infinity);
    this.lines.prepend(...earlier.map(drawLine));
    this.lines.append(...lines.filter(([key]) => key > high).map(drawLine));
    if (earlier.length) this.scroll.scrollTop = this.scroll.scrollHeight - height; // what was read stays in sight
  }

  toEnd() {
    if (!this.follow.checked || !this.root.isConnected) return;
    this.isMoving = this.scroll.scrollTop + this.scroll.clientHeight < this.scroll.scrollHeight - 4;
    if (this.isMoving) this.scroll.scrollTop = this.scroll.scrollHeight;
  }

  /** @param {string} [changed] a level that is let in or out */
  filter(changed = '') {
    clearTimeout(this.typing);
    const level = (this.view.levels ?? []).filter(([name, , on]) => on !== (name === changed)).map(([name]) => name);
    this.model.send({ do: 'filter', level, search: this.search.value });
  }

  // ---- the file ----------------------------------------------------------------------------------------------------

  download() {
    if (this.isQuiet) return;
    this.file.begin();
    this.model.send({ do: 'download' });
  }
}

/** @param {Line} line */
function drawLine([key, time, level, text]) {
  return h('div', { 'data-key': key, title: text.length > 60 && text }, h('span', {}, time), h('span', { class: 'level', 'data-level': level }, level), h('span', {}, text));
}

export default { render };

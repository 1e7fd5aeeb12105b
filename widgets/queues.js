// The live queues panel: what runs of how many slots, what is in line, and what changes it.

import { h, keyed, redraw } from './dom.js';
import { button, heads, Panel } from './panel.js';

/** @typedef {import('./types').QueuesView} QueuesView */
/** @typedef {import('./types').QueueRow} QueueRow */

const BOXES = 14; // more slots are a bar

/**
 * @param {{ model: import('./types').Model<QueuesView>, el: HTMLElement }} host
 * @returns {() => void}
 */
export function render({ model, el }) {
  const panel = new Queues(model);
  el.append(panel.root);
  return () => panel.dispose();
}

/** @extends {Panel<QueuesView>} */
class Queues extends Panel {
  /** @param {import('./types').Model<QueuesView>} model */
  constructor(model) {
    super(model, 'Queues', 'the runs themselves go on');
    this.opened = '';
    this.limited = '';
    this.rows = h('tbody', {});
    this.table = h('table', { 'aria-label': 'Queues' }, ...heads([
      ['Queue', ''], ['State', 'hide-s', '84px'], ['Executing of limit', '', '172px', 'n-92'], ['Queued', 'num', '66px', 'n-56'], ['Oldest', 'num hide-s', '76px'], ['', '', '92px', 'n-40'],
    ]), this.rows);
    this.note = h('p', { class: 'why' });
    this.foot = h('form', { class: 'foot', 'data-lm-suppress-shortcuts': 'true' });
    this.foot.addEventListener('submit', (event) => this.limit(event));
    this.foot.addEventListener('keydown', (event) => {
      const isField = /** @type {HTMLElement} */ (event.target).tagName === 'INPUT';
      if (event.key === 'Enter' && isField) this.limit(event); // JupyterLab keeps Enter from sending a form
    });
    this.body.append(this.note, this.table, this.foot);
    this.redraw();
  }

  /** @param {QueuesView} view */
  draw(view) {
    if (!view.rows) return;
    redraw(this.sub, view.title, () => [view.title]);
    redraw(this.buttons, view.paused, () => [view.paused
      ? button('all', 'play', 'Resume all', () => this.act({ do: 'resume all' }), 'Resume the whole project')
      : button('all', 'pause', 'Pause all', () => this.act({ do: 'pause all' }), 'Pause the whole project')]);
    redraw(this.note, [view.note, view.rows.length], () => [view.rows.length ? view.note : 'No queues so far: every task brings one of its own.']);
    this.table.hidden = !view.rows.length;
    let owner = '';
    const shown = [];
    for (const row of view.rows) {
      if (!row.is_key) owner = row.id ?? '';
      const isOpen = this.opened === owner;
      const hasKeys = !row.is_key && row.keys !== '–';
      if (row.is_key && !isOpen) continue;
      shown.push({ key: `${owner}\n${row.is_key ? row.name : ''}`, data: [row, isOpen], attributes: { class: row.is_key ? 'sub' : null }, build: () => this.cells(row, hasKeys, isOpen) });
    }
    keyed(this.rows, 'tr', shown);
    const limited = view.rows.find((row) => row.id === this.limited && !row.is_key);
    redraw(this.foot, limited ? [limited.id, limited.by_hand] : null, () => (limited ? this.limits(limited) : []));
  }

  /** @param {QueueRow} row @param {boolean} hasKeys @param {boolean} isOpen */
  cells(row, hasKeys, isOpen) {
    const id = row.id ?? '';
    const name = h('span', { class: 'cut', title: row.name }, row.name);
    const first = h('div', { class: 'row' }, name, row.by_hand && h('span', { class: 'dim' }, 'limit set by hand'));
    if (hasKeys) {
      const keys = button('keys', isOpen ? 'down' : 'right', `${row.keys} keys`, () => this.open(isOpen ? '' : id), `${row.keys} keys of ${row.name}`);
      keys.setAttribute('aria-expanded', String(isOpen));
      first.append(keys);
    }
    const isPaused = row.state === 'paused';
    const limit = row.is_key ? h('span', { class: 'small' }, row.slots ?? '') : button('limit', '', row.slots ?? '', () => this.edit(id), `Change the limit of ${row.name}: ${row.slots}`);
    limit.classList.add('limit');
    return [
      h('td', {}, first),
      h('td', { class: 'hide-s' }, isPaused ? h('b', {}, 'paused') : h('span', { class: 'dim', title: row.rate && row.rate !== '–' ? `at most ${row.rate}` : null }, row.state ?? '')),
      h('td', {}, row.slots ? h('div', { class: 'slots' }, slots(row), limit) : null),
      h('td', { class: 'num' }, row.queued ?? ''),
      h('td', { class: 'num dim hide-s' }, row.oldest ? h('span', { 'data-since': row.oldest }) : row.is_key ? '' : '–'),
      h('td', { class: 'act' }, row.is_key ? null : isPaused
        ? button('pause', 'play', 'Resume', () => this.act({ do: 'resume', id }), `Resume ${row.name}`)
        : button('pause', 'pause', 'Pause', () => this.act({ do: 'pause', id }), `Pause ${row.name}`)),
    ];
  }

  /** @param {string} id */
  open(id) {
    this.opened = id;
    this.model.send({ do: 'keys', id }); // they come with the next view
    this.redraw();
  }

  /** @param {string} id */
  edit(id) {
    this.limited = this.limited === id ? '' : id;
    this.redraw();
    this.foot.querySelector('input')?.focus();
  }

  /** @param {QueueRow} row */
  limits(row) {
    const field = h('input', { type: 'number', min: 0, step: 1, required: true, value: row.current ?? '', 'aria-label': `Limit of ${row.name}` });
    const reset = button('reset', '', `Reset to ${row.by_hand} (as in code)`, () => this.act({ do: 'reset', id: row.id }));
    return [h('label', { class: 'row' }, h('span', { class: 'cut' }, `Limit of ${row.name}`), field), h('button', { class: 'btn line', type: 'submit', 'data-act': 'set' }, 'Set'), row.by_hand ? reset : null];
  }

  /** @param {Event} event */
  limit(event) {
    event.preventDefault();
    const field = /** @type {HTMLInputElement} */ (this.foot.querySelector('input'));
    this.act({ do: 'limit', id: this.limited, limit: Number(field.value) });
  }
}

/** @param {QueueRow} row */
function slots(row) {
  const { limit } = row;
  const running = row.running ?? 0;
  const of = limit ?? null;
  const meter = h('span', { class: 'boxes', role: 'meter', 'aria-label': `Slots in use of ${row.name}`, 'aria-valuemin': 0, 'aria-valuemax': of ?? Math.max(running, 1), 'aria-valuenow': Math.min(running, of ?? running), 'aria-valuetext': row.slots });
  if (of !== null && of <= BOXES) {
    for (let at = 0; at < of; at += 1) meter.append(h('i', { class: at < running ? 'on' : null }));
    return meter;
  }
  const filled = h('i', {});
  filled.style.width = of ? `${Math.min(100, (100 * running) / of)}%` : running ? '100%' : '0';
  if (!of) filled.style.opacity = '.35';
  meter.className = 'load';
  meter.append(filled);
  return meter;
}

export default { render };

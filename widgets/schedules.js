// The live schedules panel: what fires when, in the reader's zone and in its own, and what turns it on or off.

import { h, keyed, redraw } from './dom.js';
import { ahead, moment, zoneOf } from './format.js';
import { mark } from './marks.js';
import { button, heads, Panel } from './panel.js';

/** @typedef {import('./types').SchedulesView} SchedulesView */
/** @typedef {import('./types').ScheduleRow} ScheduleRow */

/**
 * @param {{ model: import('./types').Model<SchedulesView>, el: HTMLElement }} host
 * @returns {() => void}
 */
export function render({ model, el }) {
  const panel = new Schedules(model);
  el.append(panel.root);
  return () => panel.dispose();
}

/** @extends {Panel<SchedulesView>} */
class Schedules extends Panel {
  /** @param {import('./types').Model<SchedulesView>} model */
  constructor(model) {
    super(model, 'Schedules', 'the schedules themselves go on');
    this.rows = h('tbody', {});
    this.table = h('table', { 'aria-label': 'Schedules', class: 'two' }, ...heads([
      ['On', '', '44px'], ['Schedule', ''], ['Cron', 'hide-m', '124px'], ['Next', '', '204px', 'n-120'], ['Last', 'hide-s', '140px'], ['', '', '88px', 'n-40'],
    ]), this.rows);
    this.note = h('p', { class: 'why', role: 'status' });
    this.body.append(this.table, this.note);
    this.redraw();
  }

  /** @param {SchedulesView} view */
  draw(view) {
    if (!view.rows) return;
    const now = new Date(this.silence.now());
    redraw(this.sub, [view.title, view.rows.length], () => [view.rows.length ? `${view.title} · times in ${zoneOf()} unless named` : '']);
    this.table.hidden = !view.rows.length;
    const { answer } = view;
    const told = answer?.ok ? answer.text : '';
    const empty = 'No schedules in this project. @kk.task(cron=…) or kk.schedules.create(…) makes one.';
    redraw(this.note, [told, view.note, view.rows.length], () => [view.rows.length ? told || view.note : empty]);
    keyed(this.rows, 'tr', view.rows.map((row) => ({ key: row.id, data: [row, moment(new Date(row.next_at ?? 0), now)], build: () => this.cells(row, now) })));
  }

  tick() {
    super.tick();
    for (const element of this.root.querySelectorAll('[data-ahead]')) {
      const text = ahead((Date.parse(/** @type {HTMLElement} */ (element).dataset.ahead ?? '') - this.silence.now()) / 1000);
      if (element.textContent !== text) element.textContent = text;
    }
  }

  /** @param {ScheduleRow} row @param {Date} now */
  cells(row, now) {
    const name = row.external ? `${row.task} · ${row.external}` : row.task;
    const on = h('button', { class: 'switch', type: 'button', role: 'switch', 'aria-checked': String(row.on), 'aria-label': `${name} active`, 'data-act': 'switch' });
    on.addEventListener('click', () => this.act({ do: row.on ? 'off' : 'on', id: row.id }));
    const when = `${row.words}${row.timezone === 'UTC' ? ', UTC' : `, ${row.timezone}`}`;
    const missed = row.missed !== '–' ? h('span', { class: 'warn', title: row.missed_why ? `the last ones because ${row.missed_why}` : null }, `${row.missed} missed`) : null;
    return [
      h('td', {}, on),
      h('td', { title: `${name}: ${when}, ${row.cron}` }, h('b', {}, name), h('br'), h('span', { class: 'dim' }, when)),
      h('td', { class: 'hide-m' }, h('span', { class: 'mono' }, row.cron)),
      h('td', {}, ...this.next(row, now)),
      h('td', { class: 'hide-s' }, row.last_at ? h('span', { class: 'row', 'data-s': row.last_status || 'EXECUTING' }, mark(row.last_status || 'EXECUTING'), h('span', { class: 'status' }, row.last_word || 'Going on'), moment(new Date(row.last_at), now)) : h('span', { class: 'dim' }, 'never yet'), h('span', {}, missed)),
      h('td', { class: 'act' }, button('run', 'play', 'Run now', () => this.act({ do: 'run', id: row.id }), `Run ${name} now`)),
    ];
  }

  /** @param {ScheduleRow} row @param {Date} now */
  next(row, now) {
    if (!row.next_at) return ['never again'];
    const at = new Date(row.next_at);
    const own = new Intl.DateTimeFormat('en-GB', { timeZone: row.timezone, hour: '2-digit', minute: '2-digit' }).format(at);
    const here = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' }).format(at);
    const there = own === here ? '' : `${own} in ${row.timezone.split('/').pop()?.replaceAll('_', ' ')}`;
    if (!row.on) return [h('span', { class: 'dim' }, 'off'), h('br'), h('span', { class: 'dim' }, `would be ${moment(at, now)}`)];
    return [moment(at, now), h('br'), h('span', { class: 'dim', title: there }, there && `${there}, `, h('span', { 'data-ahead': row.next_at }))];
  }
}

export default { render };

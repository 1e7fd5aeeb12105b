// The live engine panel: its health, four figures, who works for it, and why runs wait; or that it is away.

import { h, keyed, redraw } from './dom.js';
import { draw, mark } from './marks.js';
import { button, heads, Panel } from './panel.js';

/** @typedef {import('./types').EngineView} EngineView */
/** @typedef {import('./types').Figure} Figure */

/**
 * @param {{ model: import('./types').Model<EngineView>, el: HTMLElement }} host
 * @returns {() => void}
 */
export function render({ model, el }) {
  const panel = new Engine(model);
  el.append(panel.root);
  return () => panel.dispose();
}

/** @extends {Panel<EngineView>} */
class Engine extends Panel {
  /** @param {import('./types').Model<EngineView>} model */
  constructor(model) {
    super(model, 'Engine', 'the engine itself goes on');
    this.mark = h('span', { class: 'slot' });
    this.title.prepend(this.mark);
    this.problem = h('p', { class: 'why' });
    this.stats = h('dl', { class: 'stats' });
    this.held = h('tbody', {});
    this.lines = h('table', { 'aria-label': 'Why runs wait' }, ...heads([['Queue', '', '30%'], ['In line', 'num', '66px', 'n-56'], ['Why its first run waits', '']]), this.held);
    this.workers = h('tbody', {});
    this.table = h('table', { 'aria-label': 'Workers' }, ...heads([['Worker', '', '116px', 'n-72'], ['Kind', 'hide-s', '136px'], ['Doing', ''], ['Memory of cap', '', '150px', 'n-92'], ['Since', 'num', '84px', 'n-72']]), this.workers);
    this.more = h('p', { class: 'why' });
    this.log = h('pre', { class: 'out', 'aria-label': 'Log of the engine' });
    this.told = h('p', { class: 'why', role: 'status' });
    this.body.append(this.problem, this.stats, this.lines, this.table, this.more, this.told, this.log);
    this.redraw();
  }

  /** @param {EngineView} view */
  draw(view) {
    if (!view.title) return;
    const status = view.is_well ? 'COMPLETED' : 'SYSTEM_FAILURE';
    redraw(this.mark, status, () => [h('span', { 'data-s': status }, mark(status))]);
    const name = /** @type {HTMLElement} */ (this.title.querySelector('.name'));
    if (name.textContent !== view.title) name.textContent = view.title;
    redraw(this.sub, [view.about, view.began], () => [view.about, view.began && ' · up ', view.began && h('span', { 'data-since': view.began })]);
    redraw(this.buttons, [view.is_away, !!view.logs], () => (view.is_away
      ? [button('start', 'play', 'Start engine', () => this.act({ do: 'start' }))]
      : [button('logs', '', view.logs ? 'Hide logs' : 'Logs', () => this.act({ do: view.logs ? 'no logs' : 'logs' })), button('restart', 'replay', 'Restart', () => this.act({ do: 'restart' }), 'Restart the engine; what is executing goes on')]));
    const last = view.last_word ? `Its last word was at ${view.last_word}. ` : '';
    redraw(this.problem, [last, view.problem], () => [view.problem && `${last}${view.problem}`]);
    redraw(this.stats, view.four, () => (view.four ?? []).map(stat));
    this.lines.hidden = !view.held?.length;
    keyed(this.held, 'tr', (view.held ?? []).map((one) => ({ key: one.queue, data: one, build: () => [h('td', { title: one.queue }, one.queue), h('td', { class: 'num' }, one.queued), h('td', { class: 'dim', title: one.reason }, one.reason)] })));
    this.table.hidden = !view.workers?.length;
    keyed(this.workers, 'tr', (view.workers ?? []).map((one) => ({ key: one.id, data: one, build: () => worker(one) })));
    redraw(this.more, view.more_workers, () => [view.more_workers ? `${view.more_workers} more workers` : view.workers?.length || view.is_away ? '' : 'No workers: they start with the next run.']);
    const { answer } = view;
    redraw(this.told, answer, () => [answer?.ok ? answer.text : '']);
    redraw(this.log, view.logs, () => [view.logs]);
  }
}

/** @param {Figure} figure */
function stat(figure) {
  const { share, line } = figure;
  const bar = share === undefined || share === null ? null : h('div', { class: 'bar', 'data-s': 'EXECUTING', 'aria-hidden': 'true' }, h('i', { style: `width:${100 * share}%` }));
  return h('div', {}, h('dt', {}, figure.name), h('dd', {}, h('span', { class: 'big' }, figure.value), figure.of && h('span', { class: 'dim' }, ` of ${figure.of}`), bar, line?.length ? spark(line) : null, h('small', {}, figure.more ?? '')));
}

/** The last 15 minutes, now at the right; a gap where there was nothing. @param {number[]} values */
function spark(values) {
  const most = Math.max(...values, 1e-9);
  const points = values.map((value, at) => (value < 0 ? '' : `${120 - 2 * (values.length - 1 - at)},${21 - (19 * value) / most}`)).join(' ').trim();
  const made = draw([['polyline', { points, fill: 'none', stroke: 'currentColor', 'stroke-width': 1.5, 'vector-effect': 'non-scaling-stroke' }]], 'spark');
  made.setAttribute('viewBox', '0 0 120 22');
  made.setAttribute('preserveAspectRatio', 'none');
  return made;
}

/** @param {import('./types').WorkerRow} row */
function worker(row) {
  const filled = h('i', { style: `width:${100 * (row.share ?? 0)}%` });
  return [
    h('td', { title: `pid ${row.pid}` }, row.id), h('td', { class: 'dim hide-s' }, row.kind),
    h('td', { class: row.is_busy ? null : 'dim', title: row.names }, row.doing, row.names && h('span', { class: 'dim' }, ` ${row.names}`)),
    h('td', {}, h('div', { class: 'slots' }, row.share ? h('span', { class: 'load', 'aria-hidden': 'true' }, filled) : null, h('span', {}, row.memory ?? '–'))),
    h('td', { class: 'num dim' }, row.since ? h('span', { 'data-since': row.since }) : '–'),
  ];
}

export default { render };

// The part of a run card that a notebook job has: its cells, the current one, what was shown last, its parameters. Its
// files stand below, as those of other runs do that have ended. It draws what kernelkit/ui/job.py says.

import { h, redraw } from './dom.js';
import { figure, ticking } from './format.js';

/** @typedef {import('./types').View} View */
/** @typedef {import('./types').Job} Job */

const MOST_BLOCKS = 60; // then one plain bar

export class JobPart {
  /** @param {(name: string) => void} fetch asks for a file */
  constructor(fetch) {
    this.fetch = fetch;
    this.counts = h('span', {});
    this.told = h('span', { class: 'gap dim num' });
    this.line = h('div', { class: 'row small' }, this.counts, this.told);
    this.bar = h('div', {});
    this.source = h('pre', { class: 'src', 'aria-label': 'Current cell' });
    this.output = h('p', { class: 'mono cut' });
    this.given = h('dl', { class: 'kv', 'aria-label': 'Parameters' });
    this.files = h('div', { class: 'row files' });
    this.root = h('div', { class: 'job' }, this.line, this.bar, this.source, this.output, this.given);
  }

  /** @param {View} view */
  draw(view) {
    const { job } = view;
    this.root.hidden = !job;
    redraw(this.files, [view.files, view.is_final], () => (view.files ?? []).map((file) => this.file(file, !!view.is_final)));
    if (!job) return;
    redraw(this.counts, [job.done, job.cells], () => [h('b', {}, figure(job.done)), ` of ${figure(job.cells)} cell${job.cells === 1 ? '' : 's'}`]);
    redraw(this.bar, [job.done, job.cells, job.cell, job.at], () => [bar(job)]);
    redraw(this.source, [job.source, view.is_final], () => [job.source || (!view.is_final && '\u00a0')]);
    this.source.title = job.source ?? '';
    redraw(this.output, [job.output, view.is_final], () => (job.output ? [h('span', { class: 'dim' }, 'last shown '), job.output] : [!view.is_final && h('span', { class: 'dim' }, 'Nothing shown so far.')]));
    this.output.title = job.output ?? '';
    redraw(this.given, [job.parameters, job.more_parameters], () => given(job));
  }

  /**
   * What ticks: how long the current cell has taken.
   * @param {Job | undefined} job
   * @param {number} now
   */
  tick(job, now) {
    if (!job) return;
    const told = `${job.told ?? ''}${job.since ? ` for ${ticking((now - Date.parse(job.since)) / 1000)}` : ''}`;
    redraw(this.told, told, () => [told]);
  }

  /** @param {{ name: string, size: string }} file @param {boolean} isFinal */
  file({ name, size }, isFinal) {
    const made = h('button', { class: 'btn line', type: 'button', 'data-act': `file-${name}`, title: `${name}, ${size}` }, h('span', { class: 'cut' }, `Download ${name}${isFinal ? '' : ' so far'}`), h('span', { class: 'dim' }, size));
    made.addEventListener('click', () => this.fetch(name));
    return made;
  }
}

/** @param {Job} job */
function bar(job) {
  const attributes = { role: 'progressbar', 'aria-label': 'Cells', 'aria-valuemin': 0, 'aria-valuemax': job.cells, 'aria-valuenow': job.done, 'aria-valuetext': `${job.done} of ${job.cells}${job.told ? `, ${job.told}` : ''}` };
  if (job.cells > MOST_BLOCKS) {
    const filled = h('i', {});
    filled.style.width = `${(100 * job.done) / job.cells}%`;
    return h('div', { ...attributes, class: 'bar', 'data-s': job.at || 'COMPLETED' }, filled);
  }
  const blocks = Array.from({ length: job.cells }, (_, index) => h('i', { 'data-s': index < job.done ? 'COMPLETED' : index + 1 === job.cell ? job.at : 'QUEUED' }));
  return h('div', { ...attributes, class: 'cellbar' }, ...blocks);
}

/** @param {Job} job */
function given(job) {
  const rows = (job.parameters ?? []).map(({ name, value }) => h('div', {}, h('dt', {}, name), h('dd', { class: 'cut', title: value }, value)));
  if (job.more_parameters) rows.push(h('div', {}, h('dt', {}, `${job.more_parameters} more`)));
  return rows;
}

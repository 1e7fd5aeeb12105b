// The live run card. It draws what kernelkit/ui/view.py says and adds only what must move by itself: the clock, countdowns,
// and how long nobody has said anything. Nothing is parsed as HTML (dom.js).

import { Announcer } from './announcer.js';
import { copied, NO_CLIPBOARD } from './clipboard.js';
import { h, redraw } from './dom.js';
import { Download } from './download.js';
import { failure } from './failure.js';
import { countdown, figure, ticking } from './format.js';
import { JobPart } from './job.js';
import { icon, mark } from './marks.js';
import { Menu } from './menu.js';
import { why } from './reason.js';
import { Silence } from './silence.js';

/** @typedef {import('./types').View} View */
/** @typedef {import('./types').Model} Model */
/** @typedef {import('./types').Bring} Bring the form of an answer, which few cards need */

const ANSWER_MS = 1000; // then a click is said to wait
const SAID_MS = 4000; // what a click came to stands in the reason's place for so long
const LOG_ROWS = 4;
const MORE = [{ what: 'id', label: 'Copy id' }, { what: 'timeline', label: 'Timeline' }, { what: 'payload', label: 'Payload', shows: true }, { what: 'logs', label: 'All logs' }];
/** @type {Record<string, string>} What a click does about the reason for which a run waits. */
const REMEDIES = { resume: 'Resume queue', retry: 'Retry now', start: 'Start now' };

/**
 * @param {{ model: Model, el: HTMLElement, bring: Bring }} host
 * @returns {() => void}
 */
export function render({ model, el, bring }) {
  const card = new Card(model, bring);
  el.append(card.root);
  return () => card.dispose();
}

class Card {
  /**
   * @param {Model} model
   * @param {Bring} bring
   */
  constructor(model, bring) {
    this.model = model;
    this.bring = bring;
    this.silence = new Silence(model, () => this.tick(), 'the run itself goes on');
    this.asked = 0;
    this.askedAt = 0;
    this.told = 0; // the answer whose errors stand at their fields
    this.kind = ''; // of the last click
    this.stopping = 0; // the number of the click on Cancel, unless that was refused
    this.said = '';
    this.saidAt = 0;
    this.isStale = false;
    this.announcer = new Announcer();

    this.mark = h('span', { class: 'slot' });
    this.name = h('span', { class: 'name cut' });
    this.status = h('span', { class: 'status' });
    this.of = h('span', { class: 'of dim small cut' });
    this.clock = h('span', { class: 'gap clock', title: 'Duration since the first start' });
    this.label = h('span', { class: 't' }, 'Cancel');
    this.cancel = /** @type {HTMLButtonElement} */ (h('button', { class: 'btn', type: 'button' }, icon('stop'), this.label));
    this.cancel.addEventListener('click', () => this.ask({ do: 'cancel' }));
    this.replay = this.button('replay', 'replay', 'Replay', 'Trigger it again, with the same payload');
    this.tree = this.button('tree', 'tree', 'Open tree', 'Show the run tree below');
    this.menu = new Menu(MORE, (what) => (what === 'id' ? void this.copyId() : this.act(what)));
    this.inside = /** @type {import('./types').Inside | null} */ (null);
    /** @param {{ inside?: import('./types').Inside }} told */
    this.onInside = (told) => {
      if (!told.inside) return;
      this.inside = told.inside;
      this.draw();
    };
    this.why = h('p', { class: 'why' });
    this.bars = h('div', { class: 'bars' });
    this.log = h('div', { class: 'log', role: 'log', 'aria-live': 'off', 'aria-label': 'Last log lines' });
    this.pairs = h('dl', { class: 'kv', 'aria-label': 'Metadata' });
    this.form = /** @type {import('./answer.js').AnswerForm | null} */ (null);
    this.isBringing = false;
    this.answerPlace = h('div', { hidden: true });
    this.question = h('p', {});
    this.file = new Download(model);
    this.job = new JobPart((name) => this.fetch(name));
    this.streams = h('div', { class: 'streams' });
    this.output = h('div', { class: 'result' });
    this.failure = h('div', { class: 'failure' });
    this.body = h('div', { class: 'body' }, this.question, this.answerPlace, this.job.root, this.job.files, this.streams, this.bars, this.log, this.pairs, this.output, this.failure);
    this.foot = h('div', { class: 'foot' });
    this.root = h(
      'section', { class: 'kk', role: 'group' },
      this.silence.strip, h('div', { class: 'head', 'data-lm-suppress-shortcuts': 'true' }, this.mark, this.name, this.status, this.of, this.clock, this.cancel, this.replay, this.tree, this.menu.button),
      this.menu.root, this.why, this.body, this.foot, this.announcer.place,
    );

    this.onView = () => this.draw();
    this.onAnswer = () => this.hear(model.get('answer'));
    model.on('change:view', this.onView);
    model.on('change:answer', this.onAnswer);
    /** @type {any} */ (model).on('msg:custom', this.onInside);
    this.draw();
  }

  dispose() {
    this.silence.dispose();
    this.file.dispose();
    this.model.off('change:view', this.onView);
    this.model.off('change:answer', this.onAnswer);
    /** @type {any} */ (this.model).off('msg:custom', this.onInside);
  }

  /** @param {string} act @param {string} text @param {() => void} does */
  link(act, text, does) {
    const made = h('button', { class: 'btn link', type: 'button', 'data-act': act }, text);
    made.addEventListener('click', does);
    return made;
  }

  /** A button of the head that the kernel is asked by. @param {string} what @param {string} sign @param {string} text @param {string} title */
  button(what, sign, text, title) {
    const made = h('button', { class: 'btn', type: 'button', 'data-act': what, title, 'aria-label': text }, icon(sign), h('span', { class: 't' }, text));
    made.addEventListener('click', () => this.act(what));
    return made;
  }

  /** @param {string} [what] */
  remedyOf(what) {
    return what && REMEDIES[what] ? [' ', this.link(what, REMEDIES[what], () => this.act(what))] : [];
  }

  /** @param {string} what see kernelkit/ui/card_acts.py */
  act(what) {
    if (what.endsWith('file')) this.file.begin();
    if (!this.isStale && !(this.isAsking() && this.kind === what)) this.ask({ do: 'act', what });
  }

  /** @param {string} text */
  say(text) {
    this.said = text;
    this.saidAt = Date.now();
    this.tick();
  }

  /** @param {import('./types').Answer} answer */
  hear(answer) {
    if (answer.to === this.stopping && !answer.ok) this.stopping = 0;
    if (answer.ok && answer.text && answer.to === this.asked) this.say(answer.text);
    this.draw();
  }

  async copyId() {
    const id = this.model.get('view').run_id;
    const isCopied = await copied(id, /** @type {HTMLElement} */ (this.foot.querySelector('.id')));
    this.say(isCopied ? `Copied ${id}.` : `${NO_CLIPBOARD} The id is selected below, for a copy by the keyboard.`);
  }

  /** @param {string} name */
  fetch(name) {
    this.file.begin();
    this.ask({ do: 'fetch', name });
  }

  /** @param {{ do: string, id?: string, data?: string, name?: string, what?: string }} content */
  ask(content) {
    this.asked += 1;
    this.askedAt = Date.now();
    this.kind = content.what ?? content.do;
    if (content.do === 'cancel') this.stopping = this.asked;
    this.model.send({ ...content, n: this.asked });
    this.draw();
  }

  isAsking() {
    return this.asked > 0 && this.model.get('answer').to !== this.asked;
  }

  draw() {
    const view = this.model.get('view');
    if (!view.run_id) return;
    redraw(this.mark, [view.status, view.title], () => [h('span', { 'data-s': view.status, title: view.title }, mark(view.status))]);
    redraw(this.name, view.task, () => [view.task]);
    this.name.title = view.task;
    this.status.dataset.s = view.status;
    redraw(this.of, view.job?.file, () => [view.job?.file]);
    this.of.title = view.job?.file ?? '';
    this.job.draw(view);
    redraw(this.question, view.asked?.title, () => (view.asked ? [h('b', {}, view.asked.title)] : []));
    if (view.asked) this.bringForm();
    redraw(this.streams, view.streams, () => streams(view));
    for (const text of this.streams.querySelectorAll('pre')) text.scrollTop = text.scrollHeight;
    redraw(this.bars, [view.bars, view.status], () => (view.bars ?? []).map((bar) => progress(bar, view.is_final || view.status === 'RETRYING' ? view.status : 'EXECUTING')));
    redraw(this.log, [view.logs, view.status], () => logRows(view));
    redraw(this.pairs, [view.metadata, view.more_metadata], () => pairs(view));
    redraw(this.output, view.output, () => this.result(view));
    redraw(this.failure, view.error, () => failure(view, (frame) => this.toCell(frame)));
    this.menu.draw(this.inside, (inside) => this.value('Payload', 'payload', inside.value, inside.code));
    redraw(this.foot, [view.job?.kernel, view.run_id, view.attempt, view.attempts, view.queue, view.facts, view.tags, view.more_tags, !!view.queued_since], () => this.footOf(view));
    this.tick();
  }

  /** @param {View} view */
  result(view) {
    return view.output ? this.value('Output', 'output', view.output, `kk.runs.retrieve("${view.run_id}").output`) : [];
  }

  /**
   * A value with the way to the whole of it.
   * @param {string} title
   * @param {string} what
   * @param {import('./types').Output} value
   * @param {string} code
   */
  value(title, what, value, code) {
    const text = h('pre', { class: 'out', tabindex: 0, 'aria-label': title }, value.text);
    const copy = async () => this.say(await copied(value.text, text) ? `Copied the ${what}.` : `${NO_CLIPBOARD} The ${what} is selected, for a copy by the keyboard.`);
    const whole = value.is_cut ? this.link(`${what} file`, 'Download', () => this.act(`${what} file`)) : this.link(`copy ${what}`, 'Copy', copy);
    return [h('p', { class: 'count' }, `${title} · ${value.kind} · ${value.size}${value.is_cut ? ', cut for show ' : ' '}`, whole, value.is_cut && ' or read ', value.is_cut && h('code', {}, code)), text];
  }

  /**
   * To the cell of a frame, in JupyterLab's own notebook: by its number and the line, for either alone may be another's by now.
   * @param {import('./types').Frame} frame
   */
  toCell(frame) {
    const number = /^cell (\[\d+\])/i.exec(frame.place)?.[1];
    return number !== undefined && this.link(`cell ${frame.line}`, 'Go to cell', () => {
      const cells = [...(this.root.closest('.jp-Notebook')?.querySelectorAll('.jp-CodeCell') ?? [])];
      const found = cells.find((cell) => cell.querySelector('.jp-InputPrompt')?.textContent?.startsWith(number) && cell.querySelector('.cm-content')?.textContent?.includes(frame.source.trim()));
      if (!found) return this.say(`Cell ${number} has changed since, or is not on this page.`);
      found.scrollIntoView({ block: 'center' });
      /** @type {HTMLElement} */ (found.querySelector('.cm-content')).focus();
    });
  }

  /** @param {View} view */
  footOf(view) {
    const id = h('button', { class: 'btn id mono', type: 'button', title: 'Copy the run id', 'aria-label': `Copy run id ${view.run_id}` }, view.run_id);
    id.addEventListener('click', () => void this.copyId());
    return [id, ...foot(view)];
  }

  bringForm() {
    if (this.isBringing) return;
    this.isBringing = true;
    void this.bring().then(({ AnswerForm }) => {
      this.form = new AnswerForm((data) => this.ask({ do: 'complete', id: this.model.get('view').asked?.id, data }));
      this.answerPlace.replaceWith(this.form.root);
      this.tick();
    });
  }

  /** What moves by itself. */
  tick() {
    const view = this.model.get('view');
    const quiet = this.silence.draw(view.as_of_text ?? '');
    this.isStale = quiet;
    const now = quiet ? Date.parse(view.as_of) : this.silence.now();
    const word = quiet ? `${view.word}, last known` : view.word;
    redraw(this.status, word, () => [word]);
    this.root.classList.toggle('stale', quiet);
    this.root.setAttribute('aria-label', `Run of ${view.task}: ${word}`);
    const clock = view.since ? ticking((now - Date.parse(view.since)) / 1000) : (view.clock ?? '–');
    redraw(this.clock, clock, () => [clock]);
    const until = (view.reason ?? []).map((bit) => (bit.at ? countdown((Date.parse(bit.at) - now) / 1000) : ''));
    const waits = this.isAsking() && Date.now() - this.askedAt > ANSWER_MS;
    const answer = this.model.get('answer');
    const refused = !this.isAsking() && answer.ok === false && answer.to === this.asked ? this.refusalOf(answer) : '';
    const said = Date.now() - this.saidAt < SAID_MS ? this.said : '';
    redraw(this.why, [view.reason, view.remedy, until, waits, refused, this.kind, said], () => (said ? [said] : [...why(view, until, waits, refused ?? '', this.kind), ...this.remedyOf(view.remedy)]));
    const queued = view.queued_since ? `queued ${ticking((now - Date.parse(view.queued_since)) / 1000)} ago` : '';
    const place = /** @type {HTMLElement | null} */ (this.foot.querySelector('.queued'));
    if (place) redraw(place, queued, () => [queued]);
    this.job.tick(view.job, now);
    this.drawActs(view, quiet);
    this.form?.draw(view.asked, quiet || this.isAsking());
    this.body.hidden = [...this.body.children].every((part) => /** @type {HTMLElement} */ (part).hidden);
    this.announcer.say(said || `${view.task}: ${word}`);
  }

  /** @param {import('./types').Answer} answer */
  refusalOf({ to = 0, text = '', errors }) {
    const isNew = to !== this.told;
    this.told = to;
    return this.form ? this.form.refused({ to, ok: false, text, errors }, isNew) : text;
  }

  /**
   * @param {View} view
   * @param {boolean} isStale
   */
  drawActs(view, isStale) {
    const stopping = this.stopping > 0;
    this.cancel.hidden = !!view.is_final;
    this.cancel.disabled = isStale || stopping;
    const text = stopping ? 'Canceling…' : 'Cancel';
    if (this.label.textContent !== text) this.label.textContent = text;
    this.cancel.setAttribute('aria-label', stopping ? 'Canceling' : `Cancel run of ${view.task}`);
    this.cancel.title = stopping ? 'Cancel requested' : 'Cancel this run';
    this.replay.hidden = !view.is_final;
    this.tree.hidden = !view.has_tree;
    // Not `disabled`, which would take the focus away. An id can be copied all the same.
    for (const one of [this.replay, this.tree, ...this.menu.items.slice(1)]) one.setAttribute('aria-disabled', String(isStale));
  }
}

/**
 * @param {import('./types').Bar} bar
 * @param {string} status
 */
function progress(bar, status) {
  const of = bar.total === undefined || bar.total === null ? figure(bar.done) : `${figure(bar.done)} / ${figure(bar.total)}`;
  const filled = h('i', {});
  filled.style.width = `${100 * (bar.share ?? 0)}%`;
  const track = h('div', { class: 'bar', role: 'progressbar', 'aria-label': bar.label, 'aria-valuemin': 0, 'aria-valuemax': bar.total, 'aria-valuenow': bar.total ? bar.done : null, 'aria-valuetext': of }, filled);
  return h('div', { class: 'prog', 'data-s': status }, h('span', { class: 'cut', title: bar.label }, bar.label), track, h('span', { class: 'num' }, of), h('span', { class: 'num dim left', title: 'time left' }, bar.left ?? '–'));
}

/** @param {View} view */
function logRows(view) {
  const rows = (view.logs ?? []).slice(-LOG_ROWS).map((row) => h('div', {}, h('span', {}, row.time), h('span', { class: 'level', 'data-level': row.level }, row.level), h('span', { title: row.text }, row.text)));
  if (view.status !== 'EXECUTING') return view.is_final && !view.error ? [] : rows;
  if (!rows.length) rows.push(h('div', { class: 'none' }, 'No log lines so far.'));
  while (rows.length < LOG_ROWS) rows.push(h('div', { 'aria-hidden': 'true' }, '\u00a0'));
  return rows;
}

/** @param {View} view */
function pairs(view) {
  const rows = (view.metadata ?? []).map((pair) => h('div', {}, h('dt', {}, pair.key), h('dd', { class: 'cut', title: pair.value }, pair.value)));
  if (view.more_metadata) rows.push(h('div', {}, h('dt', {}, `${view.more_metadata} more`)));
  return rows;
}

/** @param {View} view */
function streams(view) {
  return (view.streams ?? []).flatMap((one) => [h('p', { class: 'count' }, `Stream ${one.name} · ${one.count}`), h('pre', { class: 'out flow', 'aria-live': 'off', 'aria-label': `End of the stream ${one.name}` }, one.text)]);
}

/** @param {View} view */
function foot(view) {
  const tries = view.attempts ?? [];
  return [
    h('span', {}, view.attempt ?? 'not started'),
    tries.length > 1 && h('span', { class: 'attempts', role: 'img', 'aria-label': `Attempts: ${tries.join(', ').toLowerCase()}` }, ...tries.map((status) => h('span', { 'data-s': status, title: status }, mark(status)))),
    view.queue && h('span', { class: 'cut', title: view.queue }, `queue ${view.queue}`),
    view.queued_since && h('span', { class: 'queued num' }),
    view.job?.kernel && h('span', { class: 'cut' }, `kernel ${view.job.kernel}`),
    ...(view.facts ?? []).map((fact) => h('span', {}, fact)),
    ...(view.tags ?? []).map((tag) => h('span', { class: 'tag cut', title: tag }, tag)),
    view.more_tags && h('span', {}, `+${view.more_tags}`),
  ];
}

export default { render };

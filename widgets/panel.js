// What the panels share: a title, a strip when nobody speaks, clicks with numbers that the next view answers, and figures
// that tick. The browser says now and then that it shows the panel; the kernel asks the engine only then.

import { h, redraw } from './dom.js';
import { countdown, ticking } from './format.js';
import { icon } from './marks.js';
import { Silence } from './silence.js';

/** @typedef {import('./types').Told} Answer */
/** @typedef {{ as_of: string, as_of_text?: string, answer?: Answer }} PanelView */

const HERE_MS = 20_000;

/** @template {PanelView} V */
export class Panel {
  /**
   * @param {import('./types').Model<V>} model
   * @param {string} name
   * @param {string} goesOn without the kernel
   */
  constructor(model, name, goesOn) {
    this.model = model;
    this.number = 0;
    this.asked = '';
    this.isQuiet = false;
    this.silence = new Silence(model, () => this.tick(), goesOn);
    this.sub = h('span', { class: 'dim small cut' });
    this.buttons = h('span', { class: 'row gap' });
    this.title = h('div', { class: 'title' }, h('span', { class: 'name' }, name), this.sub, this.buttons);
    this.refusal = h('p', { class: 'why bad', role: 'alert', hidden: true });
    this.body = h('div', {});
    this.root = h('section', { class: 'kk', role: 'group', 'aria-label': name }, this.silence.strip, this.title, this.refusal, this.body);
    this.onView = () => this.redraw();
    model.on('change:view', this.onView);
    this.here = () => {
      if (this.root.isConnected && document.visibilityState !== 'hidden') this.model.send({ do: 'here' });
    };
    this.pings = setInterval(this.here, HERE_MS);
    document.addEventListener('visibilitychange', this.here);
  }

  dispose() {
    this.silence.dispose();
    this.model.off('change:view', this.onView);
    clearInterval(this.pings);
    document.removeEventListener('visibilitychange', this.here);
  }

  get view() {
    return this.model.get('view');
  }

  /** Whether the last click is not answered yet. */
  get isAsking() {
    return this.number > 0 && this.view.answer?.to !== this.number;
  }

  /**
   * Ask the kernel for something. The same again is not sent before it was answered: a second click is no second run.
   * @param {object} content
   */
  act(content) {
    const asked = JSON.stringify(content);
    if (this.isQuiet || (this.isAsking && asked === this.asked)) return;
    this.asked = asked;
    this.number += 1;
    this.model.send({ ...content, n: this.number });
    this.redraw();
  }

  redraw() {
    const { answer } = this.view;
    const refused = answer && !answer.ok && answer.to === this.number ? this.refusalOf(answer) : '';
    redraw(this.refusal, refused, () => [refused]);
    this.draw(this.view);
    this.tick();
  }

  /** What of a refusal stands below the title. @param {Answer} answer */
  refusalOf(answer) {
    return answer.text;
  }

  /** @param {V} view */
  draw(view) {
    throw new Error(`nobody draws ${view}`);
  }

  /** What moves by itself, and what may not be done while nobody answers. */
  tick() {
    const quiet = this.silence.draw(this.view.as_of_text ?? '');
    this.root.classList.toggle('stale', quiet);
    const now = quiet ? Date.parse(this.view.as_of) : this.silence.now();
    for (const element of this.root.querySelectorAll('[data-since], [data-until]')) {
      const { since, until } = /** @type {HTMLElement} */ (element).dataset;
      const text = since ? ticking((now - Date.parse(since)) / 1000) : `in ${countdown((Date.parse(until ?? '') - now) / 1000)}`;
      if (element.textContent !== text) element.textContent = text;
    }
    this.isQuiet = quiet;
    // Not `disabled`, which would take the focus away.
    for (const control of this.root.querySelectorAll('[data-act]')) control.setAttribute('aria-disabled', String(quiet));
  }
}

/**
 * A button that does something; `act` names it, so that it keeps the focus when it is drawn again.
 * @param {string} act
 * @param {string} sign
 * @param {string} text
 * @param {() => void} does
 * @param {string} [name] read out in place of the text
 */
export function button(act, sign, text, does, name) {
  const made = h('button', { class: 'btn', type: 'button', 'data-act': act, 'aria-label': name ?? text, title: name }, sign ? icon(sign) : null, h('span', { class: 't' }, text));
  made.addEventListener('click', does);
  return made;
}

/**
 * The columns of a table: heads with a class, and a width here and in a narrow place (panel.css, `n-40`).
 * @param {[text: string, kind: string, width?: string, narrow?: string][]} columns
 */
export function heads(columns) {
  return [
    h('colgroup', {}, ...columns.map(([, kind, width, narrow]) => h('col', { class: [kind.replace('num', ''), narrow].join(' ').trim(), style: width ? `width:${width}` : null }))),
    h('thead', {}, h('tr', {}, ...columns.map(([text, kind]) => h('th', { class: kind, scope: 'col' }, text)))),
  ];
}

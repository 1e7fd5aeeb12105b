// What a person answers to a token: fields that tell about it, the JSON that will be sent, Approve and Reject. A part of the
// token's own card and of the card of a run that waits for it.

import { h, redraw } from './dom.js';
import { icon } from './marks.js';
import { fault } from './fault.js';

/** @typedef {import('./types').Asked} Asked */

const NO = '{"approved": false}';

export class AnswerForm {
  /** @param {(data: string) => void} send */
  constructor(send) {
    this.send = send;
    this.context = h('dl', { class: 'kv', 'aria-label': 'Context' });
    this.field = /** @type {HTMLTextAreaElement} */ (h('textarea', { rows: 2, spellcheck: 'false', 'aria-label': 'Answer sent to the run (JSON)' }));
    this.problem = h('p', { class: 'small bad', role: 'alert', hidden: true });
    this.approve = h('button', { class: 'btn main', type: 'button', 'data-act': 'approve' }, icon('check'), h('span', {}, 'Approve'));
    this.reject = h('button', { class: 'btn line danger', type: 'button', 'data-act': 'reject' }, icon('x'), h('span', {}, 'Reject'));
    this.hint = h('span', { class: 'gap small dim' }, `Reject sends ${NO}`);
    this.label = h('label', { class: 'small answer' }, 'Answer sent to the run (JSON)', this.field);
    this.root = h('div', { class: 'ask', 'data-lm-suppress-shortcuts': 'true', hidden: true }, this.context, this.label, this.problem,
      h('div', { class: 'row' }, this.approve, this.reject, this.hint));
    this.drawn = '';
    this.isOff = false;
    this.field.addEventListener('input', () => this.check());
    this.approve.addEventListener('click', () => this.check() && !this.isOff && this.send(this.field.value));
    this.reject.addEventListener('click', () => !this.isOff && this.send(NO));
  }

  /**
   * @param {Asked | null | undefined} asked
   * @param {boolean} isOff a click is under way, or nobody would hear it
   */
  draw(asked, isOff) {
    this.root.hidden = !asked;
    if (!asked) return;
    if (this.drawn !== asked.id) {
      this.drawn = asked.id;
      this.field.value = asked.answer ?? '{"approved": true, "note": ""}';
    }
    redraw(this.context, [asked.context, asked.more], () => [
      ...(asked.context ?? []).map((pair) => h('div', {}, h('dt', {}, pair.key), h('dd', { class: 'cut', title: pair.value }, pair.value))),
      asked.more ? h('div', {}, h('dt', {}, `${asked.more} more`)) : null,
    ]);
    this.isOff = isOff;
    this.reject.setAttribute('aria-disabled', String(isOff));
    this.check();
  }

  /** Whether the answer can be read as JSON; where not, it is said what is wrong. */
  check() {
    const problem = fault(this.field.value);
    redraw(this.problem, problem, () => [problem]);
    this.field.setAttribute('aria-invalid', String(!!problem));
    this.approve.setAttribute('aria-disabled', String(!!problem || this.isOff));
    return !problem;
  }
}

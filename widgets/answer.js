// What a person answers to a token: fields that tell about it, the answer's own form or else the JSON that will be sent,
// Approve and Reject. A part of the token's own card and of the card of a run that waits for it.

import { h, redraw } from './dom.js';
import { icon } from './marks.js';
import { fault } from './fault.js';
import { Fields, toFirstFault } from './form.js';

/** @typedef {import('./types').Asked} Asked */
/** @typedef {import('./types').Told} Told */

const NO = '{"approved": false}';
const LABEL = 'Answer sent to the run (JSON)';

export class AnswerForm {
  /** @param {(data: string) => void} send */
  constructor(send) {
    this.send = send;
    this.context = h('dl', { class: 'kv', 'aria-label': 'Context' });
    this.place = h('div', {});
    this.word = h('span', {});
    this.approve = h('button', { class: 'btn main', type: 'button', 'data-act': 'approve' }, icon('check'), this.word);
    this.reject = h('button', { class: 'btn line danger', type: 'button', 'data-act': 'reject' }, icon('x'), h('span', {}, 'Reject'));
    this.hint = h('span', { class: 'gap small dim' });
    this.root = h('div', { class: 'ask', 'data-lm-suppress-shortcuts': 'true', hidden: true }, this.context, this.place,
      h('div', { class: 'row' }, this.approve, this.reject, this.hint));
    this.drawn = '';
    this.isOff = false;
    this.answer = /** @type {Text | Form} */ (new Text(() => this.check()));
    this.approve.addEventListener('click', () => this.take(true));
    this.reject.addEventListener('click', () => this.take(false));
    this.root.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) this.take(true);
    });
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
      this.answer = asked.form ? new Form(asked.form, !!asked.verdict) : new Text(() => this.check(), asked.answer);
      this.place.replaceChildren(this.answer.root);
      this.word.textContent = this.answer.word;
      this.hint.textContent = this.answer.hint;
      this.reject.hidden = !this.answer.hint;
    }
    redraw(this.context, [asked.context, asked.more], () => [
      ...(asked.context ?? []).map((pair) => h('div', {}, h('dt', {}, pair.key), h('dd', { class: 'cut', title: pair.value }, pair.value))),
      asked.more ? h('div', {}, h('dt', {}, `${asked.more} more`)) : null,
    ]);
    this.isOff = isOff;
    this.reject.setAttribute('aria-disabled', String(isOff));
    this.check();
  }

  check() {
    this.approve.setAttribute('aria-disabled', String(!this.answer.isReady() || this.isOff));
  }

  /** @param {boolean} isYes */
  take(isYes) {
    this.check();
    if (this.isOff) return;
    const data = this.answer.take(isYes);
    if (data === null) toFirstFault(this.root);
    else this.send(data);
  }

  /**
   * What of a refusal has no field to stand at; the rest is put there, when it comes.
   * @param {Told} told
   * @param {boolean} isNew
   */
  refused({ errors, text }, isNew) {
    const places = (errors ?? []).map((error) => ({ ...error, control: this.answer.find(error.path) }));
    if (isNew) {
      for (const { control, text } of places) control?.told(text);
      toFirstFault(this.root);
    }
    return places.length && places.every(({ control }) => control) ? '' : text;
  }
}

/** Any JSON, as text. */
class Text {
  /** @param {() => void} changed @param {string} [begun] */
  constructor(changed, begun = '{"approved": true, "note": ""}') {
    this.word = 'Approve';
    this.hint = `Reject sends ${NO}`;
    this.field = /** @type {HTMLTextAreaElement} */ (h('textarea', { rows: 2, spellcheck: 'false', 'aria-label': LABEL }));
    this.problem = h('p', { class: 'small bad', role: 'alert', hidden: true });
    this.root = h('div', {}, h('label', { class: 'small answer' }, LABEL, this.field), this.problem);
    this.field.value = begun;
    this.field.addEventListener('input', changed);
  }

  /** Whether it can be read as JSON; where not, it is said what is wrong. */
  isReady() {
    const problem = fault(this.field.value);
    redraw(this.problem, problem, () => [problem]);
    this.field.setAttribute('aria-invalid', String(!!problem));
    return !problem;
  }

  /** @param {boolean} isYes @returns {string | null} */
  take(isYes) {
    return isYes ? (this.isReady() ? this.field.value : null) : NO;
  }

  find() {
    return null;
  }
}

/** The fields of what the token asks for. With a verdict the buttons are one of them. */
class Form {
  /** @param {{ fields: import('./types').FormField[], whole?: boolean }} form @param {boolean} hasVerdict */
  constructor({ fields, whole }, hasVerdict) {
    this.whole = !!whole;
    this.hasVerdict = hasVerdict;
    this.fields = new Fields(fields);
    this.word = hasVerdict ? 'Approve' : 'Send answer';
    this.hint = !hasVerdict ? '' : fields.length ? 'Reject sends "approved": false and these fields' : `Reject sends ${NO}`;
    this.root = h('div', { class: 'form' }, ...this.fields.roots);
  }

  isReady() {
    return true; // what is wrong is said at its field
  }

  /** @param {boolean} isYes @returns {string | null} null where a field needs a change */
  take(isYes) {
    const { value, bad } = this.fields.read();
    if (bad) return null;
    return JSON.stringify(this.whole ? (value.payload ?? null) : this.hasVerdict ? { approved: isYes, ...value } : value);
  }

  /** @param {(string | number)[]} path */
  find(path) {
    return this.fields.find(this.whole ? ['payload', ...path] : path);
  }
}

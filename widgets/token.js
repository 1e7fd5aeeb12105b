// The live token card: a question, how long there is to answer it, who waits, and the answer.

import { h, redraw } from './dom.js';
import { countdown } from './format.js';
import { mark } from './marks.js';
import { Panel } from './panel.js';

/** @typedef {import('./types').TokenView} TokenView */
/** @typedef {import('./types').Bring} Bring */

/**
 * @param {{ model: import('./types').Model<TokenView>, el: HTMLElement, bring: Bring }} host
 * @returns {() => void}
 */
export function render({ model, el, bring }) {
  const card = new TokenCard(model, bring);
  el.append(card.root);
  return () => card.dispose();
}

/** @extends {Panel<TokenView>} */
class TokenCard extends Panel {
  /**
   * @param {import('./types').Model<TokenView>} model
   * @param {Bring} bring
   */
  constructor(model, bring) {
    super(model, 'Token', 'whoever waits for it goes on waiting');
    this.mark = h('span', { class: 'slot' });
    this.name = h('span', { class: 'name cut' });
    this.status = h('span', { class: 'status' });
    this.clock = h('span', { class: 'gap clock' });
    this.title.replaceChildren(this.mark, this.name, this.status, this.clock);
    this.title.className = 'head';
    this.why = h('p', { class: 'why' });
    this.told = 0; // the answer whose errors stand at their fields
    /** @type {import('./answer.js').AnswerForm | undefined} */
    this.form = undefined;
    const place = h('div', { hidden: true });
    this.output = h('div', {});
    this.foot = h('div', { class: 'foot' });
    this.body.append(this.why, h('div', { class: 'body' }, place, this.output), this.foot);
    this.redraw();
    void bring().then(({ AnswerForm }) => {
      this.form = new AnswerForm((data) => this.act({ do: 'complete', data }));
      place.replaceWith(this.form.root);
      this.tick();
    });
  }

  /** @param {TokenView} view */
  draw(view) {
    if (!view.asked) return;
    const { asked } = view;
    redraw(this.mark, view.status, () => [h('span', { 'data-s': view.status }, mark(view.status))]);
    redraw(this.name, asked.title, () => [asked.title]);
    this.name.title = asked.title;
    this.status.dataset.s = view.status;
    redraw(this.why, [view.why, view.waiting, view.more_waiting], () => why(view));
    redraw(this.output, view.output, () => (view.output ? [h('pre', { class: 'out' }, view.output)] : []));
    redraw(this.foot, [asked.id, view.created, view.tags], () => [
      h('span', { class: 'mono' }, asked.id), h('span', {}, view.created), ...(view.tags ?? []).map((tag) => h('span', { class: 'tag cut', title: tag }, tag)),
    ]);
  }

  /** @param {import('./types').Told} answer */
  refusalOf(answer) {
    const isNew = answer.to !== this.told;
    this.told = answer.to;
    return this.form ? this.form.refused(answer, isNew) : answer.text;
  }

  tick() {
    super.tick();
    const { view } = this;
    if (!view.asked) return;
    const word = this.isQuiet ? `${view.word}, last known` : view.word;
    redraw(this.status, word, () => [word]);
    this.root.setAttribute('aria-label', `Token: ${view.asked.title}: ${word}`);
    const now = this.isQuiet ? Date.parse(view.as_of) : this.silence.now();
    const left = view.asked.until && !view.is_final ? `${countdown((Date.parse(view.asked.until) - now) / 1000)} left` : view.after ? `after ${view.after}` : '';
    redraw(this.clock, left, () => [left]);
    this.clock.title = view.until_text ? `until ${view.until_text}` : '';
    this.form?.draw(view.is_final ? null : view.asked, this.isQuiet || this.isAsking);
  }
}

/** @param {TokenView} view */
function why(view) {
  if (view.why) return [view.why];
  const waiting = view.waiting ?? [];
  if (!waiting.length) return ['No run waits for it so far; the answer is kept for the first that does.'];
  const more = view.more_waiting ? ` and ${view.more_waiting} more` : '';
  return [h('b', {}, 'Asked by'), ` ${waiting.join(', ')}${more}`];
}

export default { render };

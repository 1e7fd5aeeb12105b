// The live card of a task: its rules, a form for its payload, and the last runs.

import { h, keyed, redraw } from './dom.js';
import { icon, mark } from './marks.js';
import { Menu } from './menu.js';
import { button, Panel } from './panel.js';

const MORE = ['Versions', 'Source', 'Schema'].map((label) => ({ what: label.toLowerCase(), label, shows: true }));

/** @typedef {import('./types').TaskView} TaskView */

/**
 * @param {{ model: import('./types').Model<TaskView>, el: HTMLElement, bring: import('./types').Bring }} host
 * @returns {() => void}
 */
export function render({ model, el, bring }) {
  const card = new TaskCard(model);
  el.append(card.root);
  void bring().then((forms) => card.fill(forms));
  return () => card.dispose();
}

/** @extends {Panel<TaskView>} */
class TaskCard extends Panel {
  /** @param {import('./types').Model<TaskView>} model */
  constructor(model) {
    super(model, 'Task', 'what was triggered goes on');
    const { view } = this;
    this.root.setAttribute('aria-label', `Task ${view.task}`);
    /** @type {HTMLElement} */ (this.title.firstElementChild).textContent = view.task;
    this.hasAll = false;
    this.told = 0; // the answer whose errors stand at their fields
    /** @type {Awaited<ReturnType<import('./types').Bring>> | undefined} */
    this.forms = undefined;
    /** @type {import('./form.js').Fields | undefined} */
    this.payload = undefined;
    /** @type {import('./form.js').Fields | undefined} */
    this.options = undefined;
    this.rules = h('div', { class: 'foot rules' });
    this.about = h('p', { class: 'small about', hidden: !view.description }, view.description ?? '');
    this.drawer = h('div', { class: 'drawer', hidden: true });
    this.toggle = h('button', { class: 'btn', type: 'button', 'aria-expanded': 'false' });
    this.note = h('span', { class: 'gap small dim', role: 'status' });
    this.code = h('pre', { class: 'out', hidden: true });
    this.form = h('form', { 'data-lm-suppress-shortcuts': 'true', 'aria-label': `Payload of ${view.task}`, novalidate: true, hidden: true });
    this.more = new Menu(MORE, (what) => this.act({ do: 'more', what }));
    this.buttons.append(this.more.button);
    this.head = h('div', { class: 'strip' });
    this.rows = h('tbody', {});
    const columns = h('colgroup', {}, ...[['124px'], ['90px', 'hide-s'], ['76px'], ['']].map(([width, kind]) => h('col', { class: kind, style: width ? `width:${width}` : null })));
    this.recent = h('div', { class: 'recent' }, this.head, h('table', { 'aria-label': 'Recent runs' }, columns, this.rows));
    this.body.append(this.more.root, this.rules, this.about, this.form, this.recent);
    this.redraw();
  }

  /** The form, when its code has come. @param {Awaited<ReturnType<import('./types').Bring>>} forms */
  fill(forms) {
    const { form, options } = this.view;
    this.forms = forms;
    this.payload = new forms.Fields(form.fields);
    this.options = new forms.Fields(options);
    this.drawer.append(h('div', { class: 'form two' }, ...this.options.roots));
    this.toggle.addEventListener('click', () => {
      this.drawer.hidden = !this.drawer.hidden;
      this.draw(this.view);
    });
    const copy = h('button', { class: 'btn', type: 'button', title: 'Copy the same call as Python' }, 'Copy as code');
    copy.addEventListener('click', () => this.copy());
    this.note.textContent = form.fields.some((field) => field.required) ? '* required · Ctrl Enter triggers' : 'Ctrl Enter triggers';
    const go = button('trigger', 'play', 'Trigger', () => this.trigger());
    go.classList.add('main');
    const acts = h('div', { class: 'acts' }, go, this.toggle, copy, this.note);
    this.form.append(
      form.fields.length ? h('div', { class: 'form' }, ...this.payload.roots) : h('p', { class: 'small dim about' }, 'Takes no payload.'),
      this.drawer, acts, this.code);
    this.form.hidden = false;
    this.form.addEventListener('submit', (event) => event.preventDefault());
    // The field keeps the focus: what leaving it says would move the button away from under the pointer.
    acts.addEventListener('mousedown', (event) => event.preventDefault());
    this.form.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        event.stopPropagation();
        this.trigger();
      }
    });
    this.redraw();
  }

  /** @param {TaskView} view */
  draw(view) {
    if (!view.task) return;
    redraw(this.sub, [view.version, view.where], () => [[view.version, view.where].filter(Boolean).join(' · ')]);
    redraw(this.rules, [view.rules, view.counts], () => [...view.rules.map((rule) => h('span', {}, rule)), view.counts && h('span', { class: 'gap' }, view.counts)]);
    const isOpen = !this.drawer.hidden;
    const isSet = !!this.options && Object.keys(this.options.read().value).length > 0;
    this.toggle.setAttribute('aria-expanded', String(isOpen));
    redraw(this.toggle, [isOpen, isSet], () => [icon(isOpen ? 'down' : 'right'), 'Options', !isOpen && isSet && h('span', { class: 'dot', title: 'Some are set' })]);
    redraw(this.head, [view.total, this.hasAll], () => [h('span', {}, view.total ? 'Recent runs' : 'No runs so far.'), view.total > 3 && this.all(`All ${view.total >= 100_000 ? 'over ' : ''}${view.total.toLocaleString('en')}`)]);
    this.more.draw(view.more, ({ what, text }) => [h('pre', { class: 'out', tabindex: 0, 'aria-label': what }, text)]);
    keyed(this.rows, 'tr', (view.recent ?? []).map((run) => ({ key: run.run_id, data: run, build: () => [
      h('td', { 'data-s': run.status }, this.opener(run)),
      h('td', { class: 'dim hide-s' }, run.created), h('td', { class: 'num' }, run.since ? h('span', { 'data-since': run.since }) : run.clock ?? '–'),
      h('td', { class: 'dim', title: run.note }, run.note ?? ''),
    ] })));
    this.answer(view);
  }

  /** Shows the table of its runs below, once. @param {string} text */
  all(text) {
    const made = button('all', '', text, () => {
      this.hasAll = true;
      this.act({ do: 'all' });
    }, `${text} runs in a table below`);
    made.classList.add('gap');
    /** @type {HTMLButtonElement} */ (made).disabled = this.hasAll;
    return made;
  }

  /** Its status, which shows the run's card below. @param {import('./types').RecentRun} run */
  opener(run) {
    const made = button(`card ${run.run_id}`, '', run.word, () => this.act({ do: 'card', id: run.run_id }), `${run.word}: show the card of ${run.run_id}`);
    made.prepend(mark(run.status));
    /** @type {HTMLElement} */ (made.lastElementChild).className = 'status';
    return made;
  }

  /** @param {TaskView} view */
  answer({ answer }) {
    if (!answer || answer.to === this.told || answer.to !== this.number) return;
    this.told = answer.to;
    if (!this.asked.startsWith('{"do":"trigger"')) return;
    if (answer.ok) {
      this.say(answer.text, false);
      return;
    }
    const errors = answer.errors ?? [];
    for (const { path, text } of errors) {
      this.place(path)?.told(text);
      if (path[0] === '@') this.drawer.hidden = false;
    }
    this.say(errors.length ? changes(errors.length) : 'Not triggered', true);
    this.forms?.toFirstFault(this.form);
  }

  /** The control that an error is about; those of options are behind `@`. @param {(string | number)[]} path */
  place(path) {
    if (path[0] === '@') return this.options?.find(path.slice(1));
    return this.payload?.find(this.view.form.whole ? ['payload', ...path] : path);
  }

  /** Below the title stands only what has no field. @param {import('./types').Told} answer */
  refusalOf(answer) {
    return answer.errors?.length && answer.errors.every(({ path }) => this.place(path)) ? '' : answer.text;
  }

  /** @param {string} text @param {boolean} isBad */
  say(text, isBad) {
    this.note.replaceChildren(text);
    this.note.classList.toggle('bad', isBad);
  }

  /** What would be sent; null when a field needs a change. */
  take() {
    if (!this.forms || !this.payload || !this.options) return null;
    const payload = this.payload.read();
    const options = this.options.read();
    const bad = payload.bad + options.bad;
    if (options.bad) this.drawer.hidden = false;
    this.draw(this.view);
    if (bad) {
      this.say(changes(bad), true);
      this.forms.toFirstFault(this.form);
      return null;
    }
    const { fields, whole } = this.view.form;
    return { payload: whole ? payload.value.payload : fields.length ? payload.value : undefined, options: options.value };
  }

  trigger() {
    const taken = this.take();
    if (!taken) return;
    this.say('Triggering…', false);
    this.act({ do: 'trigger', ...taken });
  }

  async copy() {
    const taken = this.take();
    if (!taken || !this.forms) return;
    const text = this.forms.call(this.view.name, !!this.view.form.whole, taken.payload, taken.options);
    this.code.textContent = text; // also for pages that may not write to the clipboard
    this.code.hidden = false;
    try {
      await navigator.clipboard.writeText(text);
      this.say('Copied', false);
    } catch {
      this.say('This page may not write to the clipboard; the call stands below.', false);
    }
  }
}

/** @param {number} count */
function changes(count) {
  return count === 1 ? '1 field needs a change' : `${count} fields need a change`;
}

export default { render };

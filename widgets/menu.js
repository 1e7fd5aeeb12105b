// A menu behind one button, as a row of entries below the head: in a notebook's output nothing may stand over the next
// cell. An entry either does something at once, or shows what it is called, until it is chosen again or Escape is pressed.

import { h, redraw } from './dom.js';
import { icon } from './marks.js';

/** @typedef {{ what: string, label: string, shows?: boolean }} Entry */

export class Menu {
  /**
   * @param {Entry[]} entries
   * @param {(what: string) => void} choose
   */
  constructor(entries, choose) {
    this.chosen = '';
    this.choose = choose;
    const name = `More: ${entries.map(({ label }) => label.toLowerCase()).join(', ')}`;
    this.button = h('button', { class: 'btn', type: 'button', 'data-menu': 'more', 'aria-haspopup': 'menu', 'aria-expanded': 'false', 'aria-label': name, title: name }, icon('more'));
    this.button.addEventListener('click', () => this.toggle(!!this.row.hidden));
    this.items = entries.map((entry) => this.item(entry));
    this.row = h('div', { class: 'row', role: 'menu', 'aria-label': 'More', hidden: true }, ...this.items);
    this.pane = h('div', { class: 'pane', hidden: true });
    this.root = h('div', { class: 'more', 'data-lm-suppress-shortcuts': 'true' }, this.row, this.pane);
    for (const place of [this.button, this.root]) place.addEventListener('keydown', (event) => this.key(event));
  }

  /** @param {Entry} entry */
  item({ what, label, shows }) {
    const made = h('button', { class: 'btn', type: 'button', role: shows ? 'menuitemcheckbox' : 'menuitem', 'aria-checked': shows ? 'false' : null, tabindex: -1, 'data-what': what, 'data-act': what }, label);
    made.addEventListener('click', () => {
      if (made.getAttribute('aria-disabled') === 'true') return;
      this.chosen = shows && this.chosen !== what ? what : '';
      if (!shows) this.toggle(false);
      if (this.chosen || !shows) this.choose(what);
      this.mark();
    });
    return made;
  }

  mark() {
    for (const one of this.items) if (one.hasAttribute('aria-checked')) one.setAttribute('aria-checked', String(one.dataset.what === this.chosen));
    if (!this.chosen) redraw(this.pane, null, () => []);
  }

  /** Open it and go to its first entry, or close it and come back. @param {boolean} isOpen */
  toggle(isOpen) {
    this.row.hidden = !isOpen;
    this.button.setAttribute('aria-expanded', String(isOpen));
    if (!isOpen) this.chosen = '';
    this.mark();
    (isOpen ? this.items[0] : this.button).focus();
  }

  /**
   * What the chosen entry shows, once it is known.
   * @template {{ what: string }} T
   * @param {T | null | undefined} shown
   * @param {(shown: T) => import('./dom.js').Child[]} build
   */
  draw(shown, build) {
    const wanted = shown && shown.what === this.chosen ? shown : null;
    redraw(this.pane, wanted, () => (wanted ? build(wanted) : []));
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const at = this.items.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const last = this.items.length - 1;
    /** @type {Record<string, number>} */
    const steps = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: last };
    if (event.key === 'Escape' && !this.row.hidden) this.toggle(false);
    else if (event.key === 'ArrowDown' && event.currentTarget === this.button) this.toggle(true);
    else if (at >= 0 && event.key in steps) this.items[(steps[event.key] + last + 1) % (last + 1)].focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

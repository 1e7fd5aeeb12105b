// Tells a screen reader of a change, at most one each 5 s; what ticks is never read out.

import { h } from './dom.js';

const EVERY_MS = 5000;

export class Announcer {
  constructor() {
    this.place = h('span', { class: 'sr', 'aria-live': 'polite' });
    this.told = '';
    this.at = 0;
  }

  /** @param {string} text how it stands, said again and again; the first time nothing has changed */
  say(text) {
    if (text === this.told || Date.now() - this.at < EVERY_MS) return;
    const isFirst = this.told === '';
    this.told = text;
    this.at = isFirst ? 0 : Date.now();
    if (!isFirst) this.place.textContent = text;
  }
}

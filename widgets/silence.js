// Tells that nobody has said anything for a while: the kernel, by its missing heartbeat, or the engine, by the kernel's word.

import { h, redraw } from './dom.js';
import { countdown } from './format.js';
import { mark } from './marks.js';

const SILENT_MS = 6000; // the kernel says something at least every 2 s
const ABSENT_MS = 3000; // so that one is gone that has said nothing since an old picture was drawn

/** @typedef {{ as_of: string, as_of_text?: string, is_final?: boolean }} Dated */

export class Silence {
  /**
   * @param {import('./types').Model<Dated>} model
   * @param {() => void} tick called at each word of the kernel's, and four times a second
   * @param {string} what goes on without the kernel
   */
  constructor(model, tick, what) {
    this.model = model;
    this.what = what;
    this.heardAt = Date.now();
    this.mayBeAbsent = this.heardAt - Date.parse(model.get('view').as_of) > SILENT_MS;
    this.skew = 0; // of the browser's clock against the kernel's
    this.strip = h('div', { class: 'strip', role: 'status', hidden: true });
    this.onView = () => {
      this.mayBeAbsent = false;
      this.heardAt = Date.now();
      this.skew = this.heardAt - Date.parse(this.model.get('view').as_of);
    };
    this.onWord = () => {
      this.mayBeAbsent = false;
      this.heardAt = Date.now();
      tick();
    };
    model.on('change:view', this.onView);
    for (const name of ['change:beat', 'change:link']) model.on(name, this.onWord);
    this.timer = setInterval(tick, 250);
  }

  dispose() {
    clearInterval(this.timer);
    this.model.off('change:view', this.onView);
    for (const name of ['change:beat', 'change:link']) this.model.off(name, this.onWord);
  }

  /** Moments of the view are the kernel's; a clock that differs by less than a second counts as the same. */
  now() {
    return Date.now() - (Math.abs(this.skew) < 1000 ? 0 : this.skew);
  }

  /**
   * Draw the strip; says whether what is shown is old.
   * @param {string} known
   */
  draw(known) {
    const quiet = this.who();
    const lasted = quiet ? countdown((Date.now() - quiet.since) / 1000) : '';
    const text = quiet ? told(quiet.who, lasted, known, this.what) : '';
    redraw(this.strip, text, () => (text ? [h('span', { class: 'slot', 'data-s': 'PENDING_VERSION' }, mark('PENDING_VERSION')), h('span', { class: 'grow' }, text), quiet?.who === 'engine' && h('code', {}, '%engine status')] : []));
    return quiet !== null;
  }

  who() {
    if (this.model.get('view').is_final) return null;
    if (this.mayBeAbsent && Date.now() - this.heardAt > ABSENT_MS) return { who: 'nobody', since: this.heardAt };
    if (Date.now() - this.heardAt > SILENT_MS) return { who: 'kernel', since: this.heardAt };
    const link = this.model.get('link');
    return link.state === 'silent' ? { who: 'engine', since: (link.since ?? Date.now()) + (Date.now() - this.now()) } : null;
  }
}

/**
 * @param {string} who
 * @param {string} lasted
 * @param {string} moment with its day
 * @param {string} what
 */
function told(who, lasted, moment, what) {
  if (who === 'nobody') return `The notebook's kernel is not connected. Showing what was known on ${moment}. Run the cell again to see how it stands now.`;
  const known = `Showing what was known at ${moment.split(', ').pop() ?? ''}`;
  if (who === 'engine') return `No word from the engine for ${lasted}. ${known}; trying again.`;
  return `No word from the notebook's kernel for ${lasted}: it is busy or gone. ${known}; ${what}.`;
}

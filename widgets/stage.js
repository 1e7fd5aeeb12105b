// What the tests of views share: a page in which time stands still, and a model whose kernel is the test.

import { afterEach, beforeEach, mock } from 'node:test';
import { Window } from 'happy-dom';

const GLOBALS = ['document', 'Node', 'HTMLElement', 'HTMLInputElement', 'CSS', 'Event', 'ResizeObserver', 'getSelection'];

/** What anywidget gives to `render`. */
export class FakeModel {
  constructor(view) {
    this.state = { view, link: { state: 'live' }, answer: {}, beat: 0 };
    this.heard = new Map();
    this.sent = [];
  }

  get(name) { return this.state[name]; }
  set(name, value) { this.say(name, value); }
  on(name, callback) { this.heard.set(name, [...(this.heard.get(name) ?? []), callback]); }
  off(name, callback) { this.heard.set(name, (this.heard.get(name) ?? []).filter((one) => one !== callback)); }
  send(content) { this.sent.push(JSON.parse(JSON.stringify(content))); }

  say(name, value) {
    this.state[name] = value;
    for (const callback of this.heard.get(name) ?? this.heard.get(`change:${name}`) ?? []) callback();
  }

  get listeners() { return [...this.heard.values()].flat().length; }
}

/** The element that the view of the running test stands in, and the window around it. */
export let place;
export let window;
let render;
let forms;
let end;

/**
 * Gives each test of the file a page of its own, at that moment; a view drawn in it ends with the test.
 * @param {string} file the module of the view
 * @param {{ at?: string, timers?: ('Date' | 'setInterval' | 'setTimeout')[] }} [how]
 */
export function stage(file, { at = '2026-11-21T13:33:21Z', timers = ['Date', 'setInterval'] } = {}) {
  beforeEach(async () => {
    mock.timers.enable({ apis: timers, now: Date.parse(at) });
    window = new Window();
    for (const name of GLOBALS) globalThis[name] = window[name];
    if (file) ({ render } = await import(file));
    forms = { ...await import('./answer.js'), ...await import('./form.js'), ...await import('./python.js') };
    place = document.createElement('div');
    document.body.append(place);
  });
  afterEach(() => {
    leave();
    mock.timers.reset();
  });
}

/** Draw the view of `model`, by the file's module or another; returns the model. */
export function draw(model, by = render) {
  end = by({ model, el: place, bring: () => ({ then: (take) => take(forms) }) }); // what is brought is there at once
  return model;
}

/** End the view, as a front end does that takes it away. */
export function leave() {
  end?.();
  end = undefined;
}

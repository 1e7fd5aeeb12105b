// How views and the code that they share find each other on a page.
//
// The kernel sends a part (code and styles, packed) once, as a model of its own, and each view names the part that draws
// it. Which of them comes first is open, and a page may hold notebooks with kernels of several versions: a part goes by
// a name made from its text, is unpacked once a page, by the one that all share (`bring.js`, `hand.js`), and its styles
// hold only inside views that are drawn by it (`drawn.js`).

/** @typedef {{ ready: Promise<any>, done: (made: unknown) => void, isHere?: boolean }} Part */
/** @typedef {import('./types').Model<unknown> & { widget_manager?: any }} Model */
/** @typedef {{ model: Model, el: HTMLElement }} Host */

/** @param {string} key @returns {Part} */
export function part(key) {
  /** @type {Map<string, Part>} */
  const parts = /** @type {any} */ (globalThis)[Symbol.for('kernelkit.parts')] ??= new Map();
  let found = parts.get(key);
  if (!found) {
    /** @type {any} */
    let done;
    const ready = new Promise((resolve) => { done = resolve; });
    found = { ready, done };
    parts.set(key, found);
  }
  return found;
}

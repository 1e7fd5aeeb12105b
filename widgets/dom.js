// Makes elements. Texts become text nodes and nothing else: no string from a task, a log or an error is ever parsed as HTML.

/** @typedef {string | number | Node | null | undefined | false} Child */

/**
 * An element with attributes and children. An attribute that is `false`, `null` or `undefined` is left out.
 * @param {string} tag
 * @param {Record<string, string | number | boolean | null | undefined>} [attributes]
 * @param {...Child} children
 * @returns {HTMLElement}
 */
export function h(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    made.setAttribute(name, value === true ? '' : String(value));
  }
  made.append(...nodes(children));
  return made;
}

/**
 * @param {Child[]} children
 * @returns {(string | Node)[]}
 */
function nodes(children) {
  /** @type {(string | Node)[]} */
  const kept = [];
  for (const child of children) {
    if (child === null || child === undefined || child === false || child === '') continue;
    kept.push(child instanceof Node ? child : String(child));
  }
  return kept;
}

/**
 * A place in a card that is drawn again only when what it shows has changed, so that focus, selection and hover stay.
 * @param {HTMLElement} place
 * @param {unknown} data
 * @param {() => Child[]} build
 */
export function redraw(place, data, build) {
  const key = JSON.stringify(data) ?? '';
  if (place.dataset.drawn === key) return;
  place.dataset.drawn = key;
  const children = nodes(build());
  place.hidden = children.length === 0;
  place.replaceChildren(...children);
}

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
  return fill(document.createElement(tag), attributes, children);
}

/**
 * The same for a shape, or what holds shapes.
 * @param {string} tag
 * @param {Record<string, string | number | boolean | null | undefined>} [attributes]
 * @param {...Child} children
 * @returns {SVGElement}
 */
export function svg(tag, attributes = {}, ...children) {
  return fill(/** @type {SVGElement} */ (document.createElementNS('http://www.w3.org/2000/svg', tag)), attributes, children);
}

/**
 * @template {Element} E
 * @param {E} made
 * @param {Record<string, string | number | boolean | null | undefined>} attributes
 * @param {Child[]} children
 * @returns {E}
 */
function fill(made, attributes, children) {
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
 * If it is drawn again, focus goes to the control that has the same `data-act` as the one that had it.
 * @param {HTMLElement | SVGElement} place
 * @param {unknown} data
 * @param {() => Child[]} build
 */
export function redraw(place, data, build) {
  const key = JSON.stringify(data) ?? '';
  if (place.dataset.drawn === key) return;
  place.dataset.drawn = key;
  const active = /** @type {HTMLElement | null} */ (document.activeElement);
  const act = active && place.contains(active) ? active.dataset.act : undefined;
  const children = nodes(build());
  place.toggleAttribute('hidden', children.length === 0);
  place.replaceChildren(...children);
  if (act) /** @type {HTMLElement | null} */ (place.querySelector(`[data-act="${CSS.escape(act)}"]`))?.focus();
}

/**
 * Children that keep their element while their key stays.
 * @param {HTMLElement} place
 * @param {string} tag
 * @param {{ key: string, data: unknown, attributes?: Record<string, string | null>, build: () => Child[] }[]} rows
 */
export function keyed(place, tag, rows) {
  const known = new Map([...place.children].map((row) => [/** @type {HTMLElement} */ (row).dataset.key, /** @type {HTMLElement} */ (row)]));
  const made = rows.map(({ key, data, attributes, build }) => {
    const row = known.get(key) ?? h(tag, { 'data-key': key });
    for (const [name, value] of Object.entries(attributes ?? {})) {
      if (value === null) row.removeAttribute(name);
      else row.setAttribute(name, value);
    }
    redraw(row, data, build);
    return row;
  });
  arrange(place, made);
}

/**
 * Make these the children of `place`, in this order. One that stays in its place is not touched: it would lose the focus,
 * and the page would be laid out anew.
 * @param {HTMLElement} place
 * @param {HTMLElement[]} wanted
 */
export function arrange(place, wanted) {
  const active = /** @type {HTMLElement | null} */ (document.activeElement);
  const kept = new Set(wanted);
  for (const child of [...place.children]) if (!kept.has(/** @type {HTMLElement} */ (child))) child.remove();
  let next = place.firstElementChild;
  for (const child of wanted) {
    if (child === next) next = next.nextElementSibling;
    else place.insertBefore(child, next);
  }
  if (active && active !== document.activeElement && place.contains(active)) active.focus();
}

// Saves what is shown along with the notebook, so that one that is opened again without its kernel shows what was last
// known; else JupyterLab says "model not found" in the place of each live view, and does not look at the static face.
//
// JupyterLab can save the state of all widgets, but does not unless a person has chosen it. Here only our views that
// stand in an output are saved, with what draws them; what others have saved stays.

const STATE = 'application/vnd.jupyter.widget-state+json';
const VIEW = 'application/vnd.jupyter.widget-view+json';
const REFERENCE = /^IPY_MODEL_(.+)$/;

const MOST = 20_000; // characters of one view

/** What a view hears on the document before it is saved, so that its model has what is shown. */
export const SAVING = 'kernelkit-saving';

/** @typedef {{ model_name: string, state: Record<string, any> }} Saved */

/** @type {WeakSet<object>} */
const known = new WeakSet();

/**
 * Called for each notebook of the page; other hosts than JupyterLab and Notebook have nothing to hear of.
 * @param {any} manager
 */
export function start(manager) {
  const saving = manager?.context?.saveState;
  if (typeof saving?.connect !== 'function' || typeof manager.get_state_sync !== 'function' || known.has(manager)) return;
  known.add(manager);
  saving.connect((/** @type {unknown} */ _, /** @type {string} */ how) => {
    if (how === 'started') keep(manager);
  });
}

/** @param {any} manager */
function keep(manager) {
  const notebook = manager.context.model;
  const widgets = notebook?.getMetadata?.('widgets') ?? {};
  /** @type {Record<string, Saved>} */
  const before = widgets[STATE]?.state ?? {};
  document.dispatchEvent(new Event(SAVING));
  /** @type {Record<string, Saved>} */
  const live = manager.get_state_sync({ drop_defaults: true }).state;
  /** @type {Record<string, Saved>} */
  const state = {};
  for (const [id, one] of Object.entries(before)) if (!isOurs(one)) state[id] = one;
  const take = (/** @type {string} */ id) => {
    const one = live[id] ?? before[id];
    if (!one || id in state) return;
    state[id] = fitted(one);
    for (const value of [one.state.layout, ...(one.state.parts ?? [])]) {
      const found = REFERENCE.exec(value);
      if (found) take(found[1]);
    }
  };
  for (const id of shown(notebook)) if (isOurs(live[id] ?? before[id])) take(id);
  const others = Object.keys(widgets).filter((name) => name !== STATE);
  if (Object.keys(state).length) notebook.setMetadata('widgets', { ...widgets, [STATE]: { version_major: 2, version_minor: 0, state } });
  else if (Object.keys(before).length && !others.length) notebook.deleteMetadata('widgets');
}

/** @param {any} notebook @returns {string[]} */
function shown(notebook) {
  const ids = [];
  for (const cell of notebook.cells) {
    for (let at = 0; at < (cell.outputs?.length ?? 0); at += 1) {
      const id = cell.outputs.get(at).data?.[VIEW]?.model_id;
      if (id) ids.push(id);
    }
  }
  return ids;
}

/**
 * Without rows or lines of which there are too many to be saved: the first rows stay, the last lines.
 * @param {Saved} one @returns {Saved}
 */
function fitted(one) {
  const { view, lines } = one.state;
  const share = MOST / JSON.stringify([view, lines]).length;
  if (share >= 1) return one;
  const state = { ...one.state };
  if (Array.isArray(lines)) state.lines = lines.slice(-Math.floor(lines.length * share));
  if (Array.isArray(view?.rows)) {
    const rows = view.rows.slice(0, Math.floor(view.rows.length * share));
    state.view = { ...view, rows, hidden: (view.hidden ?? 0) + view.rows.length - rows.length };
  }
  return { ...one, state };
}

/** @param {Saved | undefined} one */
function isOurs(one) {
  return one?.model_name === 'AnyModel' && String(one.state._esm).includes('kernelkit.parts');
}

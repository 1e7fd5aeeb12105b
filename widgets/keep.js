// Saves what is shown along with the notebook, so that one that is opened again without its kernel shows what was last
// known; else JupyterLab says "model not found" in the place of each live view, and does not look at the static face.
//
// JupyterLab can save the state of all widgets, but does not unless a person has chosen it. Here only our views that
// stand in an output are saved, with what draws them; what others have saved stays.

const STATE = 'application/vnd.jupyter.widget-state+json';
const VIEW = 'application/vnd.jupyter.widget-view+json';
const PREFIX = 'IPY_MODEL_';

const MOST = 29_500; // bytes that are kept for a view, with what draws it

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
  /** @type {Record<string, Saved>} */
  const live = manager.get_state_sync({ drop_defaults: true }).state;
  /** @type {Record<string, Saved>} */
  const state = {};
  const layouts = new Set(Object.values(before).filter(isOurs).map((one) => one.state.layout));
  for (const [id, one] of Object.entries(before)) if (!isOurs(one) && !layouts.has(PREFIX + id)) state[id] = one;
  const of = (/** @type {string} */ id) => live[id] ?? before[id];
  for (const id of shown(notebook)) {
    const one = of(id);
    if (!isOurs(one)) continue;
    // Forms are not kept: nothing can be sent from there. Nor is what was last new: the view has it.
    const { news, ...rest } = one.state;
    const parts = (rest.parts ?? []).filter((/** @type {string} */ named) => !isForm(of(named.slice(PREFIX.length))));
    const needed = [rest.layout, ...parts].filter(Boolean).map((named) => named.slice(PREFIX.length)).filter(of);
    for (const each of needed) state[each] = of(each);
    state[id] = fitted({ ...one, state: { ...rest, parts } }, MOST - size(needed.map(of)));
  }
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
 * Without the rows or lines that there is no room for: the first rows stay, the last lines.
 * @param {Saved} one @param {number} room @returns {Saved}
 */
function fitted(one, room) {
  // What can only be chosen from while a kernel hears it is not kept, and rows are worth more than a sketch.
  const { form, options, tasks, periods, more, last, ...view } = one.state.view ?? {};
  const { rows = [], lines = [] } = view;
  /** @type {Record<string, any>} */
  const state = { ...one.state, view };
  const whole = size({ ...one, state });
  if (whole <= room) return { ...one, state };
  const least = size({ ...one, state: { ...state, view: { ...view, rows: [], lines: [] } } });
  const share = (room - least) / (whole - least);
  if (lines.length) state.view = { ...view, lines: lines.slice(-Math.max(1, Math.floor(lines.length * share))) };
  if (rows.length) {
    const kept = rows.slice(0, Math.max(1, Math.floor(rows.length * share)));
    state.view = { ...view, rows: kept, hidden: (view.hidden ?? 0) + rows.length - kept.length };
  }
  return { ...one, state };
}

/** In the file, where it stands some levels deep. @param {object} part */
function size(part) {
  return new Blob([JSON.stringify([[[[[part]]]]], null, 1)]).size;
}

/** @param {Saved | undefined} one */
function isOurs(one) {
  return one?.model_name === 'AnyModel' && String(one.state._esm).includes('kernelkit.parts');
}

/** @param {Saved | undefined} one */
function isForm(one) {
  return String(one?.state._esm).includes('"kk-forms-');
}

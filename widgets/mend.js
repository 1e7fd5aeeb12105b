// Keeps the view that a model has whole: the kernel sends what is new in it (kernelkit/ui/difference.py). Views see only
// the whole, and so does what is saved.
//
// Each view has a number, and its news says which number it makes which of. Where one is missing, as for a page that
// came late, the whole is asked for.

/** @typedef {[row: unknown] | [at: number, toOrFields: number | object, gone?: string[]]} Piece */
/** @typedef {{ n: number, of: number, set?: object, rows?: Record<string, Piece[]>, gone?: string[] }} News */

/**
 * Once a model, however many views it has.
 * @param {any} model
 */
export function follow(model) {
  /** @type {number | undefined} */
  let asked;
  const take = () => {
    const view = model.get('view');
    /** @type {News | undefined} */
    const news = model.get('news');
    if (!news || !(news.n > view.n)) return;
    if (news.of === view.n) {
      model.set('view', mended(view, news));
    } else if (asked !== view.n) {
      asked = view.n;
      model.send({ do: 'whole' });
    }
  };
  for (const name of ['change:news', 'change:view']) model.on(name, take);
  take();
}

/**
 * @param {Record<string, any>} view
 * @param {News} news
 */
export function mended(view, { n, set, rows, gone }) {
  const made = without({ ...view, ...set, n }, gone);
  for (const [name, pieces] of Object.entries(rows ?? {})) {
    const old = view[name];
    const now = pieces.flatMap((piece) => {
      if (piece.length === 1) return piece;
      const [at, what, lost] = piece;
      return typeof what === 'number' ? old.slice(at, what) : [without({ ...old[at], ...what }, lost)];
    });
    made[name] = typeof old === 'string' ? now.join('') : now;
  }
  return made;
}

/**
 * @param {Record<string, any>} made
 * @param {string[]} [gone]
 */
function without(made, gone = []) {
  for (const name of gone) delete made[name];
  return made;
}

// What the model of a view is, and all that is sent with each: the name of the part that draws it.

import { part } from './page.js';
import { tell } from './tell.js';

/** @typedef {import('./page').Host} Host */

const PREFIX = 'IPY_MODEL_';
const LATE_MS = 10_000;

/**
 * What a view's model is to anywidget.
 * @param {string} key of the part that draws it
 */
export function drawn(key) {
  return {
    /** @param {Host} host */
    initialize({ model }) {
      void part(key).ready.then((made) => made.follow?.(model));
    },
    /** @param {Host} host */
    async render(host) {
      const { model, el } = host;
      const late = setTimeout(() => tell(el, 'its code has not come. Run the cell again'), LATE_MS);
      // Some hosts make a model only when it is asked for.
      for (const named of model.get('parts') ?? []) Promise.resolve(model.widget_manager?.get_model?.(named.slice(PREFIX.length))).catch(() => {});
      const made = await part(key).ready;
      clearTimeout(late);
      el.replaceChildren();
      try {
        return made.render(host);
      } catch (problem) {
        return tell(el, problem);
      }
    },
  };
}

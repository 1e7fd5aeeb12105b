// Saves a notebook of one view for each kind, by the very code that does so in JupyterLab: [kind, id, states] to bytes.
import { readFileSync } from 'node:fs';

globalThis.document = new EventTarget();
const { start } = await import(process.argv[2]);
const VIEW = 'application/vnd.jupyter.widget-view+json';

function saved(id, live) {
  let save;
  const metadata = {};
  const outputs = { length: 1, get: () => ({ data: { [VIEW]: { model_id: id } } }) };
  start({
    get_state_sync: () => ({ state: live }),
    context: {
      saveState: { connect: (slot) => { save = slot; } },
      model: { cells: [{ outputs }], getMetadata: (name) => metadata[name], setMetadata: (name, value) => { metadata[name] = value; } },
    },
  });
  save({}, 'started');
  return metadata.widgets;
}

const given = JSON.parse(readFileSync(0));
console.log(JSON.stringify(Object.fromEntries(given.map(([kind, id, live]) => [kind, saved(id, live)]))));

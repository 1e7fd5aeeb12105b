import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { constants, deflateRawSync } from 'node:zlib';

import { brings } from './bring.js';
import { drawn } from './drawn.js';
import { hands } from './hand.js';
import { start } from './keep.js';
import { FakeModel, place, stage } from './stage.js';

stage('', { timers: ['setTimeout'] });
const plain = URL.createObjectURL;
beforeEach(() => {
  globalThis[Symbol.for('kernelkit.parts')] = undefined;
  URL.createObjectURL = (blob) => (blob.type === 'text/javascript' ? `data:text/javascript,${encodeURIComponent(blob.code)}` : plain(blob));
  globalThis.Blob = class extends Plain { constructor(bits, how) { super(bits, how); this.code = bits[0]; } };
});
const Plain = globalThis.Blob;
const LETTERS = [...'0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~'];
function lettered(bytes) { // as Python's base64.b85encode
  const fours = Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
  let text = '';
  for (let at = 0; at < fours.length; at += 4) for (let n = 4; n >= 0; n -= 1) text += LETTERS[Math.floor(fours.readUInt32BE(at) / 85 ** n) % 85];
  return text.slice(0, text.length - (fours.length - bytes.length));
}
const plainly = (style, code) => JSON.stringify([style, code]);
const packed = (style, code) => lettered(deflateRawSync(plainly(style, code), { finishFlush: constants.Z_SYNC_FLUSH }));
const rest = (style, code) => lettered(deflateRawSync(plainly(style, code))); // no word of what it goes on from is needed
const model = () => Object.assign(new FakeModel({ task: 'embed' }), { widget_manager: undefined });
const settled = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
const until = async (holds) => { while (!holds()) await settled(); };
const sheets = () => [...document.head.querySelectorAll('style')].map((one) => one.textContent);

const SHARED = packed('.kk-base .kk {}', 'export default async () => ({ word: "drawn", start: (manager) => { globalThis.started = [...(globalThis.started ?? []), manager]; } });');
const KIND = rest('.kk-kind .kk {}', 'export default async (needs, key) => { const { word } = await needs("kk-base"); return { render: ({ el }) => { el.textContent = `${word} by ${key}`; return () => "over"; } }; };');

test('a view waits for its part, and that for what it shares, in whatever order they come', async () => {
  const shown = drawn('kk-kind').render({ model: model(), el: place });
  hands('kk-kind', 'kk-base', KIND);
  await settled();
  assert.equal(place.textContent, '');
  brings('kk-base', SHARED);
  assert.equal((await shown)(), 'over');
  assert.equal(place.textContent, 'drawn by kk-kind');
  assert.deepEqual(sheets(), ['.kk-base .kk {}', '.kk-kind .kk {}']);
});

test('the same part from a second kernel is not unpacked again, another version stands beside it', async () => {
  brings('kk-base', SHARED);
  brings('kk-base', SHARED);
  hands('kk-kind', 'kk-base', KIND);
  hands('kk-kind', 'kk-base', KIND);
  hands('kk-kind-2', 'kk-base', KIND.slice(0));
  await Promise.all(['kk-kind', 'kk-kind-2'].map((key) => drawn(key).render({ model: model(), el: document.createElement('div') })));
  assert.equal(sheets().length, 3);
});

test('each notebook of the page is told to the part that keeps what is shown', async () => {
  globalThis.started = [];
  for (const manager of ['one', 'two']) brings('kk-base', SHARED).initialize({ model: { ...model(), widget_manager: manager } });
  await until(() => globalThis.started.length === 2);
  assert.deepEqual(globalThis.started, ['one', 'two']);
});

test('a part that cannot be run says so in the place of its views', async () => {
  brings('kk-bad', packed('', 'export default () => { throw new Error("no such <thing>"); };'));
  await drawn('kk-bad').render({ model: model(), el: place });
  assert.equal(place.textContent, 'KernelKit cannot draw this view: Error: no such <thing>.');
});

test('parts of a host that makes models when asked are asked for', () => {
  const asked = [];
  const named = model();
  named.state.parts = ['IPY_MODEL_abc'];
  named.widget_manager = { get_model: (id) => { asked.push(id); return Promise.reject(new Error('not yet')); } };
  drawn('kk-late').render({ model: named, el: place });
  assert.deepEqual(asked, ['abc']);
});

// ---- what is saved

const STATE = 'application/vnd.jupyter.widget-state+json';
const VIEW = 'application/vnd.jupyter.widget-view+json';
const ours = (more = {}) => ({ model_name: 'AnyModel', state: { _esm: "Symbol.for('kernelkit.parts')", ...more } });

function notebook(live, shown, metadata = {}) {
  const outputs = shown.map((id) => ({ data: { [VIEW]: { model_id: id }, 'text/html': '' } }));
  const heard = [];
  const manager = {
    context: {
      saveState: { connect: (slot) => heard.push(slot) },
      model: {
        cells: [{ type: 'markdown' }, { outputs: { length: outputs.length, get: (at) => outputs[at] } }],
        getMetadata: (name) => metadata[name],
        setMetadata: (name, value) => { metadata[name] = value; },
        deleteMetadata: (name) => { delete metadata[name]; },
      },
    },
    get_state_sync: () => ({ state: live }),
  };
  start(manager);
  start(manager);
  assert.equal(heard.length, 1);
  return { metadata, save: (how = 'started') => heard[0]({}, how) };
}

test('views in sight are saved with their parts and layout, others and foreign ones are not', () => {
  const live = { a: ours({ parts: ['IPY_MODEL_p'], layout: 'IPY_MODEL_l' }), gone: ours({ parts: ['IPY_MODEL_q'] }), p: ours(), q: ours(), l: { model_name: 'LayoutModel', state: {} }, foreign: { model_name: 'IntSliderModel', state: {} } };
  const { metadata, save } = notebook(live, ['a', 'foreign']);
  save('completed');
  assert.deepEqual(metadata, {});
  save();
  assert.deepEqual(Object.keys(metadata.widgets[STATE].state).sort(), ['a', 'l', 'p']);
  assert.equal(metadata.widgets[STATE].version_major, 2);
});

test('forms are not kept, nor what was new last', () => {
  const form = { model_name: 'AnyModel', state: { _esm: 'kernelkit.parts hands("kk-forms-1", "kk-2", "")' } };
  const live = { a: ours({ parts: ['IPY_MODEL_p', 'IPY_MODEL_f'], news: { n: 3 }, view: { n: 3, form: { fields: [] } } }), p: ours(), f: form };
  const { metadata, save } = notebook(live, ['a']);
  save();
  const { state } = metadata.widgets[STATE];
  assert.deepEqual(Object.keys(state).sort(), ['a', 'p']);
  assert.deepEqual(state.a.state.parts, ['IPY_MODEL_p']);
  assert.deepEqual(state.a.state.view, { n: 3 });
  assert.equal(state.a.state.news, undefined);
  assert.equal(live.a.state.parts.length, 2);
});

test('what was saved stays while it is shown and no kernel has it, and what others saved stays', () => {
  const before = { widgets: { [STATE]: { state: { a: ours({ parts: ['IPY_MODEL_p'] }), p: ours(), old: ours({ layout: 'IPY_MODEL_l' }), l: { model_name: 'LayoutModel', state: {} }, foreign: { model_name: 'IntSliderModel', state: {} } } } } };
  const { metadata, save } = notebook({}, ['a'], before);
  save();
  assert.deepEqual(Object.keys(metadata.widgets[STATE].state).sort(), ['a', 'foreign', 'p']);
});

test('a notebook without live views has nothing of ours in its file', () => {
  const { metadata, save } = notebook({}, [], { widgets: { [STATE]: { state: { old: ours() } } } });
  save();
  assert.deepEqual(metadata, {});
});

test('of long views as much is kept as there is room for', () => {
  const lines = Array.from({ length: 1000 }, (_, key) => ({ key, text: 'x'.repeat(50) }));
  const rows = Array.from({ length: 300 }, (_, key) => ({ key, name: 'x'.repeat(100) }));
  const live = { log: ours({ view: { lines } }), tree: ours({ view: { rows, hidden: 5 } }) };
  const { metadata, save } = notebook(live, ['log', 'tree']);
  save();
  const { log, tree } = metadata.widgets[STATE].state;
  assert.ok([log, tree].every((one) => JSON.stringify(one).length < 29_500));
  assert.equal(log.state.view.lines.at(-1).key, 999);
  assert.equal(tree.state.view.rows[0].key, 0);
  assert.equal(tree.state.view.hidden + tree.state.view.rows.length, 305);
  assert.equal(live.tree.state.view.rows.length, 300);
});

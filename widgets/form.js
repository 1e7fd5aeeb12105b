// A form out of fields that kernelkit/ui/form.py read from a JSON Schema. What the values mean is in values.js.

import { h } from './dom.js';
import { zoneOf } from './format.js';
import { icon, mark } from './marks.js';
import { first, read } from './values.js';

/** @typedef {import('./types').FormField} FormField */
/** @typedef {import('./values').Reading} Reading */
/** @typedef {{ name: string, root: HTMLElement, read: () => Reading & { bad?: number }, find: (path: (string | number)[]) => Control | null, told: (text: string) => void }} Control */

const SEGMENTS = 5; // more choices are a list that opens
const PAGE = `kk-${Math.random().toString(36).slice(2)}`; // a page may have several versions of this module
let counted = 0;

/** The fields of one object. */
export class Fields {
  /** @param {FormField[]} fields */
  constructor(fields) {
    this.controls = fields.map(control);
    this.roots = this.controls.map((one) => one.root);
  }

  /** What is sent, and how many fields need a change. */
  read() {
    /** @type {Record<string, unknown>} */
    const value = {};
    let bad = 0;
    for (const one of this.controls) {
      const reading = one.read();
      one.told(reading.error ?? '');
      bad += reading.bad ?? (reading.error ? 1 : 0);
      if ('value' in reading) value[one.name] = reading.value;
    }
    return { value, bad };
  }

  /** @param {(string | number)[]} path @returns {Control | null} */
  find(path) {
    return this.controls.find((one) => one.name === path[0])?.find(path.slice(1)) ?? null;
  }
}

/** Put the reader at the first field that needs a change. @param {HTMLElement} place */
export function toFirstFault(place) {
  const found = place.querySelector('[aria-invalid=true]');
  /** @type {HTMLElement | null | undefined} */ (found?.matches('.seg') ? found.querySelector('input') : found)?.focus();
}

/** @param {FormField} field @returns {Control} */
function control(field) {
  if (field.kind === 'group') return group(field);
  return field.kind === 'list' ? list(field) : single(field);
}

/** A label, a place for the control, and below it the hint that an error replaces. @param {FormField} field @param {string} id */
function frame(field, id) {
  const hint = h('span', { class: 'hint', id: `${id}-hint` }, field.hint ?? '');
  const label = h('label', { for: id, id: `${id}-label` }, field.label ?? field.name, field.required && h('span', { class: 'dim', title: 'required' }, ' *'));
  const place = h('div', { class: 'in' });
  const root = h('div', { class: `f${field.kind === 'number' || field.kind === 'check' ? ' side' : ''}` }, label, place, hint);
  /** @param {string} text @param {HTMLElement | null} element */
  const told = (text, element) => {
    element?.setAttribute('aria-invalid', String(text !== ''));
    hint.style.minHeight = text ? `${hint.offsetHeight}px` : ''; // a long hint gives way to a short error: nothing jumps
    if (text) {
      hint.setAttribute('role', 'alert');
      hint.replaceChildren(h('span', { class: 'slot', 'data-s': 'FAILED' }, mark('FAILED')), text);
    } else {
      hint.removeAttribute('role');
      hint.replaceChildren(field.hint ?? '');
    }
    hint.classList.toggle('bad', text !== '');
  };
  return { root, place, told };
}

/** @param {FormField} field @returns {Control} */
function single(field) {
  const id = `${PAGE}-${(counted += 1)}`;
  const { root, place, told } = frame(field, id);
  const asked = input(field, id);
  place.append(asked.root);
  const tell = (/** @type {string} */ text) => told(text, asked.marked);
  const check = () => {
    const raw = asked.raw();
    if (raw !== '' || !field.required) tell(read(field, raw).error ?? '');
  };
  asked.root.addEventListener('focusout', check);
  asked.root.addEventListener('input', () => {
    if (root.querySelector('.bad')) check();
  });
  /** @type {Control} */
  const self = { name: field.name, root, read: () => read(field, asked.raw()), find: () => self, told: tell };
  return self;
}

/**
 * @param {FormField} field
 * @param {string} id
 * @returns {{ root: HTMLElement, raw: () => string | boolean, marked: HTMLElement }}
 */
function input(field, id) {
  const start = first(field);
  const described = { id, 'aria-describedby': `${id}-hint` };
  if (field.kind === 'choice') return choices(field, id, String(start));
  if (field.kind === 'check') {
    const box = /** @type {HTMLInputElement} */ (h('input', { type: 'checkbox', ...described }));
    box.checked = start === true;
    return { root: box, raw: () => box.checked, marked: box };
  }
  const isArea = field.kind === 'area' || field.kind === 'json';
  /** @type {Record<string, string>} */
  const types = { number: 'number', date: 'date', datetime: 'datetime-local', time: 'time' };
  const made = /** @type {HTMLInputElement} */ (isArea
    ? h('textarea', { rows: 3, spellcheck: 'false', class: 'wide', placeholder: field.placeholder, ...described })
    : h('input', { type: types[field.kind] ?? 'text', step: field.kind === 'number' ? 'any' : null, autocomplete: 'off', class: field.kind === 'text' ? 'wide' : null, placeholder: field.placeholder ?? (field.nullable ? 'none' : null), ...described }));
  made.value = String(start);
  const zone = field.kind === 'datetime' ? h('span', { class: 'hint' }, `${zoneOf()} (this browser)`) : null;
  return { root: zone ? h('span', { class: 'row' }, made, zone) : made, raw: () => (made.validity?.badInput ? '?' : made.value), marked: made };
}

/** @param {FormField} field @param {string} id @param {string} start */
function choices(field, id, start) {
  const all = [...(field.nullable || (!field.required && start === '') ? [['', 'none']] : []), ...(field.choices ?? []).map((choice, at) => [String(at), choice.label])];
  if (all.length > SEGMENTS) {
    if (all[0][0] !== '' && start === '') all.unshift(['', 'choose']);
    const select = /** @type {HTMLSelectElement} */ (h('select', { id, 'aria-describedby': `${id}-hint` }, ...all.map(([raw, label]) => h('option', { value: raw }, label))));
    select.value = start;
    return { root: select, raw: () => select.value, marked: select };
  }
  const radios = all.map(([raw]) => /** @type {HTMLInputElement} */ (h('input', { type: 'radio', name: id, value: raw, checked: raw === start })));
  radios[0].id = id;
  const root = h('span', { class: 'seg', role: 'radiogroup', 'aria-labelledby': `${id}-label`, 'aria-describedby': `${id}-hint` }, ...all.map(([, label], at) => h('label', {}, radios[at], label)));
  return { root, raw: () => radios.find((radio) => radio.checked)?.value ?? '', marked: root };
}

/** @param {FormField} field @returns {Control} */
function group(field) {
  const id = `${PAGE}-${(counted += 1)}`;
  const { root, place, told } = frame(field, id);
  const initial = /** @type {Record<string, unknown> | null} */ (field.initial ?? null);
  // Of an object that is sent, what its default says must be sent along.
  const inner = new Fields((field.fields ?? []).map((one) => (initial && one.name in initial ? { ...one, initial: initial[one.name], required: true } : one)));
  const nest = h('fieldset', { class: 'nest', 'aria-labelledby': `${id}-label` }, ...inner.roots);
  const box = /** @type {HTMLInputElement} */ (h('input', { type: 'checkbox', id, 'aria-describedby': `${id}-hint` }));
  const isOptional = !!field.nullable || (!field.required && !initial);
  box.checked = !isOptional || initial !== null;
  nest.hidden = !box.checked;
  box.addEventListener('change', () => {
    nest.hidden = !box.checked;
  });
  place.classList.add('col');
  place.append(...(isOptional ? [h('span', { class: 'row small' }, box, h('label', { for: id }, 'set'))] : []), nest);
  /** @type {Control} */
  const self = {
    name: field.name,
    root,
    read: () => {
      if (!box.checked) return field.nullable && initial !== null ? { value: null } : {};
      const { value, bad } = inner.read();
      const isDefault = !field.required && initial !== null && JSON.stringify(value) === JSON.stringify(initial);
      return bad ? { bad, value } : isDefault ? {} : { value };
    },
    find: (path) => (path.length ? (inner.find(path) ?? self) : self),
    told: (text) => told(text, isOptional ? box : null),
  };
  return self;
}

/** @param {FormField} field @returns {Control} */
function list(field) {
  const id = `${PAGE}-${(counted += 1)}`;
  const { root, place, told } = frame(field, id);
  const item = /** @type {FormField} */ ({ ...field.item, required: true });
  const start = /** @type {unknown[]} */ (Array.isArray(field.initial) ? field.initial : []);
  const values = [...start];
  const typed = /** @type {HTMLInputElement} */ (h('input', { id, type: item.kind === 'date' ? 'date' : 'text', placeholder: 'add', class: 'add', autocomplete: 'off', 'aria-describedby': `${id}-hint` }));
  const tell = (/** @type {string} */ text) => told(text, typed);
  const draw = () => {
    const chips = values.map((value, at) => {
      const remove = h('button', { type: 'button', class: 'plain', 'aria-label': `Remove ${value}` }, icon('x'));
      remove.addEventListener('click', () => {
        values.splice(at, 1);
        draw();
        typed.focus();
      });
      return h('span', { class: 'item' }, h('span', { class: 'cut' }, String(value)), remove);
    });
    for (const old of place.querySelectorAll('.item')) old.remove();
    place.prepend(...chips);
  };
  /** What stands in the box becomes an item; says what is wrong with it. */
  const take = () => {
    const raw = typed.value.trim();
    if (!raw) return '';
    const reading = read(item, raw);
    if (reading.error) return reading.error;
    if (values.length >= (field.max_items ?? Infinity)) return `At most ${field.max_items} items`;
    values.push(reading.value);
    typed.value = '';
    draw();
    return '';
  };
  typed.addEventListener('keydown', (event) => {
    if ((event.key === 'Enter' && !event.ctrlKey && !event.metaKey) || event.key === ',') {
      event.preventDefault();
      tell(take());
    } else if (event.key === 'Backspace' && !typed.value && values.pop() !== undefined) draw();
  });
  typed.addEventListener('focusout', () => tell(take()));
  place.append(typed);
  draw();
  /** @type {Control} */
  const self = {
    name: field.name,
    root,
    read: () => {
      const error = take();
      if (error) return { error };
      return JSON.stringify(values) === JSON.stringify(start) && !field.required ? {} : { value: [...values] };
    },
    find: () => self,
    told: tell,
  };
  return self;
}

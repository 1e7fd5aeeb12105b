// What stands in a form's controls, as values: read, and checked as far as a browser is sure of it.
// Pure. A field left as it was is not sent, so that the task's own default counts.

import { fault } from './fault.js';

/** @typedef {import('./types').FormField} FormField */
/** @typedef {{ value?: unknown, error?: string }} Reading neither: it is not sent */

/**
 * What the control of a field holds at first.
 * @param {FormField} field
 * @returns {string | boolean}
 */
export function first(field) {
  const initial = field.initial ?? null;
  if (field.kind === 'check') return initial === true;
  if (initial === null) return '';
  if (field.kind === 'choice') {
    const at = (field.choices ?? []).findIndex((choice) => JSON.stringify(choice.value) === JSON.stringify(initial));
    return at < 0 ? '' : String(at);
  }
  if (field.kind === 'datetime') return local(String(initial));
  return field.kind === 'json' ? JSON.stringify(initial) : String(initial);
}

/**
 * @param {FormField} field of one value: no group and no list
 * @param {string | boolean} raw
 * @returns {Reading}
 */
export function read(field, raw) {
  if (raw === first(field) && !field.required) return {};
  if (typeof raw === 'boolean') return { value: raw };
  if (raw === '') {
    if (field.nullable) return { value: null };
    if (field.required) return { error: 'Required' };
    return field.kind === 'text' || field.kind === 'area' ? { value: '' } : {};
  }
  if (field.kind === 'number') return number(field, raw);
  if (field.kind === 'choice') return { value: field.choices?.[Number(raw)]?.value };
  if (field.kind === 'datetime') return { value: raw + offset(new Date(raw)) };
  if (field.kind === 'json') {
    const problem = fault(raw);
    return problem ? { error: problem } : { value: JSON.parse(raw) };
  }
  return text(field, raw);
}

/** @param {FormField} field @param {string} raw @returns {Reading} */
function text(field, raw) {
  const length = [...raw].length;
  if (length < (field.min_length ?? 0)) return { error: `Must have at least ${field.min_length} characters` };
  if (length > (field.max_length ?? Infinity)) return { error: `Must have at most ${field.max_length} characters` };
  if (field.pattern && !new RegExp(field.pattern, 'u').test(raw)) return { error: `Must match ${field.pattern}` };
  return { value: raw };
}

/** @param {FormField} field @param {string} raw @returns {Reading} */
function number(field, raw) {
  const value = Number(raw);
  if (!Number.isFinite(value)) return { error: 'Must be a number' };
  if (field.integer && !/^[+-]?\d+$/.test(raw.trim())) return { error: 'Must be a whole number' };
  const told = (/** @type {number} */ limit) => limit.toLocaleString('en', { maximumFractionDigits: 9 });
  if (value < (field.low ?? -Infinity)) return { error: `Must be at least ${told(field.low ?? 0)}` };
  if (value > (field.high ?? Infinity)) return { error: `Must be at most ${told(field.high ?? 0)}` };
  if (value <= (field.above ?? -Infinity)) return { error: `Must be over ${told(field.above ?? 0)}` };
  if (value >= (field.below ?? Infinity)) return { error: `Must be under ${told(field.below ?? 0)}` };
  return { value: field.integer && !Number.isSafeInteger(value) ? raw.trim() : value }; // pydantic reads digits as well
}

/** A moment as the browser's own control wants it. @param {string} moment */
function local(moment) {
  const hasZone = /(Z|[+-]\d\d:?\d\d)$/.test(moment);
  if (!hasZone) return moment.slice(0, 16);
  const at = new Date(moment);
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** @param {Date} at */
function offset(at) {
  const minutes = -at.getTimezoneOffset();
  const two = (/** @type {number} */ n) => String(Math.floor(Math.abs(n))).padStart(2, '0');
  return `${minutes < 0 ? '-' : '+'}${two(minutes / 60)}:${two(minutes % 60)}`;
}

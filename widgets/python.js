// Values, and a call with them, as a person would write them in Python. Pure.

const KEYWORDS = new Set('False None True and as assert async await break class continue def del elif else except finally for from global if import in is lambda nonlocal not or pass raise return try while with yield'.split(' '));

/**
 * A JSON value as Python.
 * @param {unknown} value
 * @returns {string}
 */
export function literal(value) {
  if (value === null || value === undefined) return 'None';
  if (value === true) return 'True';
  if (value === false) return 'False';
  if (Array.isArray(value)) return `[${value.map(literal).join(', ')}]`;
  if (typeof value === 'object') return `{${Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}: ${literal(item)}`).join(', ')}}`;
  return JSON.stringify(value);
}

/**
 * The call that triggers the same.
 * @param {string} name of the task in Python
 * @param {boolean} isWhole
 * @param {unknown} payload undefined for none
 * @param {Record<string, unknown>} options
 */
export function call(name, isWhole, payload, options) {
  const set = keywords(options);
  const fields = isWhole || payload === undefined ? null : /** @type {Record<string, unknown>} */ (payload);
  const isPlain = fields && Object.keys(fields).every((key) => /^[A-Za-z_]\w*$/.test(key) && !KEYWORDS.has(key));
  const given = payload === undefined ? '' : isPlain ? keywords(fields) : literal(payload);
  return `${name}${set && `.options(${set})`}.trigger(${given})`;
}

/** @param {Record<string, unknown>} values */
function keywords(values) {
  return Object.entries(values).map(([key, value]) => `${key}=${literal(value)}`).join(', ');
}

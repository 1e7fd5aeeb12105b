// Where a text that a person wrote stops being JSON.

const ANY = 'true, false, null, a number, text, a list or an object';

/**
 * Where a text stops being JSON, and what is expected there; '' for JSON.
 * @param {string} json
 * @returns {string}
 */
export function fault(json) {
  let at = 0;
  const space = () => {
    while (at < json.length && ' \t\n\r'.includes(json[at])) at += 1;
  };
  /** @param {string} expected @returns {never} */
  const fail = (expected) => {
    throw new SyntaxError(expected);
  };
  /** @param {RegExp} pattern @param {string} expected */
  const take = (pattern, expected) => {
    pattern.lastIndex = at;
    const found = pattern.exec(json);
    if (!found) fail(expected);
    else at += found[0].length;
  };
  const string = (/** @type {string} */ expected) => take(/"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"/y, expected);
  const value = () => {
    space();
    const begin = json[at];
    if (begin === '{') {
      members('}', () => {
        string('a name in double quotes');
        space();
        take(/:/y, 'a colon');
        value();
      });
    } else if (begin === '[') members(']', value);
    else if (begin === '"') string('text that ends with a double quote');
    else take(/(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.])/y, ANY);
  };
  /** @param {string} end @param {() => void} member */
  const members = (end, member) => {
    at += 1;
    space();
    if (json[at] === end) {
      at += 1;
      return;
    }
    for (;;) {
      space();
      member();
      space();
      if (json[at] === end) break;
      take(/,/y, `a comma or ${end}`);
    }
    at += 1;
  };
  try {
    value();
    space();
    return at === json.length ? '' : place(json, at, 'nothing more');
  } catch (problem) {
    if (problem instanceof SyntaxError) return place(json, at, problem.message);
    throw problem;
  }
}

/** @param {string} json @param {number} at @param {string} expected */
function place(json, at, expected) {
  const before = json.slice(0, at).split('\n');
  return `Line ${before.length}, column ${(before.at(-1) ?? '').length + 1}: expected ${expected}`;
}

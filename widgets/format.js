// Figures that tick in the browser; the same words as kernelkit/ui/words.py, which makes all others.

/**
 * A duration: `02:14`, `1:01:01`, `1 d 18 h`.
 * @param {number} seconds
 * @returns {string}
 */
export function ticking(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole >= 86400) return `${Math.floor(whole / 86400)} d ${two(Math.floor((whole % 86400) / 3600))} h`;
  if (whole >= 3600) return `${Math.floor(whole / 3600)}:${two(Math.floor((whole % 3600) / 60))}:${two(whole % 60)}`;
  return `${two(Math.floor(whole / 60))}:${two(whole % 60)}`;
}

/**
 * What is left until a moment: `0:09`, `46:12`, `1 d 18 h`.
 * @param {number} seconds
 * @returns {string}
 */
export function countdown(seconds) {
  const whole = Math.max(0, Math.ceil(seconds));
  return whole < 3600 ? `${Math.floor(whole / 60)}:${two(whole % 60)}` : ticking(whole);
}

/**
 * How long a part of something took: `420 ms`, `8.2 s`, `01:14`.
 * @param {number} seconds
 * @returns {string}
 */
export function lasted(seconds) {
  if (seconds < 0.9995) return `${Math.round(Math.max(0, seconds) * 1000)} ms`;
  return seconds < 59.95 ? `${seconds.toFixed(1)} s` : ticking(seconds);
}

/**
 * @param {number} value
 * @returns {string}
 */
export function figure(value) {
  return value.toLocaleString('en', { maximumFractionDigits: 6 });
}

/** @param {number} n */
export function two(n) {
  return String(n).padStart(2, '0');
}

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

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/**
 * A moment in the reader's own zone: `14:31:07` today, `Fri 15:04` within a week, else `12 Nov 15:04`.
 * @param {Date} at
 * @param {Date} now
 * @returns {string}
 */
export function moment(at, now) {
  const time = `${two(at.getHours())}:${two(at.getMinutes())}`;
  const days = Math.round((new Date(at).setHours(0, 0, 0, 0) - new Date(now).setHours(0, 0, 0, 0)) / 86_400_000);
  if (days === 0) return `${time}:${two(at.getSeconds())}`;
  if (Math.abs(days) < 7) return `${DAYS[at.getDay()]} ${time}`;
  return `${at.getDate()} ${MONTHS[at.getMonth()]}${at.getFullYear() === now.getFullYear() ? '' : ` ${at.getFullYear()}`} ${time}`;
}

/**
 * What is left until something far off: `in 0:42`, `in 16 h 26 min`, `in 3 d 4 h`.
 * @param {number} seconds
 * @returns {string}
 */
export function ahead(seconds) {
  if (seconds < 3600) return `in ${countdown(seconds)}`;
  const hours = Math.floor(seconds / 3600);
  return hours < 24 ? `in ${hours} h ${Math.floor((seconds % 3600) / 60)} min` : `in ${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** The zone of the reader's browser. */
export function zoneOf() {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}

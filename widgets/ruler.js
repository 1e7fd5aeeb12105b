// Where an axis of time has its marks, and what stands at them.

import { two } from './format.js';

const STEPS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/**
 * @param {number} from seconds since the origin
 * @param {number} to
 * @param {number} room in pixels
 * @param {boolean} isNarrow then what has passed is told instead of clock times
 * @param {number} origin its clock time, in seconds
 * @returns {{ at: number, label: string }[]}
 */
export function ruler(from, to, room, isNarrow, origin) {
  const least = ((to - from) * (isNarrow ? 68 : 92)) / Math.max(1, room);
  const step = STEPS.find((one) => one >= least) ?? 86400 * Math.ceil(least / 86400);
  const isClock = !isNarrow && step >= 1;
  const shift = isClock ? origin % step : 0; // clock times stand at round ones
  const marks = [];
  for (let n = Math.ceil((from + shift) / step); n * step - shift <= to; n++) {
    const at = n * step - shift;
    if (at >= from) marks.push({ at, label: isClock ? clock(origin + at, step) : `+${passed(at, step)}` });
  }
  return marks;
}

/**
 * @param {number} seconds
 * @param {number} step
 */
function clock(seconds, step) {
  const day = new Date(Math.round(seconds) * 1000);
  if (step >= 86400 || (step >= 3600 && day.getUTCHours() === 0 && day.getUTCMinutes() === 0)) return `${day.getUTCDate()} ${MONTHS[day.getUTCMonth()]}`;
  const hours = `${two(day.getUTCHours())}:${two(day.getUTCMinutes())}`;
  return step >= 60 ? hours : `${hours}:${two(day.getUTCSeconds())}`;
}

/**
 * @param {number} seconds
 * @param {number} step
 */
function passed(seconds, step) {
  if (step < 1) return `${Number(seconds.toFixed(3))} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}:${two(whole % 60)}`;
  return `${Math.floor(whole / 3600)}:${two(Math.floor((whole % 3600) / 60))}:${two(whole % 60)}`;
}

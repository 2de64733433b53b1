// Numbers and times as people read them.

import {short} from './shared/numbers.js';

const MISSING = '–';

// Four digits, "1.2e-7" where zeros would come first.
export function number(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return MISSING;
  const size = Math.abs(value);
  if (size === 0) return '0';
  if (size >= 1e5) return short(value, '1');
  if (size < 1e-3) return value.toExponential(2).replace(/\.?0+e/, 'e');
  return Number(value.toPrecision(4)).toLocaleString('en-US', {maximumSignificantDigits: 4});
}

export const percent = (value) => Number.isFinite(value) ? `${Number((100 * value).toPrecision(3))} %` : MISSING;

// "2.05 M"
export const count = (value) => Number.isFinite(value) ? short(value, '1') : MISSING;

// "45 s", "4 min 31 s", "2 h 5 min", "3 d 4 h"
export function duration(seconds) {
  if (!Number.isFinite(seconds)) return MISSING;
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const pair = (size, name, small, smallName) => {
    const units = Math.round(whole / small);
    const large = Math.floor(units * small / size), rest = Math.round((units * small - large * size) / small);
    return rest > 0 ? `${large} ${name} ${rest} ${smallName}` : `${large} ${name}`;
  };
  if (whole < 3600) return pair(60, 'min', 1, 's');
  if (whole < 86400) return pair(3600, 'h', 60, 'min');
  return pair(86400, 'd', 3600, 'h');
}

// How long ago, roughly: "5 min", "3 d".
export function age(seconds) {
  const whole = Math.max(0, seconds);
  const [size, name] = [[86400, 'd'], [3600, 'h'], [60, 'min']].find(([least]) => whole >= least) ?? [1, 's'];
  return `${Math.floor(whole / size)} ${name}`;
}

// A tick of an axis of time: one unit.
export function moment(seconds) {
  const size = Math.abs(seconds);
  if (size >= 2 * 86400) return `${number(seconds / 86400)} d`;
  if (size >= 2 * 3600) return `${number(seconds / 3600)} h`;
  if (size >= 120) return `${number(seconds / 60)} min`;
  return `${number(seconds)} s`;
}

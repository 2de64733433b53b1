// Numbers for people, by their unit: base units in, as the JSON has them.

const DECIMAL = [[1e15, 'P'], [1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e3, 'k']];

// What is a round number (a tick, an option) is written without zeros behind it; what was computed
// has all its digits, so that numbers in a column are alike.
const isRound = (value, digits) => Math.abs(Number(value.toPrecision(digits)) - value) <= 1e-9 * Math.abs(value);

// `count` significant digits, without an exponent for what people read as a number.
function digits(value, count = 3) {
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 10 ** count) return Math.round(value).toLocaleString('en-US');
  return Number(value.toPrecision(count)).toLocaleString('en-US',
    {maximumSignificantDigits: count, minimumSignificantDigits: isRound(value, count - 1) ? 1 : count});
}

// Dollars with their cents; below one with three digits, prices as they are.
function money(value) {
  if (value >= 999.5) return digits(value);
  if (value >= 0.995 || Math.abs(Number(value.toFixed(2)) - value) <= 1e-9) return value.toFixed(2);
  return digits(value, isRound(value, 4) ? 4 : 3);
}

function scaled(value, steps) {
  for (const [size, letter] of steps) {
    if (Math.abs(value) >= size * 0.9995) return [value / size, letter];
  }
  return [value, ''];
}

// "$1.5 M", "20.4 ms", "70.3 GB", "15.6 k tokens/s".
export function short(value, unit) {
  if (value === null || !Number.isFinite(value)) return '–';
  if (unit === 's') {
    const size = Math.abs(value);
    if (size > 0 && size < 1e-3) return `${digits(value * 1e6)} us`;
    if (size > 0 && size < 1) return `${digits(value * 1e3)} ms`;
    if (size >= 2 * 86400) return `${digits(value / 86400)} d`;
    if (size >= 7200) return `${digits(value / 3600)} h`;
    return `${digits(value)} s`;
  }
  if (unit === '%') return `${digits(value)} %`;
  const [number, letter] = scaled(value, DECIMAL);
  const count = letter ? `${digits(number)} ${letter === 'G' ? 'B' : letter}` : digits(number);
  if (unit === 'USD') return `${value < 0 ? '-' : ''}$${letter ? count.replace('-', '') : money(Math.abs(value))}`;
  if (unit === 'B' || unit === 'FLOP' || unit === 'FLOP/token') return `${digits(number)} ${letter}${unit}`;
  if (unit === 'FLOP/s') return `${digits(number)} ${letter}FLOPS`;
  if (unit === 'token/s') return `${count} tokens/s`;
  return !unit || unit === '1' ? count : `${count} ${unit}`;
}

// "15.2 to 20.1 s": both ends, with their unit once where it is the same.
export function range(low, high, unit) {
  const [from, to] = [short(low, unit), short(high, unit)];
  const suffix = (text) => text.includes(' ') ? text.slice(text.indexOf(' ')) : '';
  const lowEnd = suffix(from) === suffix(to) ? from.slice(0, from.length - suffix(from).length) : from;
  // A line ends between the two and not before their unit.
  const whole = (text) => text.replaceAll(' ', '\u00a0');
  return `${whole(lowEnd)}\u00a0to ${whole(to)}`;
}

// The same in a column whose heading says what a count is of.
export const cell = (value, unit) => short(value, ['B', 's', 'USD', 'token/s', 'FLOP/s', '%'].includes(unit) ? unit : '1');

// "+12 %", "x 3.4", "" when they are equal.
export function change(value, base) {
  if (!Number.isFinite(value) || !Number.isFinite(base) || value === base) return '';
  if (base === 0 || value / base <= 0) return '';
  const ratio = value / base;
  if (ratio >= 2) return `× ${digits(ratio)}`;
  if (ratio <= 0.5) return `÷ ${digits(1 / ratio)}`;
  const percent = 100 * (ratio - 1);
  if (Math.abs(percent) < 0.05) return '≈';
  return `${percent > 0 ? '+' : '−'}${digits(Math.abs(percent), 2)} %`;
}

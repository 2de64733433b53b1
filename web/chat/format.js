// Numbers as people read them.

export const count = (value) => Math.round(value).toLocaleString('en-US');

export function seconds(value) {
  if (value < 0.995) return `${value.toFixed(2)} s`;
  if (value < 9.95) return `${value.toFixed(1)} s`;
  if (value < 59.5) return `${Math.round(value)} s`;
  const whole = Math.round(value);
  return `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

export const tokens = (value) => `${count(value)} ${value === 1 ? 'token' : 'tokens'}`;

export const rate = (perSecond) => `${perSecond < 99.5 ? Number(perSecond.toPrecision(3)) : count(perSecond)} tokens/s`;

// What a program says, as a sentence: "too many requests wait" is "Too many requests wait."
export function sentence(text) {
  const whole = text.trim();
  return `${whole.charAt(0).toUpperCase()}${whole.slice(1)}${/[.?!…]$/.test(whole) ? '' : '.'}`;
}

// The server counts whole millionths of a dollar.
export function dollars(value) {
  if (value >= 0.995) return `$${value.toFixed(2)}`;
  return `$${Number(value.toFixed(6)).toLocaleString('en-US', {maximumSignificantDigits: 3, maximumFractionDigits: 6})}`;
}

// "14:05", "Mon 14:05", "3 Nov": as much as one needs to know which one it was.
export function moment(time, now = Date.now()) {
  const date = new Date(time), days = (now - time) / 86400000;
  const hour = date.toLocaleTimeString([], {hour: '2-digit', minute: '2-digit'});
  if (days < 1 && new Date(now).getDate() === date.getDate()) return hour;
  if (days < 6) return `${date.toLocaleDateString([], {weekday: 'short'})} ${hour}`;
  return date.toLocaleDateString([], {day: 'numeric', month: 'short', ...days > 300 ? {year: 'numeric'} : {}});
}

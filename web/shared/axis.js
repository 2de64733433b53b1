// From numbers to pixels and back, and the numbers that an axis says.

// Powers of ten, at most `count` of them.
export function decades(low, high, count) {
  const first = Math.ceil(Math.log10(low) - 1e-9), last = Math.floor(Math.log10(high) + 1e-9);
  const step = Math.max(1, Math.ceil((last - first + 1) / count));
  const ticks = [];
  for (let power = first; power <= last; power += step) ticks.push(10 ** power);
  return ticks;
}

// Multiples of 1, 2 or 5 times a power of ten.
export function round(low, high, count) {
  const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= raw * (1 - 1e-9)));
  const ticks = [];
  // What lies closer together than numbers can tell apart has no ticks between.
  if (!(step > 1e-12 * Math.max(Math.abs(low), Math.abs(high)))) return ticks;
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; ++i) ticks.push(i * step);
  return ticks;
}

// [low, high] to pixels [begin, end], low < high.
export function linear(low, high, begin, end) {
  return {
    low, high, logarithmic: false,
    at: (value) => begin + (end - begin) * (value - low) / (high - low),
    value: (pixel) => low + (high - low) * (pixel - begin) / (end - begin),
    ticks: (count) => round(low, high, count),
  };
}

// The same for 0 < low < high, equal ratios as equal lengths.
export function logarithmic(low, high, begin, end) {
  const span = Math.log(high / low);
  return {
    low, high, logarithmic: true,
    at: (value) => begin + (end - begin) * Math.log(value / low) / span,
    value: (pixel) => low * Math.exp(span * (pixel - begin) / (end - begin)),
    ticks(count) {
      if (high / low >= 100) return decades(low, high, count);
      // Less than two powers of ten: round numbers between them, too.
      const ticks = [];
      for (let power = 10 ** Math.floor(Math.log10(low)); power <= high; power *= 10) {
        ticks.push(...[1, 2, 5].map((factor) => factor * power).filter((tick) => tick >= low && tick <= high));
      }
      return ticks.length > 2 ? ticks : round(low, high, count);
    },
  };
}

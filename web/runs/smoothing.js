// An exponential mean that starts at the first value without leaning on it (Adam's correction), over values of which
// each stands for `stride` steps. null stays null.
export function smooth(values, weight, stride) {
  if (weight <= 0) return values;
  const kept = weight ** stride;
  let mean = 0, sum = 0;
  return values.map((value) => {
    if (value === null) return null;
    mean = kept * mean + (1 - kept) * value;
    sum = kept * sum + (1 - kept);
    return mean / sum;
  });
}

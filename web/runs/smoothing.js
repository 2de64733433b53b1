// An exponential mean over the places that are drawn, which starts at the first value without leaning on it (Adam's
// correction). null stays null.
export function smooth(values, weight) {
  if (weight <= 0) return values;
  let mean = 0, sum = 0;
  return values.map((value) => {
    if (value === null) return null;
    mean = weight * mean + (1 - weight) * value;
    sum = weight * sum + (1 - weight);
    return mean / sum;
  });
}

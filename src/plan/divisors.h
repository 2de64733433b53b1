#pragma once

#include <cstdint>
#include <cstdlib>

namespace fathom {

// The divisor of `of` that is nearest to `wanted` and fits; 0 when none does.
template <typename Fits>
int64_t NearestDivisor(int64_t of, int64_t wanted, const Fits& fits) {
  int64_t best = 0;
  for (int64_t d = 1; d <= of; ++d) {
    if (of % d != 0 || !fits(d)) continue;
    if (best == 0 || std::abs(d - wanted) < std::abs(best - wanted)) best = d;
  }
  return best;
}
inline int64_t NearestDivisor(int64_t of, int64_t wanted) {
  return NearestDivisor(of, wanted, [](int64_t) { return true; });
}

}  // namespace fathom

#pragma once

#include <cstdint>
#include <optional>

#include "text/grammar/expression.h"

namespace fathom::grammar {

// What a number may be: from `least` to `most`, each of them nothing where there is no bound, and
// each itself only if it is not `open`. Bounds are within +-kMostBound.
struct NumberRange {
  static constexpr int64_t kMostBound = 1'000'000'000'000'000;
  std::optional<int64_t> least, most;
  bool least_open = false, most_open = false;
};

// The integers of a range (bounds that are open are made closed by the caller), without exponent;
// 18 digits at most.
Expression IntegersIn(const NumberRange& range);
// The decimal numbers of a range, without exponent; 18 digits at most before the point, 20
// after it.
Expression NumbersIn(const NumberRange& range);

}  // namespace fathom::grammar

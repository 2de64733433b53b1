#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "posttrain/answers/exact_number.h"
#include "posttrain/answers/math_tokens.h"

namespace fathom {

// "miles per hour", "cm^2", "apples": so much (`factor`) of a base unit of each dimension. A word
// that is no unit we know is a dimension of its own.
struct Unit {
  std::map<std::string, int64_t, std::less<>> dimensions;
  ExactNumber factor = 1;

  bool empty() const { return dimensions.empty(); }
};

// Whether it is the name of a unit ("cm", "inches", "hours"), as written or in lower case.
bool IsUnitName(std::string_view word);

// All of the tokens as a unit; nothing where they are none. "units" are no unit: empty.
std::optional<Unit> ParseUnit(std::span<const MathToken> tokens);

}  // namespace fathom

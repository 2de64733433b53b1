#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "text/grammar/expression.h"

namespace fathom::grammar {

// Adds to `out` expressions for the strings, as long as `first` and `last`, that are neither before
// the one nor after the other byte by byte; bytes after the first one are in [low, high].
void AddBetween(std::string_view first, std::string_view last, uint8_t low, uint8_t high,
                std::vector<Expression>& out);

}  // namespace fathom::grammar

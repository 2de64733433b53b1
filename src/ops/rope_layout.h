#pragma once

#include <cstdint>

namespace fathom {

// Which elements of a vector of d make the pairs that a rotary embedding turns.
enum class RopeLayout : uint8_t {
  kInterleaved,  // (2j, 2j + 1): DeepSeek
  kHalves,       // (j, j + d / 2): what transformers calls rotate_half
};

}  // namespace fathom

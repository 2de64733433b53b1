#include "data/permutation.h"

#include <algorithm>
#include <bit>

#include "base/error.h"
#include "base/random.h"

namespace fathom {
namespace {

// A small network mixes badly; below this width it is walked a little longer instead.
constexpr int kMinHalfBits = 4;

// The finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
uint64_t Mix(uint64_t value) {
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
  return value ^ (value >> 31);
}

}  // namespace

Permutation::Permutation(uint64_t size, uint64_t key) : size_(size) {
  FATHOM_CHECK(size >= 1 && size < uint64_t{1} << 62);
  half_bits_ = std::max(kMinHalfBits, static_cast<int>(std::bit_width(size - 1) + 1) / 2);
  for (size_t round = 0; round < keys_.size(); ++round) keys_[round] = MixKey(key, round);
}

uint64_t Permutation::operator()(uint64_t index) const {
  FATHOM_CHECK(index < size_);
  const uint64_t mask = (uint64_t{1} << half_bits_) - 1;
  do {
    uint64_t left = index >> half_bits_, right = index & mask;
    for (const uint64_t key : keys_) {
      const uint64_t next = left ^ (Mix(right + key) & mask);
      left = right;
      right = next;
    }
    index = left << half_bits_ | right;
  } while (index >= size_);
  return index;
}

}  // namespace fathom

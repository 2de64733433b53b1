#include "infer/sampling/race.h"

#include <algorithm>
#include <bit>

namespace fathom {
namespace {

constexpr int kPairs = RaceBounds::kBlock / 2;
using Words = std::array<uint32_t, kPairs>;

// Philox4x32-10 (base/random.h) of many counters at once; what it gives as words 1 and 3.
void Philox(uint64_t key, const uint32_t (&position)[2], uint32_t first, Words& word1,
            Words& word3) {
  constexpr uint64_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
  constexpr uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;
  Words c0, c1, c2, c3;
  for (int i = 0; i < kPairs; ++i) {
    c0[i] = position[0];
    c1[i] = position[1];
    c2[i] = first + static_cast<uint32_t>(i);
    c3[i] = kRaceStream;
  }
  auto key0 = static_cast<uint32_t>(key);
  auto key1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < kPairs; ++i) {
      const uint64_t product0 = kMultiplier0 * c0[i];
      const uint64_t product1 = kMultiplier1 * c2[i];
      c0[i] = static_cast<uint32_t>(product1 >> 32) ^ c1[i] ^ key0;
      c1[i] = static_cast<uint32_t>(product1);
      c2[i] = static_cast<uint32_t>(product0 >> 32) ^ c3[i] ^ key1;
      c3[i] = static_cast<uint32_t>(product0);
    }
    key0 += kWeyl0;
    key1 += kWeyl1;
  }
  word1 = c1;
  word3 = c3;
}

}  // namespace

RaceBounds::RaceBounds(uint64_t key, int64_t position, float largest, double temperature)
    : key_(key),
      position_{static_cast<uint32_t>(position),
                static_cast<uint32_t>(static_cast<uint64_t>(position) >> 32)},
      largest_(largest),
      inverse_temperature_(static_cast<float>(1 / temperature)) {}

std::span<const float> RaceBounds::Earliest(int32_t begin, std::span<const float> logits) {
  Words word1, word3;
  Philox(key_, position_, static_cast<uint32_t>(begin) >> 1, word1, word3);
  // An id arrives at E / w, with E = -log(u) >= 1 - u, of which u's first 32 bits give a bound from
  // below, and w = exp(x) <= 2^n (1 + f), where x = (n + f) log(2).
  for (int i = 0; i < kPairs; ++i) {
    late_[2 * i] = static_cast<float>(static_cast<int32_t>(~word1[i] >> 1));
    late_[2 * i + 1] = static_cast<float>(static_cast<int32_t>(~word3[i] >> 1));
  }
  std::copy(logits.begin(), logits.end(), logits_.begin());
  std::fill(logits_.begin() + static_cast<std::ptrdiff_t>(logits.size()), logits_.end(), largest_);
  constexpr float kLog2E = 1.44269504F, kLeast = -125;
  // Rounding is less than the factor that bounds are made smaller by.
  constexpr float kSlack = 0.999F * 0x1p-31F;
  for (int i = 0; i < kBlock; ++i) {
    const float x = (logits_[i] - largest_) * inverse_temperature_ * kLog2E;
    const float exponent = x > kLeast ? x : kLeast;
    const auto bits = static_cast<int32_t>((exponent + 127) * 0x1p23F);
    earliest_[i] = late_[i] * kSlack / std::bit_cast<float>(bits);
  }
  return std::span(earliest_).first(logits.size());
}

}  // namespace fathom

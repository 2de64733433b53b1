#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace fathom {

// Who can win the race of a draw (Sampler) without the logarithm and the exponential that its exact
// time takes: a few of thousands. Vectorised by the compiler, one position at a time.
class RaceBounds {
 public:
  static constexpr int32_t kBlock = 64;  // ids

  // key, position: of the draw. largest: the largest logit.
  RaceBounds(uint64_t key, int64_t position, float largest, double temperature);

  // Of the ids begin, begin + 1, ... (begin is even), as many as logits, at most kBlock: a time
  // before which they do not arrive, and which most reach late by less than a tenth.
  std::span<const float> Earliest(int32_t begin, std::span<const float> logits);

 private:
  uint64_t key_;
  uint32_t position_[2];
  float largest_, inverse_temperature_;
  std::array<float, kBlock> late_, logits_, earliest_;
};

// The random numbers of draws, among the streams of a key.
inline constexpr uint32_t kRaceStream = 2;

}  // namespace fathom

#pragma once

#include <array>
#include <cstdint>

namespace fathom {

// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): a
// bijection of a 128-bit counter under a 64-bit key. The same (key, counter) gives the same four
// words on every machine and thread.
std::array<uint32_t, 4> Philox4x32(uint64_t key, std::array<uint32_t, 4> counter);

// Mixes a seed and a stream number into a key, so that streams of one seed are independent of each
// other.
uint64_t MixKey(uint64_t seed, uint64_t stream);

// A stream of random numbers that is a function of (key, position) alone: no hidden state, cheap to
// skip and to save. For sampling, the key is made of (request seed, choice index) and the position
// is the token's; for shuffling and initialisation, of (run seed, purpose).
class RandomStream {
 public:
  explicit RandomStream(uint64_t key, uint64_t position = 0) : key_(key), position_(position) {}

  uint64_t position() const { return position_; }

  // 64 random bits; advances by one.
  uint64_t NextBits();
  // Uniform in [0, 1), 53 bits.
  double NextUniform();
  // Uniform in [0, bound), without bias; bound > 0. Advances by one, or more when a draw is
  // rejected.
  uint64_t NextBelow(uint64_t bound);
  // Standard normal (Box-Muller; one value a draw).
  double NextNormal();

 private:
  uint64_t key_;
  uint64_t position_;
};

}  // namespace fathom

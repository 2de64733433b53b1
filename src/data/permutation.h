#pragma once

#include <array>
#include <cstdint>

namespace fathom {

// A pseudo-random permutation of [0, size) that is computed, not stored: a Feistel network over the
// next even power of two, walked until it lands inside (Black and Rogaway, "Ciphers with Arbitrary
// Finite Domains", 2002). Any place can be asked for at once, for 1e8 documents as for three.
class Permutation {
 public:
  // size >= 1, below 2^62.
  Permutation(uint64_t size, uint64_t key);

  uint64_t operator()(uint64_t index) const;

 private:
  static constexpr int kRounds = 8;

  uint64_t size_;
  int half_bits_;
  std::array<uint64_t, kRounds> keys_;
};

}  // namespace fathom

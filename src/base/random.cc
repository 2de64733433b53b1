#include "base/random.h"

#include <cmath>
#include <numbers>

#include "base/error.h"

namespace fathom {

std::array<uint32_t, 4> Philox4x32(uint64_t key, std::array<uint32_t, 4> counter) {
  constexpr uint64_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
  constexpr uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;
  auto key0 = static_cast<uint32_t>(key);
  auto key1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = kMultiplier0 * counter[0];
    const uint64_t product1 = kMultiplier1 * counter[2];
    counter = {
        static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key0, static_cast<uint32_t>(product1),
        static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key1, static_cast<uint32_t>(product0)};
    key0 += kWeyl0;
    key1 += kWeyl1;
  }
  return counter;
}

uint64_t MixKey(uint64_t seed, uint64_t stream) {
  const auto words = Philox4x32(
      seed,
      {static_cast<uint32_t>(stream), static_cast<uint32_t>(stream >> 32), 0x6d697865, 0x6b657973});
  return (static_cast<uint64_t>(words[1]) << 32) | words[0];
}

uint64_t RandomStream::NextBits() {
  const auto words = Philox4x32(
      key_, {static_cast<uint32_t>(position_), static_cast<uint32_t>(position_ >> 32), 0, 0});
  ++position_;
  return (static_cast<uint64_t>(words[1]) << 32) | words[0];
}

double RandomStream::NextUniform() { return static_cast<double>(NextBits() >> 11) * 0x1.0p-53; }

uint64_t RandomStream::NextBelow(uint64_t bound) {
  FATHOM_CHECK(bound > 0);
  // Draws below 2^64 mod bound would make the small results more likely: reject them.
  const uint64_t rejected = (0 - bound) % bound;
  uint64_t bits = NextBits();
  while (bits < rejected) bits = NextBits();
  return bits % bound;
}

double RandomStream::NextNormal() {
  const auto words = Philox4x32(
      key_, {static_cast<uint32_t>(position_), static_cast<uint32_t>(position_ >> 32), 1, 0});
  ++position_;
  const double radius_bits = (static_cast<double>(words[0]) + 0.5) * 0x1.0p-32;  // in (0, 1)
  const double angle = 2 * std::numbers::pi * static_cast<double>(words[1]) * 0x1.0p-32;
  return std::sqrt(-2 * std::log(radius_bits)) * std::cos(angle);
}

}  // namespace fathom

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace fathom {

// XXH64 (Yann Collet, the xxHash specification) of bytes that arrive in any number of parts. Not
// cryptographic: for checksums of our own files, cache keys and stable choices by name. The value
// is the same on every machine and may be stored.
class Hash64 {
 public:
  explicit Hash64(uint64_t seed = 0);

  void Update(const void* data, size_t size);
  // A string together with its length, so that ("ab", "c") and ("a", "bc") differ.
  void UpdateField(std::string_view text);
  void UpdateField(uint64_t value) { Update(&value, sizeof(value)); }

  // The hash of everything so far; more may follow.
  uint64_t Digest() const;

 private:
  void Stripe(const unsigned char* data);

  std::array<uint64_t, 4> lanes_;
  std::array<unsigned char, 32> tail_{};
  size_t tail_size_ = 0;
  uint64_t total_ = 0;
  uint64_t seed_;
};

uint64_t HashOf(std::string_view bytes, uint64_t seed = 0);

// CRC-32C (Castagnoli; RFC 3720, appendix B.4).
uint32_t Crc32c(std::string_view bytes);

}  // namespace fathom

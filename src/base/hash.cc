#include "base/hash.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace fathom {
namespace {

constexpr uint64_t kPrime1 = 0x9E3779B185EBCA87, kPrime2 = 0xC2B2AE3D27D4EB4F,
                   kPrime3 = 0x165667B19E3779F9, kPrime4 = 0x85EBCA77C2B2AE63,
                   kPrime5 = 0x27D4EB2F165667C5;

static_assert(std::endian::native == std::endian::little, "words are read as they lie");

template <typename Word>
Word Load(const unsigned char* data) {
  Word word;
  std::memcpy(&word, data, sizeof(word));
  return word;
}

uint64_t Round(uint64_t lane, uint64_t word) {
  return std::rotl(lane + word * kPrime2, 31) * kPrime1;
}

// The remainder of every byte, bits reflected.
constexpr std::array<uint32_t, 256> kCrc32cTable = [] {
  constexpr uint32_t kPolynomial = 0x82F63B78;  // 0x1EDC6F41, reflected
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < table.size(); ++byte) {
    uint32_t remainder = byte;
    for (int bit = 0; bit < 8; ++bit)
      remainder = (remainder >> 1) ^ ((remainder & 1) != 0 ? kPolynomial : 0);
    table[byte] = remainder;
  }
  return table;
}();

}  // namespace

Hash64::Hash64(uint64_t seed)
    : lanes_{seed + kPrime1 + kPrime2, seed + kPrime2, seed, seed - kPrime1}, seed_(seed) {}

void Hash64::Stripe(const unsigned char* data) {
  for (size_t i = 0; i < lanes_.size(); ++i)
    lanes_[i] = Round(lanes_[i], Load<uint64_t>(data + 8 * i));
}

void Hash64::Update(const void* data, size_t size) {
  const auto* next = static_cast<const unsigned char*>(data);
  total_ += size;
  if (tail_size_ > 0) {
    const size_t taken = std::min(size, tail_.size() - tail_size_);
    std::copy_n(next, taken, tail_.data() + tail_size_);
    tail_size_ += taken;
    next += taken;
    size -= taken;
    if (tail_size_ < tail_.size()) return;
    Stripe(tail_.data());
    tail_size_ = 0;
  }
  for (; size >= tail_.size(); next += tail_.size(), size -= tail_.size()) Stripe(next);
  std::copy_n(next, size, tail_.data());
  tail_size_ = size;
}

void Hash64::UpdateField(std::string_view text) {
  UpdateField(static_cast<uint64_t>(text.size()));
  Update(text.data(), text.size());
}

uint64_t Hash64::Digest() const {
  uint64_t hash = seed_ + kPrime5;
  if (total_ >= tail_.size()) {
    hash = std::rotl(lanes_[0], 1) + std::rotl(lanes_[1], 7) + std::rotl(lanes_[2], 12) +
           std::rotl(lanes_[3], 18);
    for (const uint64_t lane : lanes_) hash = (hash ^ Round(0, lane)) * kPrime1 + kPrime4;
  }
  hash += total_;
  const unsigned char* next = tail_.data();
  size_t left = tail_size_;
  for (; left >= 8; next += 8, left -= 8)
    hash = std::rotl(hash ^ Round(0, Load<uint64_t>(next)), 27) * kPrime1 + kPrime4;
  if (left >= 4) {
    hash = std::rotl(hash ^ (Load<uint32_t>(next) * kPrime1), 23) * kPrime2 + kPrime3;
    next += 4;
    left -= 4;
  }
  for (; left > 0; ++next, --left) hash = std::rotl(hash ^ (*next * kPrime5), 11) * kPrime1;
  hash = (hash ^ (hash >> 33)) * kPrime2;
  hash = (hash ^ (hash >> 29)) * kPrime3;
  return hash ^ (hash >> 32);
}

uint64_t HashOf(std::string_view bytes, uint64_t seed) {
  Hash64 hash(seed);
  hash.Update(bytes.data(), bytes.size());
  return hash.Digest();
}

uint32_t Crc32c(std::string_view bytes) {
  uint32_t remainder = ~uint32_t{0};
  for (const char c : bytes) {
    const uint32_t low = (remainder ^ static_cast<unsigned char>(c)) & 0xFF;
    remainder = (remainder >> 8) ^ kCrc32cTable[low];
  }
  return ~remainder;
}

}  // namespace fathom

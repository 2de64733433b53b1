#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace fathom {

// The name of a prefix that ends with a whole page: a SHA-256 over everything that its keys and
// values are a function of, so that no two prefixes share one, chosen by an adversary or not.
class PrefixKey {
 public:
  PrefixKey() = default;

  // Of the empty prefix. model: what computes (ModelIdentity); salt: whose prefixes they are.
  static PrefixKey Root(std::string_view model, std::string_view salt);
  // Of this prefix and one more page of tokens.
  PrefixKey Child(std::span<const int32_t> tokens) const;

  std::string ToHex() const;
  const std::array<uint8_t, 32>& bytes() const { return bytes_; }
  bool operator==(const PrefixKey&) const = default;

 private:
  std::array<uint8_t, 32> bytes_{};
};

}  // namespace fathom

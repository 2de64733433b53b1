#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace fathom {

// A cryptographic hash of bytes that arrive in parts: for content that others name (a hub's files)
// and for names that nobody may be able to make collide. (base/hash.h is for everything else.)
class MessageDigest {
 public:
  enum class Kind { kSha256, kSha1 };

  explicit MessageDigest(Kind kind);
  ~MessageDigest();
  MessageDigest(MessageDigest&&) noexcept;
  MessageDigest& operator=(MessageDigest&&) noexcept;

  void Update(const void* data, size_t size);
  // A string together with its length, so that ("ab", "c") and ("a", "bc") differ.
  void UpdateField(std::string_view text);
  // Of everything so far; nothing may follow.
  std::vector<uint8_t> Finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Two lower-case digits a byte.
std::string ToHex(const std::vector<uint8_t>& bytes);

}  // namespace fathom

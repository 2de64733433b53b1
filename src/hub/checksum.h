#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/message_digest.h"

namespace fathom {

// What the bytes of a hub's file hash to. Large files (Git LFS) come with a SHA-256; all others
// with the id of their Git blob: the SHA-1 of "blob ", the size in decimal, a zero byte, the
// content.
struct Checksum {
  enum class Kind { kSha256, kGitBlob };

  // `digest` in hexadecimal, of either case. Throws Error when it is not one of that kind.
  Checksum(Kind kind, std::string_view digest, std::string_view where);
  // The form that ToString gives.
  static Checksum Parse(std::string_view text, std::string_view where);
  // "sha256:..." or "git:..."
  std::string ToString() const;

  bool operator==(const Checksum&) const = default;

  Kind kind;
  std::string hex;  // lower case
};

// Computes a checksum of bytes that arrive in parts.
class ChecksumStream {
 public:
  // size: of the whole content, in bytes (a Git blob's hash begins with it).
  ChecksumStream(Checksum::Kind kind, int64_t size);

  void Update(const void* data, size_t size) { digest_.Update(data, size); }
  // Of everything so far; nothing may follow.
  Checksum Finish();

 private:
  Checksum::Kind kind_;
  MessageDigest digest_;
};

}  // namespace fathom

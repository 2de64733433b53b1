#include "hub/checksum.h"

#include <algorithm>

#include "base/error.h"

namespace fathom {
namespace {

constexpr std::string_view kSha256Prefix = "sha256:", kGitPrefix = "git:";

size_t Digits(Checksum::Kind kind) { return kind == Checksum::Kind::kSha256 ? 64 : 40; }

}  // namespace

Checksum::Checksum(Kind given_kind, std::string_view digest, std::string_view where)
    : kind(given_kind), hex(digest) {
  const auto is_digit = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
  };
  if (hex.size() != Digits(kind) || !std::all_of(hex.begin(), hex.end(), is_digit)) {
    throw Error(where, fmt::format("is not a checksum of {} hexadecimal digits", Digits(kind)));
  }
  for (char& c : hex) {
    if (c >= 'A' && c <= 'F') c = static_cast<char>(c - 'A' + 'a');
  }
}

Checksum Checksum::Parse(std::string_view text, std::string_view where) {
  if (text.starts_with(kSha256Prefix)) {
    return Checksum(Kind::kSha256, text.substr(kSha256Prefix.size()), where);
  }
  if (text.starts_with(kGitPrefix)) {
    return Checksum(Kind::kGitBlob, text.substr(kGitPrefix.size()), where);
  }
  throw Error(where, "is not a checksum");
}

std::string Checksum::ToString() const {
  return fmt::format("{}{}", kind == Kind::kSha256 ? kSha256Prefix : kGitPrefix, hex);
}

ChecksumStream::ChecksumStream(Checksum::Kind kind, int64_t size)
    : kind_(kind),
      digest_(kind == Checksum::Kind::kGitBlob ? MessageDigest::Kind::kSha1
                                               : MessageDigest::Kind::kSha256) {
  if (kind == Checksum::Kind::kGitBlob) {
    const std::string header = fmt::format("blob {}", size);
    Update(header.c_str(), header.size() + 1);
  }
}

Checksum ChecksumStream::Finish() { return Checksum(kind_, ToHex(digest_.Finish()), "digest"); }

}  // namespace fathom

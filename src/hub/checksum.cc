#include "hub/checksum.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>

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

struct ChecksumStream::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { EVP_MD_CTX_free(context); }
};

ChecksumStream::ChecksumStream(Checksum::Kind kind, int64_t size)
    : kind_(kind), state_(std::make_unique<State>()) {
  const bool is_git = kind == Checksum::Kind::kGitBlob;
  if (EVP_DigestInit_ex(state_->context, is_git ? EVP_sha1() : EVP_sha256(), nullptr) != 1) {
    throw Error(is_git ? "SHA-1" : "SHA-256", "this machine's OpenSSL does not offer it");
  }
  if (is_git) {
    const std::string header = fmt::format("blob {}", size);
    Update(header.c_str(), header.size() + 1);
  }
}

ChecksumStream::~ChecksumStream() = default;
ChecksumStream::ChecksumStream(ChecksumStream&&) noexcept = default;
ChecksumStream& ChecksumStream::operator=(ChecksumStream&&) noexcept = default;

void ChecksumStream::Update(const void* data, size_t size) {
  FATHOM_CHECK(EVP_DigestUpdate(state_->context, data, size) == 1);
}

Checksum ChecksumStream::Finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  FATHOM_CHECK(EVP_DigestFinal_ex(state_->context, digest.data(), &size) == 1);
  std::string hex;
  for (unsigned i = 0; i < size; ++i) hex += fmt::format("{:02x}", digest[i]);
  return Checksum(kind_, hex, "digest");
}

}  // namespace fathom

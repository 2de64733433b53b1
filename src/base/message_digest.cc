#include "base/message_digest.h"

#include <openssl/evp.h>

#include <array>

#include "base/error.h"

namespace fathom {

struct MessageDigest::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { EVP_MD_CTX_free(context); }
};

MessageDigest::MessageDigest(Kind kind) : state_(std::make_unique<State>()) {
  const bool is_sha1 = kind == Kind::kSha1;
  if (EVP_DigestInit_ex(state_->context, is_sha1 ? EVP_sha1() : EVP_sha256(), nullptr) != 1) {
    throw Error(is_sha1 ? "SHA-1" : "SHA-256", "this machine's OpenSSL does not offer it");
  }
}

MessageDigest::~MessageDigest() = default;
MessageDigest::MessageDigest(MessageDigest&&) noexcept = default;
MessageDigest& MessageDigest::operator=(MessageDigest&&) noexcept = default;

void MessageDigest::Update(const void* data, size_t size) {
  FATHOM_CHECK(EVP_DigestUpdate(state_->context, data, size) == 1);
}

void MessageDigest::UpdateField(std::string_view text) {
  const uint64_t size = text.size();
  Update(&size, sizeof(size));
  Update(text.data(), text.size());
}

std::vector<uint8_t> MessageDigest::Finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  FATHOM_CHECK(EVP_DigestFinal_ex(state_->context, digest.data(), &size) == 1);
  return {digest.begin(), digest.begin() + size};
}

std::string ToHex(const std::vector<uint8_t>& bytes) {
  std::string hex;
  hex.reserve(2 * bytes.size());
  for (const uint8_t byte : bytes) hex += fmt::format("{:02x}", byte);
  return hex;
}

}  // namespace fathom

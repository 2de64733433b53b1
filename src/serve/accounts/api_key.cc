#include "serve/accounts/api_key.h"

#include <openssl/crypto.h>
#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "base/message_digest.h"

namespace fathom {
namespace {

constexpr std::string_view kLetters =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
constexpr size_t kLength = 43;  // 62^43 > 2^256

uint8_t RandomByte() {
  uint8_t byte;
  if (getrandom(&byte, 1, 0) != 1) throw Error("making a key", std::strerror(errno));
  return byte;
}

}  // namespace

std::string_view Name(KeyRole role) { return role == KeyRole::kAdmin ? "admin" : "user"; }
std::string_view Name(BudgetPeriod period) {
  return period == BudgetPeriod::kMonth ? "month" : "total";
}

std::string NewKey() {
  std::string key = "sk-";
  while (key.size() < 3 + kLength) {
    // Every letter equally likely: the bytes left over after four rounds of the alphabet are drawn
    // again.
    const size_t byte = RandomByte();
    if (byte < 4 * kLetters.size()) key += kLetters[byte % kLetters.size()];
  }
  return key;
}

KeyHash HashOf(std::string_view key) {
  MessageDigest digest(MessageDigest::Kind::kSha256);
  digest.Update(key.data(), key.size());
  const std::vector<uint8_t> bytes = digest.Finish();
  KeyHash hash;
  std::copy(bytes.begin(), bytes.end(), hash.begin());
  return hash;
}

bool Equal(const KeyHash& a, const KeyHash& b) {
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace fathom

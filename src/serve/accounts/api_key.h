#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "serve/accounts/money.h"

namespace fathom {

enum class KeyRole : uint8_t {
  kUser,   // asks the model
  kAdmin,  // and sees what is about others: metrics
};
enum class BudgetPeriod : uint8_t {
  kTotal,  // over the key's life
  kMonth,  // of the calendar, in UTC
};
std::string_view Name(KeyRole role);         // "user", "admin"
std::string_view Name(BudgetPeriod period);  // "total", "month"

// What a key may have; 0 and nothing: any amount.
struct KeyLimits {
  int64_t concurrency = 0;  // requests at a time
  int64_t tokens_per_minute = 0;
  std::optional<MicroDollars> budget;
  BudgetPeriod period = BudgetPeriod::kTotal;
};

// Everything about a key but the key. Times are seconds since 1970.
struct ApiKey {
  int64_t id = 0;  // positive; the ledger's name for it
  std::string name;
  KeyRole role = KeyRole::kUser;
  int64_t created = 0;
  int64_t expires = 0;  // 0: never
  bool disabled = false;
  int64_t revoked = 0;  // when, for good; 0: it is not
  KeyLimits limits;
  // Whether what it computes is kept for the requests of all such keys; otherwise its prefix cache
  // is its own.
  bool shares_cache = false;
};

// What is kept of a key: its SHA-256.
using KeyHash = std::array<uint8_t, 32>;

// A new key, "sk-" and 43 letters and digits drawn by the system: 256 bits.
std::string NewKey();
KeyHash HashOf(std::string_view key);
// In a time that does not depend on where they differ.
bool Equal(const KeyHash& a, const KeyHash& b);

}  // namespace fathom

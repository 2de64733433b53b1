#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "serve/accounts/money.h"

namespace fathom {

// How a request ended.
enum class Outcome : uint8_t {
  kOpen,         // it has not
  kDone,         // answered
  kCancelled,    // its client went, or the server was told to stop
  kFailed,       // the client was told an error
  kInterrupted,  // its server ended before it, as other servers or its next start see it
};
std::string_view Name(Outcome outcome);       // "open", "done", ...
Outcome ParseOutcome(std::string_view name);  // kOpen for what is no name
// Whether a row with one outcome takes another: what is settled stays as it is, with one exception.
// kInterrupted is what others say of a server that they take for dead; if it was only cut off, its
// own word about its rows counts.
bool MaySettle(Outcome from, Outcome to);

// One request. Neither what was asked nor what was answered is in it. Times are milliseconds since
// 1970.
struct LedgerRow {
  std::string id;     // unique: that of the answer
  int64_t key = 0;    // ApiKey::id; 0: there was none
  std::string route;  // "/v1/chat/completions"
  std::string model;
  int64_t created = 0;
  int64_t settled = 0;  // 0: it is open
  Outcome outcome = Outcome::kOpen;
  Prices prices;              // when it was admitted
  MicroDollars reserved = 0;  // the most that it can cost
  TokenCounts tokens;         // so far
  MicroDollars cost = 0;      // 0 while it is open
};

// Its members, in order, as the columns of a table of either database.
inline constexpr const char* kLedgerColumns =
    "id, key, route, model, created, settled, outcome, price_cache_hit, price_cache_miss, "
    "price_output, reserved, cache_hit, cache_miss, output, cost";

// An open row, settled for a server that cannot do it any more: with its last mark.
LedgerRow Interrupted(LedgerRow row, int64_t now);

// A step in a row's life.
struct LedgerChange {
  enum class Kind : uint8_t {
    kReserve,  // the row is new; refused when its key has no room for it
    kMark,     // its tokens have become more; a settled row is left as it is
    kSettle,   // outcome, tokens, cost and settled are final, where MaySettle
  };
  Kind kind;
  LedgerRow row;
};

// The settlements of rows that the same changes reserve: of requests that were given up at once.
std::vector<const LedgerRow*> SettledAtOnce(std::span<const LedgerChange> changes);

}  // namespace fathom

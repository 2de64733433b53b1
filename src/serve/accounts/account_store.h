#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "serve/accounts/api_key.h"
#include "serve/accounts/money.h"

namespace fathom {

// How a request ended.
enum class Outcome : uint8_t {
  kOpen,         // it has not
  kDone,         // answered
  kCancelled,    // its client went, or the server was told to stop
  kFailed,       // the client was told an error
  kInterrupted,  // the server ended before it; found by the next one
};
std::string_view Name(Outcome outcome);  // "open", "done", ...

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

// A step in a row's life.
struct LedgerChange {
  enum class Kind : uint8_t {
    kReserve,  // the row is new
    kMark,     // its tokens have become more
    kSettle,   // outcome, tokens, cost and settled are final; one that is not open is left as it is
  };
  Kind kind;
  LedgerRow row;
};

struct LedgerFilter {
  int64_t from = 0, until = INT64_MAX;  // of LedgerRow::created: [from, until)
  int64_t key = -1;                     // -1: all
};

// Where keys and the ledger are kept. Every call is durable when it returns, and throws Error when
// the store fails; then nothing of it has happened. From any thread.
class AccountStore {
 public:
  virtual ~AccountStore() = default;

  // Keys and their hashes, in the order they were made; a revoked one's hash is all zero.
  virtual std::vector<std::pair<ApiKey, KeyHash>> Keys() = 0;
  // Error when there is one of that name. Returns its id.
  virtual int64_t AddKey(const ApiKey& key, const KeyHash& hash) = 0;
  // Takes over everything but id, name and creation; a revoked key's hash is forgotten.
  virtual void ChangeKey(const ApiKey& key) = 0;

  // All of them, or none.
  virtual void Apply(std::span<const LedgerChange> changes) = 0;
  // Of a key's settled rows that were created at `from` or later.
  virtual MicroDollars Spent(int64_t key, int64_t from) = 0;
  // Rows in the order of their creation.
  virtual void ForEachRow(const LedgerFilter& filter,
                          const std::function<void(const LedgerRow&)>& row) = 0;
  virtual std::vector<LedgerRow> OpenRows() = 0;
};

}  // namespace fathom

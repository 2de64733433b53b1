#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "serve/accounts/access_error.h"
#include "serve/accounts/api_key.h"
#include "serve/accounts/key_use.h"
#include "serve/accounts/ledger_row.h"
#include "serve/accounts/money.h"

namespace fathom {

struct LedgerFilter {
  int64_t from = 0, until = INT64_MAX;  // of LedgerRow::created: [from, until)
  int64_t key = -1;                     // -1: all
};

// What a store is opened for.
enum class StoreMode : uint8_t {
  kExisting,  // to read it and to change keys; Error when there is none
  kCreate,    // the same; makes it where there is none
  kServe,     // to write requests; makes it where there is none
};

// Where keys and the ledger are kept, for one server or several. Every call is durable when it
// returns, and throws Error when the store fails; then nothing of it has happened, or, where a
// connection was lost in the middle of a commit, all of it: marks and settlements can be made again
// without harm, and a reservation that is not known to be there is settled as if it were. From any
// thread.
//
// An open row belongs to the store, opened with kServe, that reserved it, which is a server. Limits
// of keys are those that the store has at that moment, and count the rows of all servers.
class AccountStore {
 public:
  virtual ~AccountStore() = default;

  // What errors call it: a file's name, an address without its password.
  virtual const std::string& name() const = 0;

  // Keys and their hashes, in the order they were made; a revoked one's hash is all zero.
  virtual std::vector<std::pair<ApiKey, KeyHash>> Keys() = 0;
  // Error when there is one of that name. Returns its id.
  virtual int64_t AddKey(const ApiKey& key, const KeyHash& hash) = 0;
  // Takes over everything but id, name and creation; a revoked key's hash is forgotten.
  virtual void ChangeKey(const ApiKey& key) = 0;

  // In one commit: what is settled makes room for what is reserved, whatever their order. Returns,
  // for each change, why it was not made (RefusalOf); the others are made all the same.
  virtual std::vector<Refusal> Apply(std::span<const LedgerChange> changes) = 0;
  // What servers do at their start and every few seconds: settles as kInterrupted, with its last
  // mark, every open row whose server is no more. now: what these rows say that they were settled.
  // Returns how many there were.
  virtual int64_t Tend(int64_t now) = 0;
  // What a key has under way, and has spent with requests that were created at `since` (the
  // beginning of a month, or 0) or later.
  virtual KeyUse Use(int64_t key, int64_t since) = 0;
  // Rows in the order of their creation.
  virtual void ForEachRow(const LedgerFilter& filter,
                          const std::function<void(const LedgerRow&)>& row) = 0;
};

}  // namespace fathom

#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "serve/accounts/account_store.h"
#include "serve/accounts/postgres.h"

namespace fathom {

// "id, name, hash, ...", as KeyOf reads them.
extern const char* const kPostgresKeyColumns;
ApiKey KeyOf(const PostgresRows& rows, int row);

// Changes of the ledger within one transaction, a few statements whatever their number.
//
// Servers that share the database take its locks in one order: the keys for which something is
// reserved, by id; rows, by id; sums of spending, by key and month. A key stays locked until the
// commit, so that what its other servers reserve is counted before it is asked what is left. Where
// a batch comes in another's way all the same, the database ends one of the two
// (PostgresError::is_conflict), which is begun again.
class PostgresBatch {
 public:
  // Within a transaction. server: whose rows they will be.
  PostgresBatch(PostgresConnection& connection, int64_t server)
      : connection_(connection), server_(server) {}

  // As AccountStore::Apply.
  std::vector<Refusal> Apply(std::span<const LedgerChange> changes);
  // Those that MaySettle. Returns how many.
  int64_t Settle(std::span<const LedgerRow* const> rows);
  // As AccountStore::Use, for keys and since when, each.
  std::map<int64_t, KeyUse> Use(const std::map<int64_t, int64_t>& since);

 private:
  // A key for which something is reserved.
  struct Account {
    ApiKey key;
    KeyUse use;
  };

  std::map<int64_t, Account> LockKeys(std::span<const LedgerChange> changes);
  // What those of them that are limited have taken.
  void FindUse(std::span<const LedgerChange> changes, std::map<int64_t, Account>& accounts);
  void Mark(std::span<const LedgerChange> changes);
  void Spend(const std::map<std::pair<int64_t, int64_t>, MicroDollars>& sums);
  void Insert(std::span<const LedgerRow* const> rows);

  PostgresConnection& connection_;
  const int64_t server_;
};

}  // namespace fathom

#include "serve/accounts/open_store.h"

#include "serve/accounts/postgres_address.h"
#include "serve/accounts/postgres_store.h"
#include "serve/accounts/sqlite_store.h"

namespace fathom {

std::unique_ptr<AccountStore> OpenStore(const std::string& ledger, StoreMode mode) {
  if (IsPostgresAddress(ledger)) return std::make_unique<PostgresStore>(ledger, mode);
  return std::make_unique<SqliteStore>(ledger, mode);
}

}  // namespace fathom

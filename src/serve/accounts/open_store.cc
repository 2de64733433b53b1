#include "serve/accounts/open_store.h"

#include "serve/accounts/sqlite_store.h"

namespace fathom {

std::unique_ptr<AccountStore> OpenStore(const std::string& ledger, StoreMode mode) {
  return std::make_unique<SqliteStore>(ledger, mode);
}

}  // namespace fathom

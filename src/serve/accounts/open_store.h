#pragma once

#include <memory>
#include <string>

#include "serve/accounts/account_store.h"

namespace fathom {

// The store that `--ledger` names: a database for a postgresql:// (or postgres://) address,
// otherwise a SQLite file. Error when it cannot be opened; none has an address's password.
std::unique_ptr<AccountStore> OpenStore(const std::string& ledger, StoreMode mode);

}  // namespace fathom

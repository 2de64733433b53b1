#pragma once

#include <memory>
#include <string>

#include "serve/accounts/account_store.h"

namespace fathom {

// The store that `--ledger` names, a SQLite file. Error when it cannot be opened.
std::unique_ptr<AccountStore> OpenStore(const std::string& ledger, StoreMode mode);

}  // namespace fathom

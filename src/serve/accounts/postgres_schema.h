#pragma once

#include "serve/accounts/account_store.h"
#include "serve/accounts/postgres.h"

namespace fathom {

// Makes the tables of a ledger in a database that has none (but for StoreMode::kExisting), and lets
// the connection find them. Error for a ledger of another version, or when there is none. ledger:
// its name in errors.
void PrepareSchema(PostgresConnection& connection, const std::string& ledger, StoreMode mode);

}  // namespace fathom

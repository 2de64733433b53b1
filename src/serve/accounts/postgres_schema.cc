#include "serve/accounts/postgres_schema.h"

#include <fmt/format.h>

namespace fathom {
namespace {

constexpr int64_t kSchemaVersion = 1;

// Held by who makes tables: two servers may start at the same time.
constexpr const char* kMakeAlone = "SELECT pg_advisory_xact_lock(x'4654484D'::int, 1)";

// `spending` is what a key's settled requests cost, by the month of their creation (its beginning,
// milliseconds since 1970): the sum over many rows, kept. `server` is whose row it is
// (PostgresStore::Connect).
constexpr const char* kTables = R"(
CREATE TABLE keys(
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE,
  hash bytea NOT NULL, role text NOT NULL, created bigint NOT NULL, expires bigint NOT NULL,
  disabled bigint NOT NULL, revoked bigint NOT NULL, concurrency bigint NOT NULL,
  tokens_per_minute bigint NOT NULL, budget bigint, budget_period text NOT NULL,
  shares_cache bigint NOT NULL);
CREATE TABLE requests(
  id text PRIMARY KEY, server bigint NOT NULL, key bigint NOT NULL, route text NOT NULL,
  model text NOT NULL, created bigint NOT NULL, settled bigint NOT NULL, outcome text NOT NULL,
  price_cache_hit bigint NOT NULL, price_cache_miss bigint NOT NULL, price_output bigint NOT NULL,
  reserved bigint NOT NULL, cache_hit bigint NOT NULL, cache_miss bigint NOT NULL,
  output bigint NOT NULL, cost bigint NOT NULL);
CREATE INDEX requests_by_key ON requests(key, created, id);
CREATE INDEX requests_by_time ON requests(created, id);
CREATE INDEX open_requests ON requests(key) WHERE outcome = 'open';
CREATE TABLE spending(
  key bigint NOT NULL, month bigint NOT NULL, cost bigint NOT NULL, PRIMARY KEY(key, month));
CREATE TABLE ledger(version bigint NOT NULL);
)";

bool Is(PostgresConnection& connection, const char* question) {
  return connection.Execute(question).Text(0, 0) == "t";
}

// By what is committed: names that were looked up before are remembered to the end of a
// transaction.
bool HasTables(PostgresConnection& connection) {
  return Is(connection,
            "SELECT EXISTS (SELECT FROM pg_class AS c JOIN pg_namespace AS n "
            "ON c.relnamespace = n.oid WHERE n.nspname = 'fathom' AND c.relname = 'ledger')");
}

void MakeTables(PostgresConnection& connection) {
  PostgresTransaction transaction(connection);
  connection.Execute(kMakeAlone);
  if (!HasTables(connection)) {
    // It may be there already, for users who may not make one.
    if (Is(connection, "SELECT NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'fathom')")) {
      connection.Execute("CREATE SCHEMA fathom");
    }
    connection.Execute(kTables);
    connection.Run("INSERT INTO ledger VALUES($1)", {ToPostgres(kSchemaVersion)});
  }
  transaction.Commit();
}

}  // namespace

void PrepareSchema(PostgresConnection& connection, const std::string& ledger, StoreMode mode) {
  connection.Execute("SET search_path = fathom");
  if (!HasTables(connection)) {
    if (mode == StoreMode::kExisting) {
      throw Error(ledger, "there is no ledger in this database",
                  "`fathom keys create` and `fathom serve --ledger` make one");
    }
    MakeTables(connection);
  }
  const PostgresRows rows = connection.Execute("SELECT version FROM ledger");
  const int64_t version = rows.size() == 1 ? rows.Int(0, 0) : 0;
  if (version != kSchemaVersion) {
    throw Error(ledger,
                fmt::format("its ledger has version {}, and this program knows {}", version,
                            kSchemaVersion),
                "use the program that wrote it");
  }
}

}  // namespace fathom

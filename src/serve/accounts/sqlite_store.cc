#include "serve/accounts/sqlite_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "serve/accounts/sqlite.h"

namespace fathom {
namespace {

// "FTHM" as SQLite's application id, so that no other program's file is taken for one of these.
constexpr int64_t kApplication = 0x4654484D, kVersion = 2;

constexpr const char* kSchema = R"(
CREATE TABLE keys(
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, hash BLOB NOT NULL,
  role TEXT NOT NULL, created INTEGER NOT NULL, expires INTEGER NOT NULL, disabled INTEGER NOT NULL,
  revoked INTEGER NOT NULL, concurrency INTEGER NOT NULL, tokens_per_minute INTEGER NOT NULL,
  budget INTEGER, budget_period TEXT NOT NULL, shares_cache INTEGER NOT NULL);
CREATE TABLE requests(
  id TEXT PRIMARY KEY, key INTEGER NOT NULL, route TEXT NOT NULL, model TEXT NOT NULL,
  created INTEGER NOT NULL, settled INTEGER NOT NULL, outcome TEXT NOT NULL,
  price_cache_hit INTEGER NOT NULL, price_cache_miss INTEGER NOT NULL, price_output INTEGER NOT NULL,
  reserved INTEGER NOT NULL, cache_hit INTEGER NOT NULL, cache_miss INTEGER NOT NULL,
  output INTEGER NOT NULL, cost INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX requests_by_key ON requests(key, created);
CREATE INDEX requests_by_time ON requests(created);
CREATE INDEX open_requests ON requests(outcome) WHERE outcome = 'open';
)";

// What a key's settled requests cost, by the month of their creation (its beginning, milliseconds
// since 1970): the sum over many rows, kept.
constexpr const char* kSpending = R"(
CREATE TABLE spending(
  key INTEGER NOT NULL, month INTEGER NOT NULL, cost INTEGER NOT NULL, PRIMARY KEY(key, month)
) WITHOUT ROWID;
)";

// Files of version 1 had no sums.
constexpr const char* kSumUp = R"(
INSERT INTO spending
  SELECT key, 1000 * CAST(strftime('%s', created / 1000, 'unixepoch', 'start of month') AS INTEGER)
           AS month, sum(cost)
  FROM requests WHERE key <> 0 AND outcome <> 'open' GROUP BY key, month;
)";

constexpr std::string_view kKeyColumns =
    "id, name, hash, role, created, expires, disabled, revoked, concurrency, tokens_per_minute, "
    "budget, budget_period, shares_cache";

LedgerRow RowOf(const SqliteStatement& row) {
  return {.id = row.Text(0),
          .key = row.Int(1),
          .route = row.Text(2),
          .model = row.Text(3),
          .created = row.Int(4),
          .settled = row.Int(5),
          .outcome = ParseOutcome(row.Text(6)),
          .prices = {row.Int(7), row.Int(8), row.Int(9)},
          .reserved = row.Int(10),
          .tokens = {row.Int(11), row.Int(12), row.Int(13)},
          .cost = row.Int(14)};
}

ApiKey KeyOf(const SqliteStatement& row) {
  ApiKey key{.id = row.Int(0),
             .name = row.Text(1),
             .role = row.Text(3) == Name(KeyRole::kAdmin) ? KeyRole::kAdmin : KeyRole::kUser,
             .created = row.Int(4),
             .expires = row.Int(5),
             .disabled = row.Int(6) != 0,
             .revoked = row.Int(7),
             .limits = {.concurrency = row.Int(8), .tokens_per_minute = row.Int(9)},
             .shares_cache = row.Int(12) != 0};
  if (!row.IsNull(10)) key.limits.budget = row.Int(10);
  if (row.Text(11) == Name(BudgetPeriod::kMonth)) key.limits.period = BudgetPeriod::kMonth;
  return key;
}

// The settings of a key, as many values as AddKey and ChangeKey have in common.
void BindSettings(const ApiKey& key, SqliteStatement& statement) {
  statement.Bind(Name(key.role)).Bind(key.expires).Bind(int64_t{key.disabled}).Bind(key.revoked);
  statement.Bind(key.limits.concurrency).Bind(key.limits.tokens_per_minute);
  if (key.limits.budget) {
    statement.Bind(*key.limits.budget);
  } else {
    statement.BindNull();
  }
  statement.Bind(Name(key.limits.period)).Bind(int64_t{key.shares_cache});
}

int TakeLock(const std::filesystem::path& path) {
  // A file of its own: closing any descriptor of the database would undo SQLite's locks.
  const std::string name = path.string() + "-server";
  const int descriptor = open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) throw Error(name, std::strerror(errno));
  if (flock(descriptor, LOCK_EX | LOCK_NB) == 0) return descriptor;
  close(descriptor);
  throw Error(path.string(), "another server uses this ledger", "each server needs its own");
}

}  // namespace

struct SqliteStore::Statements {
  explicit Statements(SqliteDatabase& database)
      : reserve(database, fmt::format("INSERT INTO requests({}) VALUES(?, ?, ?, ?, ?, 0, 'open', "
                                      "?, ?, ?, ?, 0, 0, 0, 0)",
                                      kLedgerColumns)),
        mark(database,
             "UPDATE requests SET cache_hit = ?, cache_miss = ?, output = ? "
             "WHERE id = ? AND outcome = 'open'"),
        find(database, "SELECT key, created, outcome, cost FROM requests WHERE id = ?"),
        settle(database,
               "UPDATE requests SET cache_hit = ?, cache_miss = ?, output = ?, cost = ?, "
               "settled = ?, outcome = ? WHERE id = ?"),
        spend(database,
              "INSERT INTO spending VALUES(?, ?, ?) "
              "ON CONFLICT(key, month) DO UPDATE SET cost = cost + excluded.cost"),
        key(database, fmt::format("SELECT {} FROM keys WHERE id = ?", kKeyColumns)),
        open(database,
             "SELECT count(*), coalesce(sum(reserved), 0) FROM requests "
             "WHERE outcome = 'open' AND key = ?"),
        spent(database,
              "SELECT coalesce(sum(cost), 0) FROM spending WHERE key = ? AND month >= ?") {}
  SqliteStatement reserve, mark, find, settle, spend, key, open, spent;
};

SqliteStore::SqliteStore(const std::filesystem::path& path, StoreMode mode) : name_(path.string()) {
  if (mode == StoreMode::kExisting && !std::filesystem::exists(path)) {
    throw Error(name_, "there is no such ledger",
                "`fathom keys create` and `fathom serve --ledger` make one");
  }
  if (mode == StoreMode::kServe) lock_ = TakeLock(path);
  try {
    database_ = std::make_unique<SqliteDatabase>(path);
    Prepare();
    statements_ = std::make_unique<Statements>(*database_);
  } catch (...) {
    if (lock_ >= 0) close(lock_);
    throw;
  }
}

SqliteStore::~SqliteStore() {
  statements_.reset();
  database_.reset();
  if (lock_ >= 0) close(lock_);
}

void SqliteStore::Prepare() {
  // Every commit is on the disk when it returns.
  database_->Execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
  const auto number = [this](const char* pragma) {
    SqliteStatement statement(*database_, pragma);
    statement.Step();
    return statement.Int(0);
  };
  SqliteTransaction transaction(*database_);
  const bool is_empty = number("SELECT count(*) FROM sqlite_master") == 0;
  if (is_empty) {
    database_->Execute(kSchema);
    database_->Execute(kSpending);
    database_->Execute(
        fmt::format("PRAGMA application_id = {}; PRAGMA user_version = {}", kApplication, kVersion)
            .c_str());
  } else if (number("PRAGMA application_id") != kApplication) {
    throw Error(name_, "is a database, but no ledger of fathom's", "name another file");
  } else if (const int64_t version = number("PRAGMA user_version"); version == 1) {
    database_->Execute(kSpending);
    database_->Execute(kSumUp);
    database_->Execute(fmt::format("PRAGMA user_version = {}", kVersion).c_str());
  } else if (version != kVersion) {
    throw Error(name_, fmt::format("has version {}, and this program knows {}", version, kVersion),
                "use the program that wrote it");
  }
  transaction.Commit();
}

std::vector<std::pair<ApiKey, KeyHash>> SqliteStore::Keys() {
  const std::lock_guard lock(mutex_);
  SqliteStatement row(*database_, fmt::format("SELECT {} FROM keys ORDER BY id", kKeyColumns));
  std::vector<std::pair<ApiKey, KeyHash>> keys;
  while (row.Step()) {
    KeyHash hash{};
    const std::vector<uint8_t> bytes = row.Blob(2);
    std::copy_n(bytes.begin(), std::min(bytes.size(), hash.size()), hash.begin());
    keys.emplace_back(KeyOf(row), hash);
  }
  return keys;
}

int64_t SqliteStore::AddKey(const ApiKey& key, const KeyHash& hash) {
  const std::lock_guard lock(mutex_);
  SqliteTransaction transaction(*database_);
  SqliteStatement find(*database_, "SELECT 1 FROM keys WHERE name = ?");
  if (find.Bind(key.name).Step()) {
    throw Error(key.name, "there is a key of that name, or there was one",
                "the ledger names who asked: every name is given once");
  }
  SqliteStatement add(*database_,
                      "INSERT INTO keys(name, hash, created, role, expires, disabled, revoked, "
                      "concurrency, tokens_per_minute, budget, budget_period, shares_cache) "
                      "VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  add.Bind(key.name).BindBlob(hash.data(), hash.size()).Bind(key.created);
  BindSettings(key, add);
  add.Run();
  const int64_t id = database_->LastInsertId();
  transaction.Commit();
  return id;
}

void SqliteStore::ChangeKey(const ApiKey& key) {
  const std::lock_guard lock(mutex_);
  SqliteStatement change(*database_,
                         "UPDATE keys SET role = ?, expires = ?, disabled = ?, revoked = ?, "
                         "concurrency = ?, tokens_per_minute = ?, budget = ?, budget_period = ?, "
                         "shares_cache = ?, hash = iif(?, zeroblob(32), hash) WHERE id = ?");
  BindSettings(key, change);
  change.Bind(key.revoked).Bind(key.id).Run();
}

std::vector<Refusal> SqliteStore::Apply(std::span<const LedgerChange> changes) {
  const std::lock_guard lock(mutex_);
  SqliteTransaction transaction(*database_);
  std::vector<Refusal> refusals(changes.size());
  for (size_t i = 0; i < changes.size(); ++i) {
    const LedgerRow& row = changes[i].row;
    if (changes[i].kind == LedgerChange::Kind::kMark) Mark(row);
    if (changes[i].kind == LedgerChange::Kind::kSettle) Settle(row);
  }
  for (size_t i = 0; i < changes.size(); ++i) {
    if (changes[i].kind == LedgerChange::Kind::kReserve) refusals[i] = Reserve(changes[i].row);
  }
  for (const LedgerRow* row : SettledAtOnce(changes)) Settle(*row);
  transaction.Commit();
  return refusals;
}

Refusal SqliteStore::Reserve(const LedgerRow& row) {
  if (row.key != 0) {
    const std::optional<ApiKey> key = FindKey(row.key);
    if (!key) return AccessError(AccessError::Reason::kNoKey, "this key is not known here");
    const KeyUse use = UseOf(row.key, PeriodStart(key->limits.period, row.created));
    if (Refusal refusal = RefusalOf(*key, use, row.reserved, row.created)) return refusal;
  }
  SqliteStatement& reserve = statements_->reserve;
  reserve.Bind(row.id).Bind(row.key).Bind(row.route).Bind(row.model).Bind(row.created);
  reserve.Bind(row.prices.cache_hit).Bind(row.prices.cache_miss).Bind(row.prices.output);
  reserve.Bind(row.reserved).Run();
  return {};
}

void SqliteStore::Mark(const LedgerRow& row) {
  const TokenCounts& tokens = row.tokens;
  statements_->mark.Bind(tokens.cache_hit).Bind(tokens.cache_miss).Bind(tokens.output);
  statements_->mark.Bind(row.id).Run();
}

void SqliteStore::Settle(const LedgerRow& row) {
  SqliteStatement& find = statements_->find;
  if (!find.Bind(row.id).Step()) {
    find.Reset();
    return;
  }
  const int64_t key = find.Int(0), created = find.Int(1), cost = find.Int(3);
  const Outcome outcome = ParseOutcome(find.Text(2));
  find.Reset();
  if (!MaySettle(outcome, row.outcome)) return;
  const TokenCounts& tokens = row.tokens;
  SqliteStatement& settle = statements_->settle;
  settle.Bind(tokens.cache_hit).Bind(tokens.cache_miss).Bind(tokens.output).Bind(row.cost);
  settle.Bind(row.settled).Bind(Name(row.outcome)).Bind(row.id).Run();
  if (key == 0 || row.cost == cost) return;
  SqliteStatement& spend = statements_->spend;
  spend.Bind(key).Bind(PeriodStart(BudgetPeriod::kMonth, created)).Bind(row.cost - cost).Run();
}

std::optional<ApiKey> SqliteStore::FindKey(int64_t id) {
  SqliteStatement& find = statements_->key;
  std::optional<ApiKey> key;
  if (find.Bind(id).Step()) key = KeyOf(find);
  find.Reset();
  return key;
}

KeyUse SqliteStore::UseOf(int64_t key, int64_t since) {
  SqliteStatement &open = statements_->open, &spent = statements_->spent;
  open.Bind(key).Step();
  spent.Bind(key).Bind(since).Step();
  const KeyUse use = {.open = open.Int(0), .reserved = open.Int(1), .spent = spent.Int(0)};
  open.Reset();
  spent.Reset();
  return use;
}

KeyUse SqliteStore::Use(int64_t key, int64_t since) {
  const std::lock_guard lock(mutex_);
  return UseOf(key, since);
}

int64_t SqliteStore::Tend(int64_t now) {
  const std::lock_guard lock(mutex_);
  if (tended_) return 0;
  std::vector<LedgerRow> rows;
  SqliteStatement open(
      *database_, fmt::format("SELECT {} FROM requests WHERE outcome = 'open'", kLedgerColumns));
  while (open.Step()) rows.push_back(Interrupted(RowOf(open), now));
  open.Reset();
  SqliteTransaction transaction(*database_);
  for (const LedgerRow& row : rows) Settle(row);
  transaction.Commit();
  tended_ = true;
  return std::ssize(rows);
}

void SqliteStore::ForEachRow(const LedgerFilter& filter,
                             const std::function<void(const LedgerRow&)>& row) {
  const std::lock_guard lock(mutex_);
  SqliteStatement rows(*database_,
                       fmt::format("SELECT {} FROM requests WHERE created >= ? AND created < ? "
                                   "AND (?3 < 0 OR key = ?3) ORDER BY created, id",
                                   kLedgerColumns));
  rows.Bind(filter.from).Bind(filter.until).Bind(filter.key);
  while (rows.Step()) row(RowOf(rows));
}

}  // namespace fathom

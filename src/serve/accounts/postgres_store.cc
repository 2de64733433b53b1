#include "serve/accounts/postgres_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "base/log.h"
#include "serve/accounts/postgres_address.h"
#include "serve/accounts/postgres_batch.h"
#include "serve/accounts/postgres_schema.h"

namespace fathom {
namespace {

// The longest time between attempts to connect.
constexpr std::chrono::milliseconds kPutOff{1000};

// Locks of servers' numbers: what pg_advisory_lock(number) holds, as pg_locks shows it.
constexpr const char* kServerLocks =
    "SELECT (classid::bigint << 32) | objid::bigint AS server, pid FROM pg_locks "
    "WHERE locktype = 'advisory' AND objsubid = 1 AND granted "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

int64_t DrawServer(StoreMode mode) {
  if (mode != StoreMode::kServe) return 0;
  std::random_device device;
  return static_cast<int64_t>((uint64_t{device()} << 31 | device() >> 1) | 1);
}

LedgerRow RowOf(const PostgresRows& rows, int row) {
  return {.id = rows.Text(row, 0),
          .key = rows.Int(row, 1),
          .route = rows.Text(row, 2),
          .model = rows.Text(row, 3),
          .created = rows.Int(row, 4),
          .settled = rows.Int(row, 5),
          .outcome = ParseOutcome(rows.Text(row, 6)),
          .prices = {rows.Int(row, 7), rows.Int(row, 8), rows.Int(row, 9)},
          .reserved = rows.Int(row, 10),
          .tokens = {rows.Int(row, 11), rows.Int(row, 12), rows.Int(row, 13)},
          .cost = rows.Int(row, 14)};
}

std::string Hex(const KeyHash& hash) {
  std::string text;
  for (const uint8_t byte : hash) text += fmt::format("{:02x}", byte);
  return text;
}

KeyHash ParseHex(const std::string& text) {
  KeyHash hash{};
  const auto digit = [](char c) { return c >= 'a' ? c - 'a' + 10 : c - '0'; };
  for (size_t i = 0; i < std::min(hash.size(), text.size() / 2); ++i) {
    hash[i] = static_cast<uint8_t>(digit(text[2 * i]) * 16 + digit(text[2 * i + 1]));
  }
  return hash;
}

// What AddKey and ChangeKey write both.
std::vector<PostgresValue> Settings(const ApiKey& key) {
  const KeyLimits& limits = key.limits;
  return {std::string(Name(key.role)),
          ToPostgres(key.expires),
          ToPostgres(int64_t{key.disabled}),
          ToPostgres(key.revoked),
          ToPostgres(limits.concurrency),
          ToPostgres(limits.tokens_per_minute),
          limits.budget ? ToPostgres(*limits.budget) : std::nullopt,
          std::string(Name(limits.period)),
          ToPostgres(int64_t{key.shares_cache})};
}

// A server waits for nobody for long, and the database gives up first, so that the connection is
// not lost with it. Nor does a server keep others waiting with a transaction that it does not go on
// with, or a connection that leads nowhere. What a database is set to lose in a crash is kept here.
std::string ServerSettings(std::chrono::milliseconds answer) {
  return fmt::format(
      "SET statement_timeout = {0}; SET lock_timeout = {1}; "
      "SET idle_in_transaction_session_timeout = {0}; SET tcp_keepalives_idle = 5; "
      "SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3; SET tcp_user_timeout = "
      "10000; "
      "SELECT set_config('synchronous_commit', 'on', false) "
      "WHERE current_setting('synchronous_commit') = 'off'",
      std::max<int64_t>(1, answer.count() * 4 / 5), std::max<int64_t>(1, answer.count() * 3 / 5));
}

}  // namespace

PostgresStore::PostgresStore(const std::string& address, StoreMode mode, const Times& times)
    : address_(address),
      name_(ShownAddress(address)),
      mode_(mode),
      times_(times),
      server_(DrawServer(mode)) {
  session_ = Connect();
}

PostgresStore::PostgresStore(const std::string& address, StoreMode mode)
    : PostgresStore(address, mode, Times{}) {}

PostgresStore::~PostgresStore() = default;

std::unique_ptr<PostgresConnection> PostgresStore::Connect() {
  const bool serves = mode_ == StoreMode::kServe;
  // Who makes a report waits for as long as it takes.
  auto session = std::make_unique<PostgresConnection>(
      address_, serves ? times_.answer : std::chrono::milliseconds(0));
  if (serves) {
    session->Execute(ServerSettings(times_.answer).c_str());
    // What this server had begun over an earlier connection, which the database may not know to be
    // lost, has ended when the lock is got.
    session->Run(fmt::format("SELECT pg_terminate_backend(pid) FROM ({}) AS locks "
                             "WHERE server = $1::bigint",
                             kServerLocks),
                 {ToPostgres(server_)});
    session->Run("SELECT pg_advisory_lock($1::bigint)", {ToPostgres(server_)});
  }
  PrepareSchema(*session, name_, mode_);
  absent_.clear();
  return session;
}

PostgresConnection& PostgresStore::Session() {
  if (session_ != nullptr && !session_->is_lost()) return *session_;
  session_.reset();
  if (Clock::now() < next_attempt_) throw Error("", failure_);
  try {
    session_ = Connect();
  } catch (const Error& error) {
    put_off_ = std::clamp(put_off_ * 2, kPutOff / 10, kPutOff);
    next_attempt_ = Clock::now() + put_off_;
    failure_ = error.what();
    throw;
  }
  put_off_ = {};
  spdlog::info("connected to {} again", name_);
  return *session_;
}

template <typename Work>
auto PostgresStore::With(const Work& work) {
  const std::lock_guard lock(mutex_);
  for (bool again = false;; again = true) {
    PostgresConnection& session = Session();
    try {
      return work(session);
    } catch (const PostgresError& error) {
      const bool broke_off = session.is_lost() && !session.is_late();
      if (again || !(broke_off || error.is_conflict())) throw;
      spdlog::debug("begun again: {}", error.what());
    }
  }
}

std::vector<std::pair<ApiKey, KeyHash>> PostgresStore::Keys() {
  return With([](PostgresConnection& session) {
    const PostgresRows rows =
        session.Run(fmt::format("SELECT {} FROM keys ORDER BY id", kPostgresKeyColumns));
    std::vector<std::pair<ApiKey, KeyHash>> keys;
    for (int i = 0; i < rows.size(); ++i) {
      keys.emplace_back(KeyOf(rows, i), ParseHex(rows.Text(i, 2)));
    }
    return keys;
  });
}

int64_t PostgresStore::AddKey(const ApiKey& key, const KeyHash& hash) {
  std::vector<PostgresValue> values = Settings(key);
  values.insert(values.end(), {key.name, Hex(hash), ToPostgres(key.created)});
  const std::lock_guard lock(mutex_);
  const PostgresRows rows = Session().Run(
      "INSERT INTO keys(role, expires, disabled, revoked, concurrency, tokens_per_minute, budget, "
      "budget_period, shares_cache, name, hash, created) "
      "VALUES($1, $2::bigint, $3::bigint, $4::bigint, $5::bigint, $6::bigint, $7::bigint, $8, "
      "$9::bigint, $10, decode($11, 'hex'), $12::bigint) ON CONFLICT(name) DO NOTHING RETURNING id",
      values);
  if (rows.size() == 0) {
    throw Error(key.name, "there is a key of that name, or there was one",
                "the ledger names who asked: every name is given once");
  }
  return rows.Int(0, 0);
}

void PostgresStore::ChangeKey(const ApiKey& key) {
  std::vector<PostgresValue> values = Settings(key);
  values.push_back(ToPostgres(key.id));
  With([&](PostgresConnection& session) {
    session.Run(
        "UPDATE keys SET role = $1, expires = $2::bigint, disabled = $3::bigint, "
        "revoked = $4::bigint, concurrency = $5::bigint, tokens_per_minute = $6::bigint, "
        "budget = $7::bigint, budget_period = $8, shares_cache = $9::bigint, hash = CASE "
        "WHEN $4::bigint <> 0 THEN decode(repeat('00', 32), 'hex') ELSE hash END "
        "WHERE id = $10::bigint",
        values);
  });
}

std::vector<Refusal> PostgresStore::Apply(std::span<const LedgerChange> changes) {
  return With([&](PostgresConnection& session) {
    PostgresTransaction transaction(session);
    std::vector<Refusal> refusals = PostgresBatch(session, server_).Apply(changes);
    transaction.Commit();
    return refusals;
  });
}

int64_t PostgresStore::Tend(int64_t now) {
  return With([&](PostgresConnection& session) {
    const PostgresRows rows =
        session.Run(fmt::format("SELECT DISTINCT server FROM requests WHERE outcome = 'open' "
                                "EXCEPT SELECT server FROM ({}) AS locks",
                                kServerLocks));
    std::map<int64_t, Clock::time_point> absent;
    int64_t settled = 0;
    for (int i = 0; i < rows.size(); ++i) {
      const int64_t server = rows.Int(i, 0);
      const auto known = absent_.find(server);
      const Clock::time_point since = known == absent_.end() ? Clock::now() : known->second;
      if (Clock::now() - since >= times_.gone) {
        settled += SettleRowsOf(session, server, now);
      } else {
        absent[server] = since;
      }
    }
    absent_ = std::move(absent);
    return settled;
  });
}

int64_t PostgresStore::SettleRowsOf(PostgresConnection& session, int64_t server, int64_t now) {
  PostgresTransaction transaction(session);
  const PostgresRows rows = session.Run(
      fmt::format("SELECT {} FROM requests WHERE outcome = 'open' AND server = $1::bigint "
                  "ORDER BY id FOR UPDATE",
                  kLedgerColumns),
      {ToPostgres(server)});
  std::vector<LedgerRow> ends;
  for (int i = 0; i < rows.size(); ++i) ends.push_back(Interrupted(RowOf(rows, i), now));
  std::vector<const LedgerRow*> pointers;
  for (const LedgerRow& row : ends) pointers.push_back(&row);
  const int64_t settled = PostgresBatch(session, server_).Settle(pointers);
  transaction.Commit();
  return settled;
}

KeyUse PostgresStore::Use(int64_t key, int64_t since) {
  return With([&](PostgresConnection& session) {
    return PostgresBatch(session, server_).Use({{key, since}})[key];
  });
}

void PostgresStore::ForEachRow(const LedgerFilter& filter,
                               const std::function<void(const LedgerRow&)>& row) {
  // Not begun again: rows have been given away.
  const std::lock_guard lock(mutex_);
  Session().ForEachRow(
      fmt::format("SELECT {} FROM requests WHERE created >= $1::bigint AND created < $2::bigint "
                  "AND ($3::bigint < 0 OR key = $3::bigint) ORDER BY created, id",
                  kLedgerColumns),
      {ToPostgres(filter.from), ToPostgres(filter.until), ToPostgres(filter.key)},
      [&](const PostgresRows& rows) { row(RowOf(rows, 0)); });
}

}  // namespace fathom

#include "serve/accounts/postgres_batch.h"

#include <algorithm>
#include <string>
#include <utility>

namespace fathom {
namespace {

using Kind = LedgerChange::Kind;

// A table's columns as arrays, which a statement takes apart again.
class Columns {
 public:
  explicit Columns(size_t numbers) : numbers_(numbers) {}

  // Numbers in the order of the columns.
  void Add(const std::string& id, std::initializer_list<int64_t> numbers) {
    ids_.push_back(id);
    size_t column = 0;
    for (const int64_t number : numbers) numbers_[column++].push_back(number);
  }
  std::vector<PostgresValue> Values() const {
    std::vector<PostgresValue> values = {ToPostgres(ids_)};
    for (const auto& column : numbers_) values.push_back(ToPostgres(column));
    return values;
  }

 private:
  std::vector<std::string> ids_;
  std::vector<std::vector<int64_t>> numbers_;
};

std::vector<const LedgerRow*> RowsOf(std::span<const LedgerChange> changes, Kind kind) {
  std::vector<const LedgerRow*> rows;
  for (const LedgerChange& change : changes) {
    if (change.kind == kind) rows.push_back(&change.row);
  }
  return rows;
}

}  // namespace

const char* const kPostgresKeyColumns =
    "id, name, encode(hash, 'hex'), role, created, expires, disabled, revoked, concurrency, "
    "tokens_per_minute, budget, budget_period, shares_cache";

ApiKey KeyOf(const PostgresRows& rows, int row) {
  ApiKey key{.id = rows.Int(row, 0),
             .name = rows.Text(row, 1),
             .role = rows.Text(row, 3) == Name(KeyRole::kAdmin) ? KeyRole::kAdmin : KeyRole::kUser,
             .created = rows.Int(row, 4),
             .expires = rows.Int(row, 5),
             .disabled = rows.Int(row, 6) != 0,
             .revoked = rows.Int(row, 7),
             .limits = {.concurrency = rows.Int(row, 8), .tokens_per_minute = rows.Int(row, 9)},
             .shares_cache = rows.Int(row, 12) != 0};
  if (!rows.IsNull(row, 10)) key.limits.budget = rows.Int(row, 10);
  if (rows.Text(row, 11) == Name(BudgetPeriod::kMonth)) key.limits.period = BudgetPeriod::kMonth;
  return key;
}

std::vector<Refusal> PostgresBatch::Apply(std::span<const LedgerChange> changes) {
  std::vector<Refusal> refusals(changes.size());
  std::map<int64_t, Account> accounts = LockKeys(changes);
  Mark(changes);
  Settle(RowsOf(changes, Kind::kSettle));
  FindUse(changes, accounts);
  std::vector<const LedgerRow*> reserved;
  for (size_t i = 0; i < changes.size(); ++i) {
    const LedgerRow& row = changes[i].row;
    if (changes[i].kind != Kind::kReserve) continue;
    if (row.key != 0) {
      const auto account = accounts.find(row.key);
      if (account == accounts.end()) {
        refusals[i] = AccessError(AccessError::Reason::kNoKey, "this key is not known here");
        continue;
      }
      auto& [key, use] = account->second;
      refusals[i] = RefusalOf(key, use, row.reserved, row.created);
      if (refusals[i]) continue;
      ++use.open;
      use.reserved += row.reserved;
    }
    reserved.push_back(&row);
  }
  Insert(reserved);
  Settle(SettledAtOnce(changes));
  return refusals;
}

std::map<int64_t, PostgresBatch::Account> PostgresBatch::LockKeys(
    std::span<const LedgerChange> changes) {
  std::vector<int64_t> ids;
  for (const LedgerRow* row : RowsOf(changes, Kind::kReserve)) {
    if (row->key != 0) ids.push_back(row->key);
  }
  std::map<int64_t, Account> accounts;
  if (ids.empty()) return accounts;
  const PostgresRows rows =
      connection_.Run(fmt::format("SELECT {} FROM keys WHERE id = ANY($1::bigint[]) ORDER BY id "
                                  "FOR NO KEY UPDATE",
                                  kPostgresKeyColumns),
                      {ToPostgres(ids)});
  for (int i = 0; i < rows.size(); ++i) {
    const ApiKey key = KeyOf(rows, i);
    accounts[key.id] = {key, {}};
  }
  return accounts;
}

void PostgresBatch::Mark(std::span<const LedgerChange> changes) {
  Columns columns(3);
  bool any = false;
  for (const LedgerRow* row : RowsOf(changes, Kind::kMark)) {
    columns.Add(row->id, {row->tokens.cache_hit, row->tokens.cache_miss, row->tokens.output});
    any = true;
  }
  if (!any) return;
  connection_.Run(
      "UPDATE requests AS r SET cache_hit = c.hit, cache_miss = c.miss, output = c.output "
      "FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) "
      "AS c(id, hit, miss, output) WHERE r.id = c.id AND r.outcome = 'open'",
      columns.Values());
}

int64_t PostgresBatch::Settle(std::span<const LedgerRow* const> rows) {
  if (rows.empty()) return 0;
  std::vector<std::string> ids;
  for (const LedgerRow* row : rows) ids.push_back(row->id);
  const PostgresRows found = connection_.Run(
      "SELECT id, key, created, outcome, cost FROM requests WHERE id = ANY($1::text[]) "
      "ORDER BY id FOR UPDATE",
      {ToPostgres(ids)});
  struct State {
    int64_t key, created;
    Outcome outcome;
    MicroDollars cost;
    const LedgerRow* end = nullptr;
  };
  std::map<std::string, State> states;
  for (int i = 0; i < found.size(); ++i) {
    states[found.Text(i, 0)] = {found.Int(i, 1), found.Int(i, 2), ParseOutcome(found.Text(i, 3)),
                                found.Int(i, 4)};
  }
  std::map<std::pair<int64_t, int64_t>, MicroDollars> sums;
  for (const LedgerRow* row : rows) {
    const auto state = states.find(row->id);
    if (state == states.end() || !MaySettle(state->second.outcome, row->outcome)) continue;
    State& now = state->second;
    const MicroDollars more = row->cost - now.cost;
    if (now.key != 0 && more != 0) {
      sums[{now.key, PeriodStart(BudgetPeriod::kMonth, now.created)}] += more;
    }
    now.outcome = row->outcome;
    now.cost = row->cost;
    now.end = row;
  }
  Columns columns(5);
  std::vector<std::string> outcomes;
  for (const auto& [id, state] : states) {
    if (state.end == nullptr) continue;
    const TokenCounts& tokens = state.end->tokens;
    columns.Add(id, {tokens.cache_hit, tokens.cache_miss, tokens.output, state.end->cost,
                     state.end->settled});
    outcomes.emplace_back(Name(state.end->outcome));
  }
  if (outcomes.empty()) return 0;
  std::vector<PostgresValue> values = columns.Values();
  values.push_back(ToPostgres(outcomes));
  connection_.Run(
      "UPDATE requests AS r SET cache_hit = c.hit, cache_miss = c.miss, output = c.output, "
      "cost = c.cost, settled = c.settled, outcome = c.outcome "
      "FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], "
      "$6::bigint[], $7::text[]) AS c(id, hit, miss, output, cost, settled, outcome) "
      "WHERE r.id = c.id",
      values);
  Spend(sums);
  return std::ssize(outcomes);
}

void PostgresBatch::Spend(const std::map<std::pair<int64_t, int64_t>, MicroDollars>& sums) {
  if (sums.empty()) return;
  std::vector<int64_t> keys, months, costs;
  for (const auto& [which, cost] : sums) {
    keys.push_back(which.first);
    months.push_back(which.second);
    costs.push_back(cost);
  }
  connection_.Run(
      "INSERT INTO spending SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) "
      "ON CONFLICT(key, month) DO UPDATE SET cost = spending.cost + excluded.cost",
      {ToPostgres(keys), ToPostgres(months), ToPostgres(costs)});
}

void PostgresBatch::FindUse(std::span<const LedgerChange> changes,
                            std::map<int64_t, Account>& accounts) {
  std::map<int64_t, int64_t> since;
  for (const LedgerRow* row : RowsOf(changes, Kind::kReserve)) {
    const auto account = accounts.find(row->key);
    if (account == accounts.end()) continue;
    const KeyLimits& limits = account->second.key.limits;
    if (!limits.budget && limits.concurrency == 0) continue;
    // At the turn of a month, the new one counts.
    since[row->key] = std::max(since[row->key], PeriodStart(limits.period, row->created));
  }
  for (const auto& [key, use] : Use(since)) accounts[key].use = use;
}

// One statement, so that it sees one state of the ledger: what another server settles meanwhile is
// reserved or spent, never neither.
std::map<int64_t, KeyUse> PostgresBatch::Use(const std::map<int64_t, int64_t>& since) {
  std::map<int64_t, KeyUse> uses;
  if (since.empty()) return uses;
  std::vector<int64_t> keys, times;
  for (const auto& [key, time] : since) {
    keys.push_back(key);
    times.push_back(time);
  }
  const PostgresRows rows = connection_.Run(
      "SELECT k.key, open.requests, open.reserved, "
      "(SELECT coalesce(sum(s.cost), 0)::bigint FROM spending AS s "
      "WHERE s.key = k.key AND s.month >= k.since) "
      "FROM unnest($1::bigint[], $2::bigint[]) AS k(key, since) CROSS JOIN LATERAL "
      "(SELECT count(*) AS requests, coalesce(sum(r.reserved), 0)::bigint AS reserved "
      "FROM requests AS r WHERE r.outcome = 'open' AND r.key = k.key) AS open",
      {ToPostgres(keys), ToPostgres(times)});
  for (int i = 0; i < rows.size(); ++i) {
    uses[rows.Int(i, 0)] = {
        .open = rows.Int(i, 1), .reserved = rows.Int(i, 2), .spent = rows.Int(i, 3)};
  }
  return uses;
}

void PostgresBatch::Insert(std::span<const LedgerRow* const> rows) {
  if (rows.empty()) return;
  Columns columns(6);
  std::vector<std::string> routes, models;
  for (const LedgerRow* row : rows) {
    columns.Add(row->id, {row->key, row->created, row->prices.cache_hit, row->prices.cache_miss,
                          row->prices.output, row->reserved});
    routes.push_back(row->route);
    models.push_back(row->model);
  }
  std::vector<PostgresValue> values = columns.Values();
  values.push_back(ToPostgres(routes));
  values.push_back(ToPostgres(models));
  values.push_back(ToPostgres(server_));
  connection_.Run(
      "INSERT INTO requests(id, key, created, price_cache_hit, price_cache_miss, price_output, "
      "reserved, route, model, server, settled, outcome, cache_hit, cache_miss, output, cost) "
      "SELECT c.*, $10::bigint, 0, 'open', 0, 0, 0, 0 FROM unnest($1::text[], $2::bigint[], "
      "$3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::text[], "
      "$9::text[]) AS c",
      values);
}

}  // namespace fathom

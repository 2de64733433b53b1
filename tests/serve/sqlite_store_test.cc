#include "serve/accounts/sqlite_store.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/temporary_directory.h"
#include "serve/accounts/audit.h"

namespace fathom {
namespace {

using Kind = LedgerChange::Kind;
using Open = SqliteStore::Open;

std::vector<LedgerRow> Rows(AccountStore& store, const LedgerFilter& filter = {}) {
  std::vector<LedgerRow> rows;
  store.ForEachRow(filter, [&](const LedgerRow& row) { rows.push_back(row); });
  return rows;
}

TEST(SqliteStore, KeepsKeysWithEverythingButTheKey) {
  const TemporaryDirectory directory;
  const std::string key = NewKey();
  ApiKey mine = {.name = "mine",
                 .role = KeyRole::kAdmin,
                 .created = 5,
                 .expires = 6,
                 .limits = {.concurrency = 7,
                            .tokens_per_minute = 8,
                            .budget = 9,
                            .period = BudgetPeriod::kMonth},
                 .shares_cache = true};
  {
    SqliteStore store(directory / "ledger.db", Open::kCreate);
    mine.id = store.AddKey(mine, HashOf(key));
    EXPECT_EQ(store.AddKey({.name = "other"}, HashOf("sk-other")), mine.id + 1);
    EXPECT_ERROR(store.AddKey({.name = "mine"}, HashOf("sk-third")), "there is a key of that name");
  }
  SqliteStore store(directory / "ledger.db", Open::kExisting);
  const auto keys = store.Keys();
  ASSERT_EQ(keys.size(), 2U);
  const ApiKey& read = keys[0].first;
  EXPECT_EQ(read.id, mine.id);
  EXPECT_EQ(read.name, "mine");
  EXPECT_EQ(read.role, KeyRole::kAdmin);
  EXPECT_EQ(read.created, 5);
  EXPECT_EQ(read.expires, 6);
  EXPECT_EQ(read.limits.concurrency, 7);
  EXPECT_EQ(read.limits.tokens_per_minute, 8);
  EXPECT_EQ(read.limits.budget, 9);
  EXPECT_EQ(read.limits.period, BudgetPeriod::kMonth);
  EXPECT_TRUE(read.shares_cache);
  EXPECT_EQ(keys[0].second, HashOf(key));
  EXPECT_EQ(keys[1].first.limits.budget, std::nullopt);
  // Neither file has the key.
  for (const char* name : {"ledger.db", "ledger.db-wal"}) {
    EXPECT_EQ(ReadFile(directory / name).find(key.substr(3)), std::string::npos) << name;
  }
  struct stat status;
  ASSERT_EQ(stat((directory / "ledger.db").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
}

TEST(SqliteStore, ARevokedKeysHashIsForgotten) {
  const TemporaryDirectory directory;
  SqliteStore store(directory / "ledger.db", Open::kCreate);
  ApiKey key = {.name = "mine"};
  key.id = store.AddKey(key, HashOf("sk-mine"));
  key.limits.budget = 3;
  store.ChangeKey(key);
  EXPECT_EQ(store.Keys()[0].first.limits.budget, 3);
  EXPECT_EQ(store.Keys()[0].second, HashOf("sk-mine"));
  key.revoked = 12;
  store.ChangeKey(key);
  EXPECT_EQ(store.Keys()[0].first.revoked, 12);
  EXPECT_EQ(store.Keys()[0].second, KeyHash{});
}

TEST(SqliteStore, ARowIsSettledOnce) {
  const TemporaryDirectory directory;
  SqliteStore store(directory / "ledger.db", Open::kServe);
  const LedgerRow row = {.id = "cmpl-1",
                         .key = 3,
                         .route = "/v1/completions",
                         .model = "r1",
                         .created = 1000,
                         .prices = {1, 2, 3},
                         .reserved = 50};
  store.Apply(std::vector<LedgerChange>{{Kind::kReserve, row}});
  store.Apply(std::vector<LedgerChange>{{Kind::kMark, {.id = "cmpl-1", .tokens = {1, 2, 3}}}});
  ASSERT_EQ(store.OpenRows().size(), 1U);
  EXPECT_EQ(store.OpenRows()[0].tokens, (TokenCounts{1, 2, 3}));
  EXPECT_EQ(store.Spent(3, 0), 0);
  LedgerRow end = {
      .id = "cmpl-1", .settled = 2000, .outcome = Outcome::kDone, .tokens = {1, 2, 4}, .cost = 17};
  store.Apply(std::vector<LedgerChange>{{Kind::kSettle, end}});
  end.cost = 99;
  end.outcome = Outcome::kInterrupted;
  store.Apply(std::vector<LedgerChange>{{Kind::kSettle, end},
                                        {Kind::kMark, {.id = "cmpl-1", .tokens = {9, 9, 9}}}});
  const std::vector<LedgerRow> rows = Rows(store);
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].key, 3);
  EXPECT_EQ(rows[0].route, "/v1/completions");
  EXPECT_EQ(rows[0].model, "r1");
  EXPECT_EQ(rows[0].created, 1000);
  EXPECT_EQ(rows[0].settled, 2000);
  EXPECT_EQ(rows[0].outcome, Outcome::kDone);
  EXPECT_EQ(rows[0].prices, (Prices{1, 2, 3}));
  EXPECT_EQ(rows[0].reserved, 50);
  EXPECT_EQ(rows[0].tokens, (TokenCounts{1, 2, 4}));
  EXPECT_EQ(rows[0].cost, 17);
  EXPECT_TRUE(store.OpenRows().empty());
  EXPECT_EQ(store.Spent(3, 1000), 17);
  EXPECT_EQ(store.Spent(3, 1001), 0);
  EXPECT_EQ(store.Spent(4, 0), 0);
}

TEST(SqliteStore, ACommitIsAllOrNothing) {
  const TemporaryDirectory directory;
  SqliteStore store(directory / "ledger.db", Open::kCreate);
  store.Apply(std::vector<LedgerChange>{{Kind::kReserve, {.id = "a"}}});
  // Ids are unique.
  EXPECT_ERROR(store.Apply(std::vector<LedgerChange>{{Kind::kReserve, {.id = "b"}},
                                                     {Kind::kReserve, {.id = "a"}}}),
               "UNIQUE");
  EXPECT_EQ(Rows(store).size(), 1U);
  store.Apply(std::vector<LedgerChange>{{Kind::kReserve, {.id = "b"}}});
  EXPECT_EQ(Rows(store).size(), 2U);
}

TEST(SqliteStore, FiltersByTimeAndKey) {
  const TemporaryDirectory directory;
  SqliteStore store(directory / "ledger.db", Open::kCreate);
  store.Apply(std::vector<LedgerChange>{{Kind::kReserve, {.id = "c", .key = 1, .created = 30}},
                                        {Kind::kReserve, {.id = "a", .key = 1, .created = 10}},
                                        {Kind::kReserve, {.id = "b", .key = 2, .created = 20}}});
  const auto ids = [&](const LedgerFilter& filter) {
    std::string text;
    for (const LedgerRow& row : Rows(store, filter)) text += row.id;
    return text;
  };
  EXPECT_EQ(ids({}), "abc");
  EXPECT_EQ(ids({.from = 10, .until = 30}), "ab");
  EXPECT_EQ(ids({.key = 1}), "ac");
  EXPECT_EQ(ids({.from = 11, .key = 1}), "c");
}

TEST(SqliteStore, OneServerAtATime) {
  const TemporaryDirectory directory;
  {
    SqliteStore server(directory / "ledger.db", Open::kServe);
    EXPECT_ERROR(SqliteStore(directory / "ledger.db", Open::kServe), "another server");
    EXPECT_EQ(SqliteStore(directory / "ledger.db", Open::kExisting).Keys().size(), 0U);
  }
  SqliteStore(directory / "ledger.db", Open::kServe);
}

TEST(SqliteStore, RefusesWhatIsNoLedger) {
  const TemporaryDirectory directory;
  EXPECT_ERROR(SqliteStore(directory / "none.db", Open::kExisting), "there is no such ledger");
  EXPECT_ERROR(SqliteStore(directory / "none" / "ledger.db", Open::kCreate), "No such file");
  WriteFileAtomically(directory / "text.db", std::string(5000, 'x'));
  EXPECT_ERROR(SqliteStore(directory / "text.db", Open::kCreate), "not a database");
}

// Days of a key as the rule sees them, by hand: a request an hour or so is 24 of them.
class AuditTest : public testing::Test {
 protected:
  static constexpr int64_t kHour = 3'600'000;

  void Add(int64_t key, int64_t created, const TokenCounts& tokens) {
    const std::string id = std::to_string(next_++);
    store_.Apply(
        std::vector<LedgerChange>{{Kind::kReserve, {.id = id, .key = key, .created = created}},
                                  {Kind::kSettle,
                                   {.id = id,
                                    .settled = created + 1,
                                    .outcome = Outcome::kDone,
                                    .tokens = tokens,
                                    .cost = 2}}});
  }
  std::vector<std::string> Flags(int64_t key, const ExtractionRule& rule) {
    std::vector<std::string> flags;
    const auto audits = AuditLedger(store_, {}, rule);
    for (const ExtractionFlag& flag : audits.at(key).flags) {
      flags.push_back(std::to_string(flag.day / (24 * kHour)) + " " + flag.rule);
    }
    return flags;
  }

  TemporaryDirectory directory_;
  SqliteStore store_{directory_ / "ledger.db", Open::kCreate};
  int next_ = 0;
};

TEST_F(AuditTest, CountsWhatEachKeyHad) {
  Add(1, 10, {1, 2, 3});
  Add(1, 20, {10, 20, 30});
  Add(0, 30, {0, 5, 5});
  const auto audits = AuditLedger(store_, {}, {});
  ASSERT_EQ(audits.size(), 2U);
  const KeyAudit& one = audits.at(1);
  EXPECT_EQ(one.requests, 2);
  EXPECT_EQ(one.tokens, (TokenCounts{11, 22, 33}));
  EXPECT_EQ(one.cost, 4);
  EXPECT_EQ(one.first, 10);
  EXPECT_EQ(one.last, 20);
  EXPECT_TRUE(one.flags.empty());
}

TEST_F(AuditTest, FlagsADayWithVeryManyTokens) {
  const ExtractionRule rule = {.day_output = 100};
  Add(1, 5 * 24 * kHour, {0, 1, 60});
  Add(1, 6 * 24 * kHour - 1, {0, 1, 40});  // the same day
  Add(1, 6 * 24 * kHour, {0, 1, 99});
  EXPECT_EQ(Flags(1, rule), std::vector<std::string>{"5 volume"});
}

TEST_F(AuditTest, FlagsADayOfOtherPromptsAroundTheClock) {
  const ExtractionRule rule = {.day_requests = 20, .day_hours = 20, .mean_output = 200};
  for (int64_t i = 0; i < 20; ++i) {
    Add(1, i * kHour, {10, 10, 200});
    Add(2, i * kHour, {11, 10, 200});      // most of it was said before: conversations
    Add(3, i * kHour, {0, 10, 199});       // short answers
    Add(4, i % 19 * kHour, {0, 10, 200});  // one who sleeps
    if (i > 0) Add(5, i * kHour, {0, 10, 200});
  }
  EXPECT_EQ(Flags(1, rule), std::vector<std::string>{"0 sweep"});
  for (const int64_t key : {2, 3, 4, 5}) EXPECT_TRUE(Flags(key, rule).empty()) << key;
}

}  // namespace
}  // namespace fathom

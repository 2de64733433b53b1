// What every store does, whatever it writes to.

#include "serve/accounts/account_store.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/temporary_directory.h"
#include "serve/accounts/open_store.h"
#include "serve/postgres_cluster.h"

namespace fathom {
namespace {

using Kind = LedgerChange::Kind;
using Reason = AccessError::Reason;
using Changes = std::vector<LedgerChange>;

// 28 November 2026, 12:00 UTC, and the beginning of December.
constexpr int64_t kNoon = 1'795'867'200'000, kDecember = 1'796'083'200'000;

// The parameter: whether it is PostgreSQL.
class AccountStoreTest : public testing::TestWithParam<bool> {
 protected:
  AccountStoreTest()
      : ledger_(GetParam() ? test::PostgresCluster::Shared().NewDatabase()
                           : (directory_ / "ledger.db").string()) {}

  std::unique_ptr<AccountStore> Open(StoreMode mode) const { return OpenStore(ledger_, mode); }
  static std::vector<LedgerRow> Rows(AccountStore& store, const LedgerFilter& filter = {}) {
    std::vector<LedgerRow> rows;
    store.ForEachRow(filter, [&](const LedgerRow& row) { rows.push_back(row); });
    return rows;
  }
  static LedgerChange Reserve(const std::string& id, MicroDollars most = 0, int64_t key = 1,
                              int64_t created = kNoon) {
    return {Kind::kReserve, {.id = id, .key = key, .created = created, .reserved = most}};
  }
  static LedgerChange Settle(const std::string& id, MicroDollars cost,
                             Outcome outcome = Outcome::kDone) {
    return {Kind::kSettle, {.id = id, .settled = kNoon + 1, .outcome = outcome, .cost = cost}};
  }
  // What became of reservations: "+" or the reason.
  static std::string Told(const std::vector<Refusal>& refusals) {
    std::string text;
    for (const Refusal& refusal : refusals) {
      text += !refusal                               ? "+"
              : refusal->reason() == Reason::kBudget ? "$"
              : refusal->reason() == Reason::kRate   ? "n"
              : refusal->reason() == Reason::kNoKey  ? "?"
                                                     : "!";
    }
    return text;
  }

  TemporaryDirectory directory_;
  const std::string ledger_;
};

TEST_P(AccountStoreTest, KeepsKeysWithEverythingButTheKey) {
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
    const auto store = Open(StoreMode::kCreate);
    mine.id = store->AddKey(mine, HashOf(key));
    EXPECT_EQ(store->AddKey({.name = "other"}, HashOf("sk-other")), mine.id + 1);
    EXPECT_ERROR(store->AddKey({.name = "mine"}, HashOf("sk-third")),
                 "there is a key of that name");
  }
  const auto store = Open(StoreMode::kExisting);
  const auto keys = store->Keys();
  ASSERT_EQ(keys.size(), 2U);
  const ApiKey& read = keys[0].first;
  EXPECT_EQ(read.id, mine.id);
  EXPECT_EQ(read.name, "mine");
  EXPECT_EQ(read.role, KeyRole::kAdmin);
  EXPECT_EQ(read.created, 5);
  EXPECT_EQ(read.expires, 6);
  EXPECT_FALSE(read.disabled);
  EXPECT_EQ(read.revoked, 0);
  EXPECT_EQ(read.limits.concurrency, 7);
  EXPECT_EQ(read.limits.tokens_per_minute, 8);
  EXPECT_EQ(read.limits.budget, 9);
  EXPECT_EQ(read.limits.period, BudgetPeriod::kMonth);
  EXPECT_TRUE(read.shares_cache);
  EXPECT_EQ(keys[0].second, HashOf(key));
  EXPECT_EQ(keys[1].first.role, KeyRole::kUser);
  EXPECT_EQ(keys[1].first.limits.budget, std::nullopt);
  EXPECT_EQ(keys[1].first.limits.period, BudgetPeriod::kTotal);
}

TEST_P(AccountStoreTest, ARevokedKeysHashIsForgotten) {
  const auto store = Open(StoreMode::kCreate);
  ApiKey key = {.name = "mine"};
  key.id = store->AddKey(key, HashOf("sk-mine"));
  key.limits.budget = 3;
  key.disabled = true;
  store->ChangeKey(key);
  EXPECT_EQ(store->Keys()[0].first.limits.budget, 3);
  EXPECT_TRUE(store->Keys()[0].first.disabled);
  EXPECT_EQ(store->Keys()[0].second, HashOf("sk-mine"));
  key.revoked = 12;
  store->ChangeKey(key);
  EXPECT_EQ(store->Keys()[0].first.revoked, 12);
  EXPECT_EQ(store->Keys()[0].second, KeyHash{});
}

TEST_P(AccountStoreTest, ARowIsSettledOnce) {
  const auto store = Open(StoreMode::kServe);
  store->AddKey({.name = "mine"}, HashOf("sk-mine"));
  const LedgerRow row = {.id = "cmpl-1",
                         .key = 1,
                         .route = "/v1/completions",
                         .model = R"(a "quoted\name", {braces})",
                         .created = kNoon,
                         .prices = {1, 2, 3},
                         .reserved = 50};
  store->Apply(Changes{{Kind::kReserve, row}});
  store->Apply(Changes{{Kind::kMark, {.id = "cmpl-1", .tokens = {1, 2, 3}}}});
  ASSERT_EQ(Rows(*store).size(), 1U);
  EXPECT_EQ(Rows(*store)[0].outcome, Outcome::kOpen);
  EXPECT_EQ(Rows(*store)[0].tokens, (TokenCounts{1, 2, 3}));
  EXPECT_EQ(store->Use(1, 0).open, 1);
  EXPECT_EQ(store->Use(1, 0).reserved, 50);
  EXPECT_EQ(store->Use(1, 0).spent, 0);
  LedgerRow end = {
      .id = "cmpl-1", .settled = 2000, .outcome = Outcome::kDone, .tokens = {1, 2, 4}, .cost = 17};
  store->Apply(Changes{{Kind::kSettle, end}});
  store->Apply(Changes{{Kind::kSettle, end}});  // its end was not seen, and it is made again
  end.cost = 99;
  end.outcome = Outcome::kInterrupted;
  store->Apply(Changes{{Kind::kSettle, end}, {Kind::kMark, {.id = "cmpl-1", .tokens = {9, 9, 9}}}});
  const std::vector<LedgerRow> rows = Rows(*store);
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].key, 1);
  EXPECT_EQ(rows[0].route, "/v1/completions");
  EXPECT_EQ(rows[0].model, row.model);
  EXPECT_EQ(rows[0].created, kNoon);
  EXPECT_EQ(rows[0].settled, 2000);
  EXPECT_EQ(rows[0].outcome, Outcome::kDone);
  EXPECT_EQ(rows[0].prices, (Prices{1, 2, 3}));
  EXPECT_EQ(rows[0].reserved, 50);
  EXPECT_EQ(rows[0].tokens, (TokenCounts{1, 2, 4}));
  EXPECT_EQ(rows[0].cost, 17);
  EXPECT_EQ(store->Use(1, 0).open, 0);
  EXPECT_EQ(store->Use(1, 0).reserved, 0);
  EXPECT_EQ(store->Use(1, 0).spent, 17);
}

TEST_P(AccountStoreTest, AServersOwnWordCountsMoreThanThatItWasInterrupted) {
  const auto store = Open(StoreMode::kServe);
  store->AddKey({.name = "mine"}, HashOf("sk-mine"));
  store->Apply(Changes{Reserve("a", 50)});
  store->Apply(Changes{Settle("a", 10, Outcome::kInterrupted)});
  EXPECT_EQ(store->Use(1, 0).spent, 10);
  store->Apply(Changes{Settle("a", 30, Outcome::kDone)});
  EXPECT_EQ(Rows(*store)[0].outcome, Outcome::kDone);
  EXPECT_EQ(Rows(*store)[0].cost, 30);
  EXPECT_EQ(store->Use(1, 0).spent, 30);
}

TEST_P(AccountStoreTest, ACommitIsAllOrNothing) {
  const auto store = Open(StoreMode::kServe);
  store->Apply(Changes{Reserve("a", 0, 0)});
  // Ids are unique.
  EXPECT_ERROR(store->Apply(Changes{Reserve("b", 0, 0), Reserve("a", 0, 0)}), "");
  EXPECT_EQ(Rows(*store).size(), 1U);
  store->Apply(Changes{Reserve("b", 0, 0)});
  EXPECT_EQ(Rows(*store).size(), 2U);
}

TEST_P(AccountStoreTest, WhatIsGivenUpAtOnceIsSettledInTheCommitThatReservesIt) {
  const auto store = Open(StoreMode::kServe);
  store->AddKey({.name = "mine", .limits = {.budget = 100}}, HashOf("sk-mine"));
  EXPECT_EQ(Told(store->Apply(Changes{Reserve("a", 60), Settle("a", 5, Outcome::kCancelled)})),
            "++");
  EXPECT_EQ(Rows(*store)[0].outcome, Outcome::kCancelled);
  EXPECT_EQ(store->Use(1, 0).spent, 5);
  EXPECT_EQ(store->Use(1, 0).open, 0);
  // What was refused is settled, too, which does nothing.
  EXPECT_EQ(Told(store->Apply(Changes{Reserve("b", 101), Settle("b", 0, Outcome::kFailed)})), "$+");
  EXPECT_EQ(Rows(*store).size(), 1U);
}

TEST_P(AccountStoreTest, ABudgetHasWhatIsSpentAndWhatCanBe) {
  const auto store = Open(StoreMode::kServe);
  store->AddKey({.name = "mine", .limits = {.budget = 1000}}, HashOf("sk-mine"));
  store->AddKey({.name = "other"}, HashOf("sk-other"));
  store->Apply(Changes{Reserve("old", 700)});
  store->Apply(Changes{Settle("old", 700)});
  EXPECT_EQ(Told(store->Apply(Changes{Reserve("a", 301), Reserve("b", 200), Reserve("c", 101),
                                      Reserve("d", 100), Reserve("e", 0), Reserve("f", 9999, 2),
                                      Reserve("g", 9999, 0)})),
            "$+$+$++");
  const auto refused = store->Apply(Changes{Reserve("h", 1)});
  EXPECT_STREQ(refused[0]->what(), "this key's budget of $0.001 in all is used up");
  // What is settled makes room, in the same commit.
  EXPECT_EQ(Told(store->Apply(Changes{Reserve("i", 150), Settle("b", 50), Reserve("j", 1)})),
            "++$");
  EXPECT_EQ(store->Use(1, 0).spent, 750);
  EXPECT_EQ(store->Use(1, 0).reserved, 250);
  EXPECT_EQ(store->Use(1, 0).open, 2);
  EXPECT_EQ(Rows(*store).size(), 6U);
}

TEST_P(AccountStoreTest, AMonthsBudgetIsWholeAgainInTheNext) {
  const auto store = Open(StoreMode::kServe);
  store->AddKey({.name = "mine", .limits = {.budget = 1000, .period = BudgetPeriod::kMonth}},
                HashOf("sk-mine"));
  store->Apply(Changes{Reserve("a", 900)});
  store->Apply(Changes{Settle("a", 900)});
  const auto refused = store->Apply(Changes{Reserve("b", 101)});
  EXPECT_STREQ(refused[0]->what(),
               "this request can cost $0.000101, and of this key's budget $0.0001 are left for "
               "this month (a smaller max_tokens costs less)");
  EXPECT_EQ(Told(store->Apply(Changes{Reserve("c", 100)})), "+");
  // What is under way counts, whenever it began; what it costs is of the month in which it did.
  EXPECT_EQ(
      Told(store->Apply(Changes{Reserve("d", 901, 1, kDecember), Reserve("e", 900, 1, kDecember)})),
      "$+");
  store->Apply(Changes{Settle("c", 100), Settle("e", 1)});
  EXPECT_EQ(store->Use(1, kDecember).spent, 1);
  EXPECT_EQ(store->Use(1, PeriodStart(BudgetPeriod::kMonth, kNoon)).spent, 1001);
}

TEST_P(AccountStoreTest, SoManyRequestsAtATime) {
  const auto store = Open(StoreMode::kServe);
  store->AddKey({.name = "mine", .limits = {.concurrency = 2}}, HashOf("sk-mine"));
  const auto refusals = store->Apply(Changes{Reserve("a"), Reserve("b"), Reserve("c")});
  EXPECT_EQ(Told(refusals), "++n");
  EXPECT_EQ(refusals[2]->retry_seconds(), 1);
  EXPECT_EQ(Told(store->Apply(Changes{Reserve("d"), Settle("a", 0), Reserve("e")})), "++n");
}

// Whatever a server has read of keys: what the store says now counts.
TEST_P(AccountStoreTest, AKeyThatOpensNothingReservesNothing) {
  const auto store = Open(StoreMode::kServe);
  ApiKey key = {.name = "mine", .expires = kNoon / 1000 + 1};
  key.id = store->AddKey(key, HashOf("sk-mine"));
  EXPECT_EQ(Told(store->Apply(
                Changes{Reserve("a"), Reserve("b", 0, 1, kNoon + 1000), Reserve("c", 0, 2)})),
            "+??");
  key.disabled = true;
  store->ChangeKey(key);
  EXPECT_EQ(Told(store->Apply(Changes{Reserve("d")})), "?");
  key.disabled = false;
  key.revoked = 5;
  store->ChangeKey(key);
  EXPECT_EQ(Told(store->Apply(Changes{Reserve("e"), Settle("a", 3)})), "?+");
  EXPECT_EQ(store->Use(1, 0).spent, 3);
}

TEST_P(AccountStoreTest, FiltersByTimeAndKey) {
  const auto store = Open(StoreMode::kServe);
  store->AddKey({.name = "one"}, HashOf("sk-one"));
  store->AddKey({.name = "two"}, HashOf("sk-two"));
  store->Apply(Changes{Reserve("c", 0, 1, 30), Reserve("a", 0, 1, 10), Reserve("b", 0, 2, 20)});
  const auto ids = [&](const LedgerFilter& filter) {
    std::string text;
    for (const LedgerRow& row : Rows(*store, filter)) text += row.id;
    return text;
  };
  EXPECT_EQ(ids({}), "abc");
  EXPECT_EQ(ids({.from = 10, .until = 30}), "ab");
  EXPECT_EQ(ids({.key = 1}), "ac");
  EXPECT_EQ(ids({.from = 11, .key = 1}), "c");
}

TEST_P(AccountStoreTest, WhereThereIsNoneItIsMadeOnlyIfWanted) {
  EXPECT_ERROR(Open(StoreMode::kExisting), "there is no");
  Open(StoreMode::kCreate);
  EXPECT_TRUE(Open(StoreMode::kExisting)->Keys().empty());
}

INSTANTIATE_TEST_SUITE_P(Stores, AccountStoreTest, testing::Bool(),
                         [](const auto& store) { return store.param ? "Postgres" : "Sqlite"; });

}  // namespace
}  // namespace fathom

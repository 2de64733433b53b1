// The ledger's thread over a store that the test holds up and lets fail.

#include "serve/accounts/ledger.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <latch>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/error.h"
#include "serve/accounts/accounts.h"

namespace fathom {
namespace {

using Kind = LedgerChange::Kind;

// Rows in memory. Commits wait while it is held, and fail while it is full.
class MemoryStore : public AccountStore {
 public:
  std::vector<std::pair<ApiKey, KeyHash>> Keys() override { return {}; }
  int64_t AddKey(const ApiKey&, const KeyHash&) override { return 0; }
  void ChangeKey(const ApiKey&) override {}
  MicroDollars Spent(int64_t, int64_t) override { return 0; }
  void ForEachRow(const LedgerFilter&, const std::function<void(const LedgerRow&)>&) override {}
  std::vector<LedgerRow> OpenRows() override {
    std::vector<LedgerRow> open;
    for (const auto& [id, row] : rows_) {
      if (row.outcome == Outcome::kOpen) open.push_back(row);
    }
    return open;
  }
  void Apply(std::span<const LedgerChange> changes) override {
    std::unique_lock lock(mutex_);
    ++entered_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return !held_; });
    if (full_) throw Error("ledger.db", "the disk is full");
    sizes_.push_back(changes.size());
    for (const auto& [kind, row] : changes) {
      if (kind == Kind::kReserve) {
        rows_[row.id] = row;
      } else if (kind == Kind::kMark) {
        rows_[row.id].tokens = row.tokens;
      } else {
        rows_[row.id] = row;
      }
    }
    changed_.notify_all();
  }

  void Hold(bool held) {
    const std::lock_guard lock(mutex_);
    held_ = held;
    changed_.notify_all();
  }
  void SetFull(bool full) {
    const std::lock_guard lock(mutex_);
    full_ = full;
  }
  void AwaitEntered(int times) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return entered_ >= times; });
  }
  // Until a row is as the test wants it.
  void Await(const std::string& id, const std::function<bool(const LedgerRow&)>& is) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return is(rows_[id]); });
  }
  std::vector<size_t> sizes() {
    const std::lock_guard lock(mutex_);
    return sizes_;
  }
  LedgerRow row(const std::string& id) {
    const std::lock_guard lock(mutex_);
    return rows_[id];
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, LedgerRow> rows_;
  std::vector<size_t> sizes_;  // of commits
  int entered_ = 0;
  bool held_ = false, full_ = false;
};

std::shared_ptr<TokenMeter> Meter() { return std::make_shared<TokenMeter>(); }

TEST(Ledger, WhatComesWhileItCommitsIsOneCommit) {
  MemoryStore store;
  std::latch done(101);
  Ledger ledger(store, std::chrono::hours(1));
  store.Hold(true);
  ledger.Reserve({.id = "first"}, Meter(), [&](bool durable) {
    EXPECT_TRUE(durable);
    done.count_down();
  });
  store.AwaitEntered(1);
  for (int i = 0; i < 100; ++i) {
    ledger.Reserve({.id = std::to_string(i)}, Meter(), [&](bool) { done.count_down(); });
  }
  store.Hold(false);
  done.wait();
  EXPECT_EQ(store.sizes(), (std::vector<size_t>{1, 100}));
}

TEST(Ledger, NobodyIsToldBeforeItIsDurable) {
  MemoryStore store;
  std::latch settled(1);
  std::atomic<bool> told = false;
  Ledger ledger(store, std::chrono::hours(1));
  ledger.Reserve({.id = "a"}, Meter(), [](bool) {});
  store.AwaitEntered(1);
  store.Hold(true);
  ledger.Settle({.id = "a", .outcome = Outcome::kDone}, [&] {
    told = true;
    settled.count_down();
  });
  store.AwaitEntered(2);
  EXPECT_FALSE(told);
  store.Hold(false);
  settled.wait();
  EXPECT_EQ(store.row("a").outcome, Outcome::kDone);
}

TEST(Ledger, ARowIsMarkedWhileItsRequestRuns) {
  MemoryStore store;
  Ledger ledger(store, std::chrono::milliseconds(1));
  const auto meter = Meter();
  ledger.Reserve({.id = "a"}, meter, [](bool) {});
  meter->Set({.cache_hit = 1, .cache_miss = 2, .output = 3});
  store.Await("a", [](const LedgerRow& row) { return row.tokens == TokenCounts{1, 2, 3}; });
  meter->Set({.cache_hit = 1, .cache_miss = 2, .output = 4});
  store.Await("a", [](const LedgerRow& row) { return row.tokens == TokenCounts{1, 2, 4}; });
  EXPECT_EQ(store.row("a").outcome, Outcome::kOpen);
}

TEST(Ledger, WhatWasLeftOpenIsSettledWithItsLastMark) {
  MemoryStore store;
  const LedgerRow left = {.id = "a", .prices = {1'000'000, 2'000'000, 3'000'000}};
  store.Apply(std::vector<LedgerChange>{{Kind::kReserve, left},
                                        {Kind::kMark, {.id = "a", .tokens = {10, 20, 30}}}});
  const Ledger ledger(store);
  EXPECT_EQ(store.row("a").outcome, Outcome::kInterrupted);
  EXPECT_EQ(store.row("a").cost, 10 + 40 + 90);
  EXPECT_GT(store.row("a").settled, 0);
}

TEST(Ledger, AFullDiskRefusesRequestsAndKeepsSettlements) {
  MemoryStore store;
  std::latch refused(1), settled(1);
  Ledger ledger(store, std::chrono::hours(1));
  ledger.Reserve({.id = "a"}, Meter(), [](bool durable) { EXPECT_TRUE(durable); });
  store.AwaitEntered(1);
  store.SetFull(true);
  ledger.Settle({.id = "a", .outcome = Outcome::kDone}, [&] { settled.count_down(); });
  ledger.Reserve({.id = "b"}, Meter(), [&](bool durable) {
    EXPECT_FALSE(durable);
    refused.count_down();
  });
  refused.wait();
  EXPECT_TRUE(ledger.statistics().failing);
  EXPECT_FALSE(settled.try_wait());
  store.SetFull(false);
  settled.wait();
  EXPECT_FALSE(ledger.statistics().failing);
  EXPECT_EQ(store.row("a").outcome, Outcome::kDone);
}

TEST(Accounts, ABillThatIsGivenUpIsSettledWithWhatItHad) {
  MemoryStore store;
  {
    Accounts accounts(&store, {1'000'000, 1'000'000, 2'000'000});
    std::latch reserved(1);
    {
      const Accounts::Opened opened =
          accounts.Open({.id = "a", .prompt_tokens = 10, .most_output = 100});
      accounts.WhenReserved(*opened.bill, [&](bool) { reserved.count_down(); });
      reserved.wait();
      EXPECT_EQ(store.row("a").reserved, 10 + 200);
      opened.bill->Note({.cache_hit = 4, .cache_miss = 6, .output = 7});
    }
  }
  EXPECT_EQ(store.row("a").outcome, Outcome::kCancelled);
  EXPECT_EQ(store.row("a").cost, 10 + 14);
}

}  // namespace
}  // namespace fathom

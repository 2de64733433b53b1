// The ledger's thread over a store that the test holds up and lets fail.

#include "serve/accounts/ledger.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <latch>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
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
  const std::string& name() const override { return name_; }
  KeyUse Use(int64_t, int64_t) override { return {}; }
  void ForEachRow(const LedgerFilter&, const std::function<void(const LedgerRow&)>&) override {}
  int64_t Tend(int64_t now) override {
    const std::lock_guard lock(mutex_);
    ++tended_;
    changed_.notify_all();
    if (full_) throw Error(name_, "the disk is full");
    int64_t count = 0;
    for (auto& [id, row] : rows_) {
      if (row.outcome != Outcome::kOpen || row.route != kLeft) continue;
      row = Interrupted(row, now);
      ++count;
    }
    changed_.notify_all();
    return count;
  }
  std::vector<Refusal> Apply(std::span<const LedgerChange> changes) override {
    std::unique_lock lock(mutex_);
    ++entered_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return !held_; });
    if (full_) throw Error(name_, "the disk is full");
    sizes_.push_back(changes.size());
    std::vector<Refusal> refusals(changes.size());
    for (size_t i = 0; i < changes.size(); ++i) {
      const auto& [kind, row] = changes[i];
      if (kind == Kind::kMark) {
        rows_[row.id].tokens = row.tokens;
      } else if (kind == Kind::kReserve && row.reserved > most_) {
        refusals[i] = AccessError(AccessError::Reason::kBudget, "too dear");
      } else {
        rows_[row.id] = row;
      }
    }
    changed_.notify_all();
    return refusals;
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
  void SetMost(MicroDollars most) {
    const std::lock_guard lock(mutex_);
    most_ = most;
  }
  void AwaitTended(int times) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return tended_ >= times; });
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

  // The route of rows whose server is no more.
  static constexpr const char* kLeft = "left";

 private:
  const std::string name_ = "ledger.db";
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, LedgerRow> rows_;
  std::vector<size_t> sizes_;  // of commits
  int entered_ = 0, tended_ = 0;
  MicroDollars most_ = INT64_MAX;  // that a request may reserve
  bool held_ = false, full_ = false;
};

// Marks and looks at no time that a test lasts, unless it says so.
LedgerOptions Options() {
  return {.mark_interval = std::chrono::hours(1), .look_interval = std::chrono::hours(1)};
}

std::shared_ptr<TokenMeter> Meter() { return std::make_shared<TokenMeter>(); }

TEST(Ledger, WhatComesWhileItCommitsIsOneCommit) {
  MemoryStore store;
  std::latch done(101);
  Ledger ledger(store, Options());
  store.Hold(true);
  ledger.Reserve({.id = "first"}, Meter(), [&](const Refusal& refusal) {
    EXPECT_FALSE(refusal);
    done.count_down();
  });
  store.AwaitEntered(1);
  for (int i = 0; i < 100; ++i) {
    ledger.Reserve({.id = std::to_string(i)}, Meter(), [&](const Refusal&) { done.count_down(); });
  }
  store.Hold(false);
  done.wait();
  EXPECT_EQ(store.sizes(), (std::vector<size_t>{1, 100}));
}

TEST(Ledger, NobodyIsToldBeforeItIsDurable) {
  MemoryStore store;
  std::latch settled(1);
  std::atomic<bool> told = false;
  Ledger ledger(store, Options());
  ledger.Reserve({.id = "a"}, Meter(), [](const Refusal&) {});
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
  LedgerOptions options = Options();
  options.mark_interval = std::chrono::milliseconds(1);
  Ledger ledger(store, options);
  const auto meter = Meter();
  ledger.Reserve({.id = "a"}, meter, [](const Refusal&) {});
  meter->Set({.cache_hit = 1, .cache_miss = 2, .output = 3});
  store.Await("a", [](const LedgerRow& row) { return row.tokens == TokenCounts{1, 2, 3}; });
  meter->Set({.cache_hit = 1, .cache_miss = 2, .output = 4});
  store.Await("a", [](const LedgerRow& row) { return row.tokens == TokenCounts{1, 2, 4}; });
  EXPECT_EQ(store.row("a").outcome, Outcome::kOpen);
}

TEST(Ledger, WhatServersLeaveOpenIsSettledAtItsStartAndLater) {
  MemoryStore store;
  const auto leave = [&](const std::string& id) {
    store.Apply(std::vector<LedgerChange>{
        {Kind::kReserve,
         {.id = id, .route = MemoryStore::kLeft, .prices = {1'000'000, 2'000'000, 3'000'000}}},
        {Kind::kMark, {.id = id, .tokens = {10, 20, 30}}}});
  };
  leave("a");
  LedgerOptions options = Options();
  options.look_interval = std::chrono::milliseconds(1);
  const Ledger ledger(store, options);
  EXPECT_EQ(store.row("a").outcome, Outcome::kInterrupted);
  EXPECT_EQ(store.row("a").cost, 10 + 40 + 90);
  EXPECT_GT(store.row("a").settled, 0);
  leave("b");
  store.Await("b", [](const LedgerRow& row) { return row.outcome == Outcome::kInterrupted; });
}

TEST(Ledger, AStoreThatIsGoneIsNoticedWithoutRequests) {
  MemoryStore store;
  LedgerOptions options = Options();
  options.look_interval = std::chrono::milliseconds(1);
  const Ledger ledger(store, options);
  store.SetFull(true);
  while (!ledger.statistics().failing) std::this_thread::yield();
  store.SetFull(false);
  while (ledger.statistics().failing) std::this_thread::yield();
}

TEST(Ledger, ItLooksWhenItIsAskedTo) {
  MemoryStore store;
  std::latch looked(1);
  LedgerOptions options = Options();
  options.look = [&] { looked.count_down(); };
  Ledger ledger(store, options);
  store.AwaitTended(1);
  EXPECT_FALSE(looked.try_wait());
  ledger.LookSoon();
  looked.wait();
  store.AwaitTended(2);
}

TEST(Ledger, WhatTheStoreRefusesIsNotOpen) {
  MemoryStore store;
  store.SetMost(10);
  std::latch told(2);
  Ledger ledger(store, Options());
  store.Hold(true);
  ledger.Reserve({.id = "a", .reserved = 11}, Meter(), [&](const Refusal& refusal) {
    ASSERT_TRUE(refusal);
    EXPECT_EQ(refusal->reason(), AccessError::Reason::kBudget);
    told.count_down();
  });
  ledger.Reserve({.id = "b", .reserved = 10}, Meter(), [&](const Refusal& refusal) {
    EXPECT_FALSE(refusal);
    told.count_down();
  });
  store.Hold(false);
  told.wait();
  EXPECT_EQ(ledger.statistics().open, 1);
  EXPECT_FALSE(ledger.statistics().failing);
}

TEST(Ledger, AFullDiskRefusesRequestsAndKeepsSettlements) {
  MemoryStore store;
  std::latch refused(1), settled(1);
  Ledger ledger(store, Options());
  ledger.Reserve({.id = "a"}, Meter(), [](const Refusal& refusal) { EXPECT_FALSE(refusal); });
  store.AwaitEntered(1);
  store.SetFull(true);
  ledger.Settle({.id = "a", .outcome = Outcome::kDone}, [&] { settled.count_down(); });
  ledger.Reserve({.id = "b"}, Meter(), [&](const Refusal& refusal) {
    ASSERT_TRUE(refusal);
    EXPECT_EQ(refusal->reason(), AccessError::Reason::kLedger);
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
      accounts.Reserve(*opened.bill, [&](const Refusal&) { reserved.count_down(); });
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

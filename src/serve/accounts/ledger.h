#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "serve/accounts/account_store.h"

namespace fathom {

// What a request has generated so far, told by the thread that generates, read by the ledger's.
class TokenMeter {
 public:
  void Set(const TokenCounts& tokens) {
    cache_hit_.store(tokens.cache_hit, std::memory_order_relaxed);
    cache_miss_.store(tokens.cache_miss, std::memory_order_relaxed);
    output_.store(tokens.output, std::memory_order_relaxed);
  }
  TokenCounts Get() const {
    return {cache_hit_.load(std::memory_order_relaxed), cache_miss_.load(std::memory_order_relaxed),
            output_.load(std::memory_order_relaxed)};
  }

 private:
  std::atomic<int64_t> cache_hit_{0}, cache_miss_{0}, output_{0};
};

struct LedgerOptions {
  // Between marks of the tokens of requests under way.
  std::chrono::milliseconds mark_interval{1000};
  // Between looks at what others have done: AccountStore::Tend, and `look`.
  std::chrono::milliseconds look_interval{2000};
  // Called on the ledger's thread; may throw Error; may be empty.
  std::function<void()> look = nullptr;
};

// Writes the ledger on a thread of its own. What comes while it commits goes into the next commit
// together, so that a thousand requests at a time cost a few commits and not a thousand.
//
// A row is reserved before its request starts and settled when it ends. In between, the tokens that
// it has come to are marked in the row once a mark interval: that is what a row is settled with
// when the server dies in between: by its next start, or by another server that shares the store.
// So a crash never makes a client pay for what it did not get, and loses at most what was generated
// since the last mark.
class Ledger {
 public:
  // Settles what an earlier server has left open. The store has to outlive it. Error when it fails.
  explicit Ledger(AccountStore& store, LedgerOptions options = {});
  // Commits what has been asked for.
  ~Ledger();
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  // Calls then on its thread: with nothing once the row is durable, or with why it is refused: its
  // key has no room, or it could not be written (kLedger). What was refused is settled by the
  // caller like any other: a commit whose end nobody saw may have left a row.
  void Reserve(LedgerRow row, std::shared_ptr<const TokenMeter> meter,
               std::function<void(const Refusal&)> then);
  // Calls then() once it is durable. While the store fails, it is tried again every second.
  void Settle(LedgerRow row, std::function<void()> then);
  // Looks at what others have done at once, on its thread.
  void LookSoon();

  struct Statistics {
    int64_t commits = 0, rows = 0;  // rows: changes that were committed
    int64_t open = 0;               // reserved and not settled
    double commit_seconds = 0;      // of all commits
    bool failing = false;           // the last commit failed, or the last look
  };
  Statistics statistics() const;

 private:
  struct Order {
    LedgerChange change;
    std::shared_ptr<const TokenMeter> meter;   // of a reservation
    std::function<void(const Refusal&)> then;  // may be empty
  };
  struct Open {
    std::shared_ptr<const TokenMeter> meter;
    TokenCounts marked;
  };

  using Clock = std::chrono::steady_clock;

  void Run();
  void Look();
  void AddMarks(std::vector<Order>& orders);
  void Commit(std::vector<Order> orders);
  void TakeOver(const std::vector<Order>& orders, const std::vector<Refusal>& refusals);
  // Keeps settlements for later and tells the others that they failed.
  void Fail(std::vector<Order> orders);
  // Whether commits (or looks) fail by now; says so when all was well before. error: why.
  void SetFailing(bool& which, bool fails, const char* error = "");

  AccountStore& store_;
  const LedgerOptions options_;
  std::map<std::string, Open> open_;  // by the rows' ids
  std::vector<Order> again_;          // settlements whose commit failed
  Clock::time_point marked_at_, looked_at_;
  bool commits_fail_ = false, looks_fail_ = false;

  mutable std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<Order> orders_;
  Statistics statistics_;
  bool look_ = false;  // soon
  bool stop_ = false;

  std::thread thread_;  // last: it uses all of the above
};

// Milliseconds since 1970.
int64_t NowMilliseconds();

}  // namespace fathom

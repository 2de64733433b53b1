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

// Writes the ledger on a thread of its own. What comes while it commits goes into the next commit
// together, so that a thousand requests at a time cost a few commits and not a thousand.
//
// A row is reserved before its request starts and settled when it ends. In between, the tokens that
// it has come to are marked in the row once a mark interval: that is what a row is settled with
// when the server dies in between. So a crash never makes a client pay for what it did not get, and
// loses at most what was generated since the last mark.
class Ledger {
 public:
  // Settles what an earlier server has left open. The store has to outlive it.
  explicit Ledger(AccountStore& store,
                  std::chrono::milliseconds mark_interval = std::chrono::milliseconds(1000));
  // Commits what has been asked for.
  ~Ledger();
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  // Calls then(true) on the ledger's thread once the row is durable, then(false) when it could not
  // be written; then there is no such row.
  void Reserve(LedgerRow row, std::shared_ptr<const TokenMeter> meter,
               std::function<void(bool)> then);
  // Calls then() once it is durable. While the store fails, it is tried again every second.
  void Settle(LedgerRow row, std::function<void()> then);

  struct Statistics {
    int64_t commits = 0, rows = 0;  // rows: changes that were committed
    int64_t open = 0;               // reserved and not settled
    double commit_seconds = 0;      // of all commits
    bool failing = false;           // the last commit failed
  };
  Statistics statistics() const;

 private:
  struct Order {
    LedgerChange change;
    std::shared_ptr<const TokenMeter> meter;  // of a reservation
    std::function<void(bool)> then;           // may be empty
  };
  struct Open {
    std::shared_ptr<const TokenMeter> meter;
    TokenCounts marked;
  };

  void Run();
  void AddMarks(std::vector<Order>& orders);
  void Commit(std::vector<Order> orders);
  void TakeOver(const std::vector<Order>& orders);
  // Keeps settlements for later and tells the others that they failed.
  void Fail(std::vector<Order> orders, const std::string& error);

  AccountStore& store_;
  const std::chrono::milliseconds mark_interval_;
  std::map<std::string, Open> open_;  // by the rows' ids
  std::vector<Order> again_;          // settlements whose commit failed
  std::chrono::steady_clock::time_point marked_at_;

  mutable std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<Order> orders_;
  Statistics statistics_;
  bool stop_ = false;

  std::thread thread_;  // last: it uses all of the above
};

// Milliseconds since 1970.
int64_t NowMilliseconds();

}  // namespace fathom

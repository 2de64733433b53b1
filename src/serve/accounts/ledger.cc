#include "serve/accounts/ledger.h"

#include <iterator>
#include <utility>

#include "base/error.h"
#include "base/log.h"

namespace fathom {
namespace {

using Clock = std::chrono::steady_clock;

// Between attempts to write what could not be written.
constexpr std::chrono::milliseconds kAgain{1000};

}  // namespace

int64_t NowMilliseconds() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

Ledger::Ledger(AccountStore& store, std::chrono::milliseconds mark_interval)
    : store_(store), mark_interval_(mark_interval), marked_at_(Clock::now()) {
  std::vector<LedgerChange> left;
  for (LedgerRow& row : store.OpenRows()) {
    row.settled = NowMilliseconds();
    row.outcome = Outcome::kInterrupted;
    row.cost = row.prices.Cost(row.tokens);
    left.push_back({LedgerChange::Kind::kSettle, std::move(row)});
  }
  if (!left.empty()) {
    store.Apply(left);
    spdlog::warn("{} requests that the last server left open are settled with what they had",
                 left.size());
  }
  thread_ = std::thread([this] { Run(); });
}

Ledger::~Ledger() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  arrived_.notify_all();
  thread_.join();
  if (!again_.empty()) {
    spdlog::error("{} requests could not be settled; the next start does it", again_.size());
  }
}

void Ledger::Reserve(LedgerRow row, std::shared_ptr<const TokenMeter> meter,
                     std::function<void(bool)> then) {
  const std::lock_guard lock(mutex_);
  orders_.push_back(
      {{LedgerChange::Kind::kReserve, std::move(row)}, std::move(meter), std::move(then)});
  arrived_.notify_one();
}

void Ledger::Settle(LedgerRow row, std::function<void()> then) {
  const std::lock_guard lock(mutex_);
  orders_.push_back(
      {{LedgerChange::Kind::kSettle, std::move(row)}, nullptr, [then = std::move(then)](bool) {
         if (then) then();
       }});
  arrived_.notify_one();
}

Ledger::Statistics Ledger::statistics() const {
  const std::lock_guard lock(mutex_);
  return statistics_;
}

void Ledger::Run() {
  for (bool stop = false; !stop;) {
    std::vector<Order> orders;
    {
      std::unique_lock lock(mutex_);
      const auto ready = [&] { return stop_ || !orders_.empty(); };
      if (!again_.empty()) {
        arrived_.wait_for(lock, kAgain, ready);
      } else if (!open_.empty()) {
        arrived_.wait_until(lock, marked_at_ + mark_interval_, ready);
      } else {
        arrived_.wait(lock, ready);
      }
      stop = stop_;
      orders.swap(orders_);
    }
    orders.insert(orders.begin(), std::make_move_iterator(again_.begin()),
                  std::make_move_iterator(again_.end()));
    again_.clear();
    AddMarks(orders);
    if (!orders.empty()) Commit(std::move(orders));
  }
}

void Ledger::AddMarks(std::vector<Order>& orders) {
  if (Clock::now() < marked_at_ + mark_interval_) return;
  marked_at_ = Clock::now();
  // Before the settlements, which are final.
  std::vector<Order> marks;
  for (const auto& [id, open] : open_) {
    const TokenCounts tokens = open.meter->Get();
    if (tokens == open.marked) continue;
    marks.push_back({{LedgerChange::Kind::kMark, {.id = id, .tokens = tokens}}, nullptr, nullptr});
  }
  orders.insert(orders.begin(), std::make_move_iterator(marks.begin()),
                std::make_move_iterator(marks.end()));
}

void Ledger::Commit(std::vector<Order> orders) {
  std::vector<LedgerChange> changes;
  changes.reserve(orders.size());
  for (const Order& order : orders) changes.push_back(order.change);
  const auto start = Clock::now();
  try {
    store_.Apply(changes);
  } catch (const Error& error) {
    Fail(std::move(orders), error.what());
    return;
  }
  TakeOver(orders);
  {
    const std::lock_guard lock(mutex_);
    ++statistics_.commits;
    statistics_.rows += std::ssize(changes);
    statistics_.commit_seconds += std::chrono::duration<double>(Clock::now() - start).count();
    statistics_.open = std::ssize(open_);
    statistics_.failing = false;
  }
  for (const Order& order : orders) {
    if (order.then) order.then(true);
  }
}

void Ledger::TakeOver(const std::vector<Order>& orders) {
  for (const Order& order : orders) {
    const LedgerRow& row = order.change.row;
    switch (order.change.kind) {
      case LedgerChange::Kind::kReserve:
        open_[row.id] = {order.meter, {}};
        break;
      case LedgerChange::Kind::kMark:
        if (const auto open = open_.find(row.id); open != open_.end()) {
          open->second.marked = row.tokens;
        }
        break;
      case LedgerChange::Kind::kSettle:
        open_.erase(row.id);
        break;
    }
  }
}

void Ledger::Fail(std::vector<Order> orders, const std::string& error) {
  bool was_failing;
  {
    const std::lock_guard lock(mutex_);
    was_failing = std::exchange(statistics_.failing, true);
  }
  if (!was_failing) spdlog::error("the ledger cannot be written: {}", error);
  for (Order& order : orders) {
    if (order.change.kind == LedgerChange::Kind::kSettle) {
      again_.push_back(std::move(order));
    } else if (order.then) {
      order.then(false);
    }
  }
}

}  // namespace fathom

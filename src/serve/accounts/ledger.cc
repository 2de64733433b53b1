#include "serve/accounts/ledger.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/error.h"
#include "base/log.h"

namespace fathom {
namespace {

// Between attempts to write what could not be written.
constexpr std::chrono::milliseconds kAgain{1000};

// When a client that was refused because the store fails may try again, in seconds.
constexpr int64_t kRetrySeconds = 5;

void LogInterrupted(int64_t requests) {
  if (requests == 0) return;
  spdlog::warn("{} requests that a server left open are settled with what they had", requests);
}

}  // namespace

int64_t NowMilliseconds() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

Ledger::Ledger(AccountStore& store, LedgerOptions options)
    : store_(store), options_(std::move(options)), marked_at_(Clock::now()) {
  LogInterrupted(store.Tend(NowMilliseconds()));
  looked_at_ = Clock::now();
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
    spdlog::error(
        "{} requests could not be settled; the next start does it, or another "
        "server",
        again_.size());
  }
}

void Ledger::Reserve(LedgerRow row, std::shared_ptr<const TokenMeter> meter,
                     std::function<void(const Refusal&)> then) {
  const std::lock_guard lock(mutex_);
  orders_.push_back(
      {{LedgerChange::Kind::kReserve, std::move(row)}, std::move(meter), std::move(then)});
  arrived_.notify_one();
}

void Ledger::Settle(LedgerRow row, std::function<void()> then) {
  const std::lock_guard lock(mutex_);
  orders_.push_back({{LedgerChange::Kind::kSettle, std::move(row)},
                     nullptr,
                     [then = std::move(then)](const Refusal&) {
                       if (then) then();
                     }});
  arrived_.notify_one();
}

void Ledger::LookSoon() {
  const std::lock_guard lock(mutex_);
  look_ = true;
  arrived_.notify_one();
}

Ledger::Statistics Ledger::statistics() const {
  const std::lock_guard lock(mutex_);
  return statistics_;
}

void Ledger::Run() {
  for (bool stop = false; !stop;) {
    std::vector<Order> orders;
    bool look;
    {
      std::unique_lock lock(mutex_);
      Clock::time_point until = looked_at_ + options_.look_interval;
      if (!open_.empty()) until = std::min(until, marked_at_ + options_.mark_interval);
      if (!again_.empty()) until = std::min(until, Clock::now() + kAgain);
      arrived_.wait_until(lock, until, [&] { return stop_ || look_ || !orders_.empty(); });
      stop = stop_;
      look = std::exchange(look_, false);
      orders.swap(orders_);
    }
    orders.insert(orders.begin(), std::make_move_iterator(again_.begin()),
                  std::make_move_iterator(again_.end()));
    again_.clear();
    AddMarks(orders);
    if (!orders.empty()) Commit(std::move(orders));
    if (look || Clock::now() >= looked_at_ + options_.look_interval) Look();
  }
}

void Ledger::Look() {
  try {
    LogInterrupted(store_.Tend(NowMilliseconds()));
    if (options_.look) options_.look();
    SetFailing(looks_fail_, false);
  } catch (const Error& error) {
    SetFailing(looks_fail_, true, error.what());
  }
  looked_at_ = Clock::now();
}

void Ledger::AddMarks(std::vector<Order>& orders) {
  if (Clock::now() < marked_at_ + options_.mark_interval) return;
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
  std::vector<Refusal> refusals;
  try {
    refusals = store_.Apply(changes);
  } catch (const Error& error) {
    SetFailing(commits_fail_, true, error.what());
    Fail(std::move(orders));
    return;
  }
  SetFailing(commits_fail_, false);
  TakeOver(orders, refusals);
  {
    const std::lock_guard lock(mutex_);
    ++statistics_.commits;
    statistics_.rows += std::ssize(changes);
    statistics_.commit_seconds += std::chrono::duration<double>(Clock::now() - start).count();
    statistics_.open = std::ssize(open_);
  }
  for (size_t i = 0; i < orders.size(); ++i) {
    if (orders[i].then) orders[i].then(refusals[i]);
  }
}

void Ledger::TakeOver(const std::vector<Order>& orders, const std::vector<Refusal>& refusals) {
  for (size_t i = 0; i < orders.size(); ++i) {
    if (refusals[i]) continue;
    const Order& order = orders[i];
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

void Ledger::Fail(std::vector<Order> orders) {
  const AccessError refusal(AccessError::Reason::kLedger, "the server cannot write its ledger",
                            kRetrySeconds);
  for (Order& order : orders) {
    if (order.change.kind == LedgerChange::Kind::kSettle) {
      again_.push_back(std::move(order));
    } else if (order.then) {
      order.then(refusal);
    }
  }
}

void Ledger::SetFailing(bool& which, bool fails, const char* error) {
  const bool did = commits_fail_ || looks_fail_;
  which = fails;
  const bool does = commits_fail_ || looks_fail_;
  if (did == does) return;
  if (does) {
    spdlog::error("the ledger cannot be written: {}", error);
  } else {
    spdlog::info("the ledger can be written again");
  }
  const std::lock_guard lock(mutex_);
  statistics_.failing = does;
}

}  // namespace fathom

#include "serve/accounts/accounts.h"

#include <utility>

namespace fathom {

Bill::Bill(Accounts& accounts, LedgerRow row) : accounts_(accounts), row_(std::move(row)) {}

Bill::~Bill() {
  if (!settled_) Settle(Outcome::kCancelled, nullptr);
}

std::optional<MicroDollars> Bill::CostOf(const TokenCounts& tokens) const {
  if (row_.prices == Prices{}) return std::nullopt;
  return row_.prices.Cost(tokens);
}

void Bill::Settle(Outcome outcome, std::function<void()> then) {
  settled_ = true;
  row_.outcome = outcome;
  row_.settled = NowMilliseconds();
  row_.tokens = meter_->Get();
  row_.cost = row_.prices.Cost(row_.tokens);
  accounts_.keys_.Return(row_.key, row_.reserved, row_.tokens.output, row_.cost);
  if (accounts_.ledger_ != nullptr) {
    accounts_.ledger_->Settle(std::move(row_), std::move(then));
  } else if (then) {
    then();
  }
}

Accounts::Accounts(AccountStore* store, const Prices& prices) : store_(store), prices_(prices) {
  if (store == nullptr) return;
  // First: it settles what was open, which belongs to what keys have spent.
  ledger_ = std::make_unique<Ledger>(*store);
  LoadKeys();
}

void Accounts::LoadKeys() {
  if (store_ == nullptr) return;
  keys_.Load(store_->Keys(),
             [this](int64_t key, int64_t from) { return store_->Spent(key, from); });
}

void Accounts::SetPrices(const Prices& prices) {
  const std::lock_guard lock(mutex_);
  prices_ = prices;
}

Accounts::Opened Accounts::Open(const BillRequest& request) {
  LedgerRow row{.id = request.id,
                .key = request.key,
                .route = request.route,
                .model = request.model,
                .created = NowMilliseconds()};
  {
    const std::lock_guard lock(mutex_);
    row.prices = prices_;
  }
  row.reserved =
      row.prices.Cost({.cache_miss = request.prompt_tokens, .output = request.most_output});
  // A hit may be the dearer of the two.
  row.reserved = std::max(row.reserved, row.prices.Cost({.cache_hit = request.prompt_tokens,
                                                         .output = request.most_output}));
  ApiKey key = keys_.Take(request.key, request.prompt_tokens, row.reserved);
  return {std::make_unique<Bill>(*this, std::move(row)), std::move(key)};
}

void Accounts::WhenReserved(const Bill& bill, std::function<void(bool)> then) {
  if (ledger_ == nullptr) {
    then(true);
  } else {
    ledger_->Reserve(bill.row_, bill.meter_, std::move(then));
  }
}

}  // namespace fathom

#include "serve/accounts/accounts.h"

#include <utility>

namespace fathom {

Bill::Bill(Accounts& accounts, LedgerRow row, int64_t prompt_tokens)
    : accounts_(accounts), row_(std::move(row)), prompt_tokens_(prompt_tokens) {}

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
  accounts_.keys_.Return(row_.key, row_.tokens.output);
  if (accounts_.ledger_ != nullptr) {
    accounts_.ledger_->Settle(std::move(row_), std::move(then));
  } else if (then) {
    then();
  }
}

Accounts::Accounts(AccountStore* store, const Prices& prices) : store_(store), prices_(prices) {
  if (store == nullptr) return;
  LoadKeys();
  ledger_ = std::make_unique<Ledger>(*store, LedgerOptions{.look = [this] { LoadKeys(); }});
}

void Accounts::LoadKeys() { keys_.Load(store_->Keys()); }

void Accounts::ReloadKeys() {
  if (ledger_ != nullptr) ledger_->LookSoon();
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
  ApiKey key = keys_.Take(request.key, request.prompt_tokens);
  return {std::make_unique<Bill>(*this, std::move(row), request.prompt_tokens), std::move(key)};
}

void Accounts::Reserve(const Bill& bill, std::function<void(const Refusal&)> then) {
  if (ledger_ == nullptr) {
    then({});
    return;
  }
  ledger_->Reserve(bill.row_, bill.meter_,
                   [this, key = bill.row_.key, prompt = bill.prompt_tokens_,
                    then = std::move(then)](const Refusal& refusal) {
                     if (refusal) keys_.GiveBack(key, prompt);
                     then(refusal);
                   });
}

}  // namespace fathom

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "serve/accounts/key_ring.h"
#include "serve/accounts/ledger.h"

namespace fathom {

class Accounts;

// What a request asks for, once its prompt is known.
struct BillRequest {
  std::string id;  // unique
  int64_t key = 0;
  std::string route, model;
  int64_t prompt_tokens = 0;
  int64_t most_output = 0;  // tokens of all its answers together
};

// A request that somebody pays for, from its admission to its end. Note is called by one thread at
// a time; destroyed without Settle, it settles what was noted as cancelled.
class Bill {
 public:
  Bill(Accounts& accounts, LedgerRow row, int64_t prompt_tokens);
  ~Bill();
  Bill(const Bill&) = delete;
  Bill& operator=(const Bill&) = delete;

  // What has been computed and generated so far.
  void Note(const TokenCounts& tokens) { meter_->Set(tokens); }
  // What those tokens cost; nothing where no prices are configured.
  std::optional<MicroDollars> CostOf(const TokenCounts& tokens) const;
  // The end. then: called once the row is durable, on the ledger's thread; without a ledger at
  // once. Called once.
  void Settle(Outcome outcome, std::function<void()> then);

 private:
  friend class Accounts;

  Accounts& accounts_;
  LedgerRow row_;
  const int64_t prompt_tokens_;
  const std::shared_ptr<TokenMeter> meter_ = std::make_shared<TokenMeter>();
  bool settled_ = false;
};

// Who may ask, who has asked, and what it costs: keys and their limits, prices, the ledger. From
// any thread.
class Accounts {
 public:
  // store: null: there are no keys and no ledger, and everybody may ask. It has to outlive this,
  // and this all bills.
  Accounts(AccountStore* store, const Prices& prices);

  // Takes over the store's keys soon, as a server does every few seconds anyway. What fails is
  // logged, and changes nothing.
  void ReloadKeys();
  // Of requests to come.
  void SetPrices(const Prices& prices);

  const KeyRing& keys() const { return keys_; }
  const Ledger* ledger() const { return ledger_.get(); }  // null: there is none

  struct Opened {
    std::unique_ptr<Bill> bill;
    ApiKey key;
  };
  // Admits a request, as far as this server can tell. AccessError when its key has no room for it.
  Opened Open(const BillRequest& request);
  // Reserves the most that it can cost, in the ledger. then: called once, with nothing when that is
  // durable (without a ledger at once): only then may anything be computed for it. Or with why it
  // is refused: its key has no room, counting all servers, or the ledger cannot be written.
  void Reserve(const Bill& bill, std::function<void(const Refusal&)> then);

 private:
  friend class Bill;

  void LoadKeys();

  AccountStore* store_;
  KeyRing keys_{NowMilliseconds};
  std::unique_ptr<Ledger> ledger_;
  std::mutex mutex_;
  Prices prices_;
};

}  // namespace fathom

#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "serve/accounts/account_store.h"
#include "serve/accounts/postgres.h"

namespace fathom {

// Keys and ledger in a PostgreSQL database, in its schema "fathom", for any number of servers.
//
// A server is alive while it has a session in the database: its number is drawn at its start, the
// session holds an advisory lock of that number, and rows have the number of the server that
// reserved them. A lock is free as soon as the process has ended, however it did, but also when
// only the connection was lost. So others settle the rows of a server once they have seen it
// without a session for a while, over one session of their own, which is time for it to come back
// after the database was restarted; and if it comes back later, its own word counts (MaySettle). No
// clocks are compared.
//
// A lost connection is made again when it is next needed. A server that has lost one takes the lock
// again before it does anything else, and so waits for the end of what it had begun there.
class PostgresStore : public AccountStore {
 public:
  struct Times {
    std::chrono::milliseconds answer{5000};  // what the database may take for one, of a server
    std::chrono::milliseconds gone{15000};   // without a session; longer than it takes to get one
  };

  // address: a URI. Error when the database cannot be reached, for another version's ledger, and,
  // where it is to exist, when there is none.
  PostgresStore(const std::string& address, StoreMode mode, const Times& times);
  PostgresStore(const std::string& address, StoreMode mode);
  ~PostgresStore() override;

  const std::string& name() const override { return name_; }
  std::vector<std::pair<ApiKey, KeyHash>> Keys() override;
  int64_t AddKey(const ApiKey& key, const KeyHash& hash) override;
  void ChangeKey(const ApiKey& key) override;
  std::vector<Refusal> Apply(std::span<const LedgerChange> changes) override;
  int64_t Tend(int64_t now) override;
  KeyUse Use(int64_t key, int64_t since) override;
  void ForEachRow(const LedgerFilter& filter,
                  const std::function<void(const LedgerRow&)>& row) override;

 private:
  using Clock = std::chrono::steady_clock;

  // mutex_ is held in all of them.
  std::unique_ptr<PostgresConnection> Connect();
  PostgresConnection& Session();
  // Work on the session; begun once more where nothing of it has happened: its connection broke
  // off before the commit, or it was in another's way.
  template <typename Work>
  auto With(const Work& work);
  int64_t SettleRowsOf(PostgresConnection& session, int64_t server, int64_t now);

  const std::string address_, name_;
  const StoreMode mode_;
  const Times times_;
  const int64_t server_;  // its number; 0 unless it serves
  std::mutex mutex_;
  std::unique_ptr<PostgresConnection> session_;
  // After a failed attempt to connect: when the next one may be, and how long that was put off.
  Clock::time_point next_attempt_;
  std::chrono::milliseconds put_off_{0};
  std::string failure_;
  // Servers with open rows and without a session, and since when they are seen so over this one.
  std::map<int64_t, Clock::time_point> absent_;
};

}  // namespace fathom

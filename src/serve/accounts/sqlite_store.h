#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "serve/accounts/account_store.h"

namespace fathom {

class SqliteDatabase;

// Keys and ledger in a SQLite file, in WAL mode: other processes can read and change keys and read
// the ledger while a server writes.
class SqliteStore : public AccountStore {
 public:
  // kServe: Error, too, while another server has the file: whose rows are open is not kept, and at
  // the start of a server all are left by one that is no more.
  SqliteStore(const std::filesystem::path& path, StoreMode mode);
  ~SqliteStore() override;

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
  struct Statements;
  void Prepare();
  // mutex_ is held in all of them.
  Refusal Reserve(const LedgerRow& row);
  void Mark(const LedgerRow& row);
  void Settle(const LedgerRow& row);
  std::optional<ApiKey> FindKey(int64_t id);
  KeyUse UseOf(int64_t key, int64_t since);

  const std::string name_;
  std::mutex mutex_;
  int lock_ = -1;        // the descriptor that says that a server is here
  bool tended_ = false;  // what is open is this server's
  std::unique_ptr<SqliteDatabase> database_;
  std::unique_ptr<Statements> statements_;  // those of every commit
};

}  // namespace fathom

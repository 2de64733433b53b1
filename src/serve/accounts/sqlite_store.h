#pragma once

#include <filesystem>
#include <memory>
#include <mutex>

#include "serve/accounts/account_store.h"

namespace fathom {

class SqliteDatabase;

// Keys and ledger in a SQLite file, in WAL mode: other processes can read and change keys and read
// the ledger while a server writes.
class SqliteStore : public AccountStore {
 public:
  enum class Open : uint8_t {
    kExisting,  // Error when there is no such file
    kCreate,    // makes it where there is none
    kServe,     // the same, and Error while another server has the file: it would settle what this
                // one has open
  };
  SqliteStore(const std::filesystem::path& path, Open open);
  ~SqliteStore() override;

  std::vector<std::pair<ApiKey, KeyHash>> Keys() override;
  int64_t AddKey(const ApiKey& key, const KeyHash& hash) override;
  void ChangeKey(const ApiKey& key) override;
  void Apply(std::span<const LedgerChange> changes) override;
  MicroDollars Spent(int64_t key, int64_t from) override;
  void ForEachRow(const LedgerFilter& filter,
                  const std::function<void(const LedgerRow&)>& row) override;
  std::vector<LedgerRow> OpenRows() override;

 private:
  struct Statements;
  void Prepare();
  void Read(class SqliteStatement& statement, const std::function<void(const LedgerRow&)>& row);

  const std::filesystem::path path_;
  std::mutex mutex_;
  int lock_ = -1;  // the descriptor that says that a server is here
  std::unique_ptr<SqliteDatabase> database_;
  std::unique_ptr<Statements> statements_;  // those of every commit
};

}  // namespace fathom

// What is SQLite's own; what all stores do is in account_store_test.cc.

#include "serve/accounts/sqlite_store.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/temporary_directory.h"
#include "serve/accounts/sqlite.h"

namespace fathom {
namespace {

using Kind = LedgerChange::Kind;

TEST(SqliteStore, FilesAreTheOwnersAndHaveNoKey) {
  const TemporaryDirectory directory;
  const std::string key = NewKey();
  SqliteStore store(directory / "ledger.db", StoreMode::kCreate);
  store.AddKey({.name = "mine"}, HashOf(key));
  for (const char* name : {"ledger.db", "ledger.db-wal"}) {
    EXPECT_EQ(ReadFile(directory / name).find(key.substr(3)), std::string::npos) << name;
  }
  struct stat status;
  ASSERT_EQ(stat((directory / "ledger.db").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
}

TEST(SqliteStore, OneServerAtATime) {
  const TemporaryDirectory directory;
  {
    SqliteStore server(directory / "ledger.db", StoreMode::kServe);
    EXPECT_ERROR(SqliteStore(directory / "ledger.db", StoreMode::kServe), "another server");
    EXPECT_EQ(SqliteStore(directory / "ledger.db", StoreMode::kExisting).Keys().size(), 0U);
  }
  SqliteStore(directory / "ledger.db", StoreMode::kServe);
}

TEST(SqliteStore, WhatIsOpenAtAServersStartIsLeftByAnother) {
  const TemporaryDirectory directory;
  const LedgerRow row = {.id = "a", .prices = {0, 0, 2'000'000}};
  {
    SqliteStore server(directory / "ledger.db", StoreMode::kServe);
    EXPECT_EQ(server.Tend(1), 0);
    server.Apply(std::vector<LedgerChange>{{Kind::kReserve, row},
                                           {Kind::kMark, {.id = "a", .tokens = {0, 0, 7}}}});
    EXPECT_EQ(server.Tend(2), 0);  // its own
  }
  SqliteStore server(directory / "ledger.db", StoreMode::kServe);
  EXPECT_EQ(server.Tend(3), 1);
  server.ForEachRow({}, [](const LedgerRow& read) {
    EXPECT_EQ(read.outcome, Outcome::kInterrupted);
    EXPECT_EQ(read.settled, 3);
  });
}

TEST(SqliteStore, RefusesWhatIsNoLedger) {
  const TemporaryDirectory directory;
  EXPECT_ERROR(SqliteStore(directory / "none.db", StoreMode::kExisting), "there is no such ledger");
  EXPECT_ERROR(SqliteStore(directory / "none" / "ledger.db", StoreMode::kCreate), "No such file");
  WriteFileAtomically(directory / "text.db", std::string(5000, 'x'));
  EXPECT_ERROR(SqliteStore(directory / "text.db", StoreMode::kCreate), "not a database");
}

TEST(SqliteStore, AFileOfVersion1IsSummedUp) {
  const TemporaryDirectory directory;
  // 30 November 2026, 23:59:59.999 UTC, and a millisecond later.
  constexpr int64_t kNovember = 1'796'083'199'999, kDecember = kNovember + 1;
  {
    SqliteStore store(directory / "ledger.db", StoreMode::kCreate);
    store.AddKey({.name = "mine"}, HashOf("sk-mine"));
    int64_t cost = 1;
    for (const int64_t created : {kNovember, kNovember, kDecember}) {
      const std::string id = std::to_string(cost);
      store.Apply(std::vector<LedgerChange>{
          {Kind::kReserve, {.id = id, .key = 1, .created = created}},
          {Kind::kSettle, {.id = id, .outcome = Outcome::kDone, .cost = cost}}});
      cost *= 10;
    }
    SqliteDatabase(directory / "ledger.db").Execute("DROP TABLE spending; PRAGMA user_version = 1");
  }
  SqliteStore store(directory / "ledger.db", StoreMode::kExisting);
  EXPECT_EQ(store.Use(1, 0).spent, 111);
  EXPECT_EQ(store.Use(1, kDecember).spent, 100);
  SqliteDatabase(directory / "ledger.db").Execute("PRAGMA user_version = 3");
  EXPECT_ERROR(SqliteStore(directory / "ledger.db", StoreMode::kExisting), "has version 3");
}

}  // namespace
}  // namespace fathom

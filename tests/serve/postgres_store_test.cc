// What is PostgreSQL's own: several servers, and a database that comes and goes. What all stores do
// is in account_store_test.cc.

#include "serve/accounts/postgres_store.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <latch>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/temporary_directory.h"
#include "serve/accounts/ledger.h"
#include "serve/accounts/postgres.h"
#include "serve/accounts/postgres_address.h"
#include "serve/lossy_proxy.h"
#include "serve/postgres_cluster.h"

namespace fathom {
namespace {

using Kind = LedgerChange::Kind;
using Changes = std::vector<LedgerChange>;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using test::PostgresCluster;

constexpr int64_t kNoon = 1'795'867'200'000;  // 28 November 2026, 12:00 UTC

// A server that takes others for dead as soon as it sees no session of theirs, or never.
constexpr PostgresStore::Times kAtOnce = {.answer = seconds(20), .gone = milliseconds(0)};
constexpr PostgresStore::Times kNever = {.answer = seconds(20), .gone = hours(1)};

LedgerChange Reserve(const std::string& id, MicroDollars most = 0, int64_t key = 0) {
  return {Kind::kReserve,
          {.id = id, .key = key, .created = kNoon, .prices = {0, 0, 2'000'000}, .reserved = most}};
}
LedgerChange Mark(const std::string& id, int64_t output) {
  return {Kind::kMark, {.id = id, .tokens = {.output = output}}};
}
LedgerChange Settle(const std::string& id, MicroDollars cost) {
  return {Kind::kSettle, {.id = id, .settled = kNoon + 1, .outcome = Outcome::kDone, .cost = cost}};
}

class PostgresStoreTest : public testing::Test {
 protected:
  PostgresCluster& cluster_ = PostgresCluster::Shared();
  const std::string address_ = cluster_.NewDatabase();

  std::string Sql(const std::string& statement) {
    return cluster_.Sql(PostgresCluster::DatabaseOf(address_), statement);
  }
  // "a done 5, b open 0", by id.
  std::string Rows() {
    std::string rows =
        Sql("SELECT string_agg(id || ' ' || outcome || ' ' || cost, ', ' ORDER BY id) "
            "FROM fathom.requests");
    rows.pop_back();
    return rows;
  }
  // Ends all sessions of servers, as a lost connection does.
  void CutOff() {
    Sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'fathom' "
        "AND datname = current_database()");
    while (Sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'fathom' "
               "AND datname = current_database()") != "0\n") {
    }
  }
};

TEST_F(PostgresStoreTest, SeveralServersTogetherDoNotOverspendABudget) {
  constexpr int kServers = 4, kRequests = 60;
  PostgresStore(address_, StoreMode::kCreate)
      .AddKey({.name = "mine", .limits = {.budget = 1000}}, HashOf("sk-mine"));
  std::atomic<int> admitted = 0;
  std::vector<std::thread> servers;
  for (int server = 0; server < kServers; ++server) {
    servers.emplace_back([&, server] {
      PostgresStore store(address_, StoreMode::kServe, kNever);
      for (int i = 0; i < kRequests; ++i) {
        const std::string id = std::to_string(server) + "-" + std::to_string(i);
        const auto refusals = store.Apply(Changes{Reserve(id, 10, 1), Reserve(id + "x", 10, 1)});
        for (const Refusal& refusal : refusals) admitted += refusal ? 0 : 1;
        // Half of them cost half of what they could.
        if (i % 2 == 0 && !refusals[0]) store.Apply(Changes{Settle(id, 5)});
      }
    });
  }
  for (std::thread& server : servers) server.join();
  PostgresStore store(address_, StoreMode::kExisting);
  const KeyUse use = store.Use(1, 0);
  EXPECT_EQ(use.spent + use.reserved, std::stoi(Sql("SELECT sum(CASE outcome WHEN 'open' "
                                                    "THEN reserved ELSE cost END) "
                                                    "FROM fathom.requests")));
  EXPECT_LE(use.spent + use.reserved, 1000);
  EXPECT_GT(use.spent + use.reserved, 990);  // and nobody was refused what was left
  EXPECT_EQ(Sql("SELECT count(*) FROM fathom.requests"), std::to_string(admitted) + "\n");
}

TEST_F(PostgresStoreTest, SeveralServersTogetherKeepToAKeysRequestsAtATime) {
  PostgresStore one(address_, StoreMode::kServe, kNever);
  PostgresStore other(address_, StoreMode::kServe, kNever);
  one.AddKey({.name = "mine", .limits = {.concurrency = 2}}, HashOf("sk-mine"));
  EXPECT_FALSE(one.Apply(Changes{Reserve("a", 0, 1)})[0]);
  EXPECT_FALSE(other.Apply(Changes{Reserve("b", 0, 1)})[0]);
  EXPECT_TRUE(other.Apply(Changes{Reserve("c", 0, 1)})[0]);
  one.Apply(Changes{Settle("a", 0)});
  EXPECT_FALSE(other.Apply(Changes{Reserve("d", 0, 1)})[0]);
}

TEST_F(PostgresStoreTest, RowsOfADeadServerAreSettledByAnother) {
  PostgresStore living(address_, StoreMode::kServe, kAtOnce);
  living.AddKey({.name = "mine"}, HashOf("sk-mine"));
  {
    PostgresStore dying(address_, StoreMode::kServe, kAtOnce);
    living.Apply(Changes{Reserve("mine", 100, 1)});
    dying.Apply(Changes{Reserve("his", 100, 1), Reserve("settled", 100, 1)});
    dying.Apply(Changes{Mark("his", 7), Settle("settled", 3)});
    // Both live.
    EXPECT_EQ(living.Tend(5), 0);
    EXPECT_EQ(dying.Tend(5), 0);
  }
  // The database may take a moment to notice.
  while (living.Tend(5) == 0) std::this_thread::yield();
  EXPECT_EQ(Rows(), "his interrupted 14, mine open 0, settled done 3");
  EXPECT_EQ(Sql("SELECT settled FROM fathom.requests WHERE id = 'his'"), "5\n");
  EXPECT_EQ(living.Use(1, 0).spent, 17);
  EXPECT_EQ(living.Use(1, 0).open, 1);
}

TEST_F(PostgresStoreTest, AServerThatWasCutOffComesBackInTime) {
  PostgresStore other(address_, StoreMode::kServe, kNever);
  PostgresStore server(address_, StoreMode::kServe, kNever);
  server.Apply(Changes{Reserve("a")});
  CutOff();
  EXPECT_EQ(other.Tend(5), 0);          // over a new session; it has just seen that one is missing
  server.Apply(Changes{Mark("a", 3)});  // over a new one, too
  PostgresStore hasty(address_, StoreMode::kServe, kAtOnce);
  EXPECT_EQ(hasty.Tend(5), 0);
  EXPECT_EQ(Rows(), "a open 0");
}

TEST_F(PostgresStoreTest, AServerThatWasTakenForDeadHasTheLastWord) {
  PostgresStore server(address_, StoreMode::kServe, kNever);
  server.AddKey({.name = "mine"}, HashOf("sk-mine"));
  server.Apply(Changes{Reserve("a", 100, 1), Reserve("b", 100, 1)});
  server.Apply(Changes{Mark("a", 3), Mark("b", 3)});
  CutOff();
  PostgresStore hasty(address_, StoreMode::kServe, kAtOnce);
  EXPECT_EQ(hasty.Tend(5), 2);
  EXPECT_EQ(Rows(), "a interrupted 6, b interrupted 6");
  server.Apply(Changes{Mark("a", 4), Settle("b", 20)});
  EXPECT_EQ(Rows(), "a interrupted 6, b done 20");
  EXPECT_EQ(server.Use(1, 0).spent, 26);
}

TEST_F(PostgresStoreTest, AServerHasOneSession) {
  PostgresStore server(address_, StoreMode::kServe, kNever);
  server.Apply(Changes{Reserve("a")});
  // What looks like its earlier session, which the database does not know to be lost.
  const std::string number = Sql("SELECT server FROM fathom.requests");
  PostgresConnection earlier(address_, milliseconds(0));
  CutOff();
  PostgresConnection later(address_, milliseconds(0));
  later.Run("SELECT pg_advisory_lock($1::bigint)", {number.substr(0, number.size() - 1)});
  server.Apply(Changes{Mark("a", 1)});
  EXPECT_ERROR(later.Execute("SELECT 1"), "terminating connection");
  EXPECT_TRUE(later.is_lost());
}

// The connection is lost after the commit and before anybody is told of it.
TEST_F(PostgresStoreTest, ACommitInDoubtIsNotMadeTwice) {
  test::LossyProxy proxy(cluster_.Socket());
  PostgresStore server(fmt::format("postgresql://fathom:hush%3Ahush%4042@127.0.0.1:{}/{}",
                                   proxy.port(), PostgresCluster::DatabaseOf(address_)),
                       StoreMode::kServe, kNever);
  server.AddKey({.name = "mine", .limits = {.concurrency = 1}}, HashOf("sk-mine"));
  const std::string commit("COMMIT", 7);  // as it is sent, with its end
  proxy.Arm(commit);
  EXPECT_ERROR(server.Apply(Changes{Reserve("a", 10, 1)}), "server closed the connection");
  EXPECT_EQ(Rows(), "a open 0");
  // As the ledger does it: the client was refused, and its bill is settled.
  proxy.Arm(commit);
  EXPECT_ERROR(server.Apply(Changes{Settle("a", 3)}), "server closed the connection");
  server.Apply(Changes{Settle("a", 3)});
  EXPECT_EQ(Rows(), "a done 3");
  EXPECT_EQ(server.Use(1, 0).spent, 3);
  // Before the commit nothing has happened, and it is done over another connection.
  proxy.Arm("INSERT INTO requests");
  EXPECT_FALSE(server.Apply(Changes{Reserve("b", 10, 1)})[0]);
  EXPECT_EQ(Rows(), "a done 3, b open 0");
}

TEST_F(PostgresStoreTest, ServersThatStartTogetherMakeOneLedger) {
  std::vector<std::thread> servers;
  std::latch start(8);
  for (int i = 0; i < 8; ++i) {
    servers.emplace_back([&, i] {
      start.arrive_and_wait();
      try {
        PostgresStore store(address_, StoreMode::kServe, kNever);
        store.Apply(Changes{Reserve(std::to_string(i))});
      } catch (const Error& error) {
        ADD_FAILURE() << error.what();
      }
    });
  }
  for (std::thread& server : servers) server.join();
  EXPECT_EQ(Sql("SELECT count(*) FROM fathom.requests"), "8\n");
  EXPECT_EQ(Sql("SELECT version FROM fathom.ledger"), "1\n");
}

TEST_F(PostgresStoreTest, AnotherVersionsLedgerIsLeftAlone) {
  PostgresStore(address_, StoreMode::kCreate);
  Sql("UPDATE fathom.ledger SET version = 2");
  EXPECT_ERROR(PostgresStore(address_, StoreMode::kServe), "has version 2");
  EXPECT_ERROR(PostgresStore(address_, StoreMode::kExisting), "has version 2");
}

TEST_F(PostgresStoreTest, WhoMayOnlyReadCanReport) {
  PostgresStore(address_, StoreMode::kServe).Apply(Changes{Reserve("a")});
  const std::string database = PostgresCluster::DatabaseOf(address_);
  Sql("CREATE ROLE " + database + " LOGIN PASSWORD 'reader'; GRANT USAGE ON SCHEMA fathom TO " +
      database + "; GRANT SELECT ON ALL TABLES IN SCHEMA fathom TO " + database);
  PostgresStore reader(cluster_.Address(database + ":reader", database), StoreMode::kExisting);
  std::string ids;
  reader.ForEachRow({}, [&](const LedgerRow& row) { ids += row.id; });
  EXPECT_EQ(ids, "a");
  EXPECT_ERROR(reader.AddKey({.name = "mine"}, {}), "permission denied");
}

TEST_F(PostgresStoreTest, ARowThatBreaksOffIsNotTakenForTheNextAnswer) {
  PostgresStore store(address_, StoreMode::kServe, kNever);
  store.Apply(Changes{Reserve("a"), Reserve("b")});
  EXPECT_THROW(store.ForEachRow({}, [](const LedgerRow&) { throw std::runtime_error("full"); }),
               std::runtime_error);
  EXPECT_EQ(store.Keys().size(), 0U);
  EXPECT_EQ(store.Use(0, 0).open, 2);
}

TEST_F(PostgresStoreTest, NobodyWaitsForALockForLong) {
  PostgresStore server(address_, StoreMode::kServe, {.answer = milliseconds(500)});
  server.AddKey({.name = "mine"}, HashOf("sk-mine"));
  PostgresConnection other(address_, milliseconds(0));
  other.Execute("BEGIN; SELECT * FROM fathom.keys FOR UPDATE");
  EXPECT_ERROR(server.Apply(Changes{Reserve("a", 0, 1)}), "lock timeout");
  other.Execute("ROLLBACK");
  EXPECT_FALSE(server.Apply(Changes{Reserve("a", 0, 1)})[0]);
  EXPECT_EQ(Rows(), "a open 0");
}

TEST_F(PostgresStoreTest, AnAnswerThatDoesNotComeEndsTheConnection) {
  PostgresConnection connection(address_, milliseconds(100));
  EXPECT_ERROR(connection.Execute("SELECT pg_sleep(60)"), "has not answered for 100 ms");
  EXPECT_TRUE(connection.is_lost());
  EXPECT_TRUE(connection.is_late());
}

TEST_F(PostgresStoreTest, AServerThatNeverSaysAnythingIsGivenUp) {
  const int listening = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in here = {.sin_family = AF_INET};
  here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(here);
  ASSERT_EQ(bind(listening, reinterpret_cast<sockaddr*>(&here), size), 0);
  ASSERT_EQ(listen(listening, 1), 0);
  getsockname(listening, reinterpret_cast<sockaddr*>(&here), &size);
  const std::string address =
      fmt::format("postgresql://a:secret@127.0.0.1:{}/b?connect_timeout=2", ntohs(here.sin_port));
  EXPECT_ERROR(PostgresStore(address, StoreMode::kServe), "timeout expired");
  close(listening);
}

TEST_F(PostgresStoreTest, APasswordMayComeFromTheEnvironment) {
  const std::string address = cluster_.Address("fathom", PostgresCluster::DatabaseOf(address_));
  unsetenv("PGPASSWORD");
  EXPECT_ERROR(PostgresStore(address, StoreMode::kCreate), "no password supplied");
  setenv("PGPASSWORD", PostgresCluster::kPassword, 1);
  EXPECT_TRUE(PostgresStore(address, StoreMode::kCreate).Keys().empty());
  unsetenv("PGPASSWORD");
}

TEST_F(PostgresStoreTest, ErrorsHaveNoPassword) {
  const std::string database = PostgresCluster::DatabaseOf(address_);
  const std::vector<std::string> wrong = {
      cluster_.Address("fathom:hush%3Awrong", database),
      cluster_.Address("fathom:hush%3Ahush%4042", "none"),
      "postgresql://fathom:hush%zz@localhost/x",
      "postgresql://fathom:hush@[::1/x",
      "postgresql://fathom@localhost/x?password=hush&nothing=1",
      "postgres://fathom:hush@127.0.0.1:1/x",
      "postgres://fathom:hush/1@127.0.0.1/x",
      "postgres://fathom:1/hush@127.0.0.1/x",
      "postgres://fathom:a@hush@127.0.0.1/x",
  };
  for (const std::string& address : wrong) {
    try {
      PostgresStore store(address, StoreMode::kServe);
      ADD_FAILURE() << address;
    } catch (const Error& error) {
      EXPECT_EQ(std::string(error.what()).find("hush"), std::string::npos) << error.what();
    }
  }
}

TEST(PostgresAddress, IsShownWithoutWhatIsSecret) {
  EXPECT_TRUE(IsPostgresAddress("postgresql:///x"));
  EXPECT_TRUE(IsPostgresAddress("postgres://h/x"));
  EXPECT_FALSE(IsPostgresAddress("postgres.db"));
  EXPECT_FALSE(IsPostgresAddress("/postgresql://x"));
  EXPECT_EQ(
      ShownAddress("postgres://me:secret@db.example:5433/ledger?sslpassword=x&sslmode=require"),
      "postgresql://me@db.example:5433/ledger");
  EXPECT_EQ(ShownAddress("postgresql:///ledger?password=x"), "postgresql:///ledger");
}

// With a database of its own, which goes and comes back.
TEST(PostgresRestart, ALedgerRefusesRequestsMeanwhileAndKeepsSettlements) {
  PostgresCluster cluster;
  const std::string address = cluster.NewDatabase();
  PostgresStore store(address, StoreMode::kServe);
  Ledger ledger(store, {.look_interval = milliseconds(1)});
  const auto reserve = [&](const std::string& id) {
    std::latch told(1);
    Refusal refusal;
    ledger.Reserve(Reserve(id).row, std::make_shared<TokenMeter>(), [&](const Refusal& why) {
      refusal = why;
      told.count_down();
    });
    told.wait();
    return refusal;
  };
  EXPECT_FALSE(reserve("a"));
  cluster.Stop();
  while (!ledger.statistics().failing) std::this_thread::yield();
  std::latch settled(1);
  ledger.Settle(Settle("a", 5).row, [&] { settled.count_down(); });
  const Refusal refusal = reserve("b");
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->reason(), AccessError::Reason::kLedger);
  EXPECT_FALSE(settled.try_wait());
  cluster.Start();
  settled.wait();
  while (ledger.statistics().failing) std::this_thread::yield();
  EXPECT_FALSE(reserve("c"));
  std::string rows;
  PostgresStore(address, StoreMode::kExisting).ForEachRow({}, [&](const LedgerRow& row) {
    rows += fmt::format("{} {} {}, ", row.id, Name(row.outcome), row.cost);
  });
  EXPECT_EQ(rows, "a done 5, c open 0, ");
}

}  // namespace
}  // namespace fathom

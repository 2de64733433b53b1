// Several servers with one ledger, in PostgreSQL. FATHOM_KILL_ROUNDS: how often one of them is
// killed (`make test-long`).

#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/file.h"
#include "e2e/seen_answers.h"
#include "e2e/serve_fixture.h"
#include "serve/postgres_cluster.h"

namespace fathom::test {
namespace {

class SharedLedgerTest : public ServeTest {
 protected:
  // One of the servers.
  struct Replica {
    TemporaryDirectory directory;
    std::unique_ptr<Process> process;
    uint16_t port = 0;
  };

  std::string Ledger() const override { return ledger_; }
  void Start(Replica& replica, std::vector<std::string> options = {}) {
    options.insert(options.begin(),
                   {"serve", Path("model"), "--port", "0", "--quiet", "--ledger", Ledger()});
    replica.process = std::make_unique<Process>(replica.directory.path(), options);
    replica.port = replica.process->AwaitPort();
    ASSERT_NE(replica.port, 0) << replica.process->Err();
  }
  static int StatusOf(const Replica& replica, const std::string& path, const std::string& key) {
    Client client(replica.port);
    client.Send(Get(path, key.empty() ? "" : "Authorization: Bearer " + key + "\r\n"));
    return Status(client.Receive());
  }
  // Clients of a server, who ask until they are told to stop, or it is gone.
  void StartClients(const Replica& replica, int count) {
    for (int i = 0; i < count; ++i) {
      clients_.emplace_back([this, port = replica.port, i] {
        for (uint32_t tokens = 1 + static_cast<uint32_t>(i); !stop_; tokens = 1 + tokens * 7 % 40) {
          Client client(port);
          if (!client.connected()) return;
          if (const auto told = AskForStream(client, Headers(), tokens)) {
            seen_.Add(told->first, told->second);
          }
        }
      });
    }
  }
  void AwaitSeen(size_t count) {
    while (seen_.tokens().size() < count) std::this_thread::yield();
  }
  void StopClients() {
    stop_ = true;
    for (std::thread& client : clients_) client.join();
    clients_.clear();
  }
  int64_t Open() {
    return std::stoll(cluster_.Sql(PostgresCluster::DatabaseOf(ledger_),
                                   "SELECT count(*) FROM fathom.requests WHERE outcome = 'open'"));
  }
  void ExpectNoPassword(const Replica& replica) const {
    EXPECT_FALSE(Has(replica.process->Err(), "hush")) << replica.process->Err();
    EXPECT_FALSE(Has(replica.process->Out(), "hush"));
  }

  PostgresCluster cluster_;
  const std::string ledger_ = cluster_.NewDatabase();
  Replica one_, other_;
  Seen seen_;
  std::atomic<bool> stop_ = false;
  std::vector<std::thread> clients_;
};

TEST_F(SharedLedgerTest, KeysAreThoseOfAllServersAndNobodyIsToldThePassword) {
  const std::string alice = CreateKey("alice");
  Start(one_);
  Start(other_);
  for (const Replica* replica : {&one_, &other_}) {
    EXPECT_EQ(StatusOf(*replica, "/v1/models", ""), 401);
    EXPECT_EQ(StatusOf(*replica, "/v1/models", alice), 200);
  }
  Client client(one_.port);
  key_ = alice;
  EXPECT_TRUE(AskForStream(client, Headers(), 3));
  EXPECT_EQ(Run({"keys", "change", "alice", "--budget", "5", "--ledger", Ledger()}), 0);
  const json listed = RunJson({"keys", "list", "--ledger", Ledger(), "--json"});
  EXPECT_EQ(listed["keys"][0]["budget_dollars"], "5.00");
  EXPECT_EQ(Run({"keys", "revoke", "alice", "--ledger", Ledger()}), 0);
  const std::string bob = CreateKey("bob");
  for (const Replica* replica : {&one_, &other_}) {
    // At once, where it would cost something; otherwise in a few seconds.
    Client late(replica->port);
    std::string answer;
    EXPECT_FALSE(AskForStream(late, Headers(), 3, &answer));
    EXPECT_EQ(Status(answer), 401) << answer;
    while (StatusOf(*replica, "/v1/models", bob) != 200) std::this_thread::yield();
    EXPECT_EQ(StatusOf(*replica, "/v1/models", alice), 401);
  }
  const json audit = RunJson({"ledger", "audit", "--ledger", Ledger(), "--json"});
  EXPECT_EQ(audit["keys"][0]["key"], "alice");
  EXPECT_EQ(audit["keys"][0]["output_tokens"], 3);
  EXPECT_EQ(ExportLedger().size(), 1U);
  ExpectNoPassword(one_);
  cluster_.Stop();
  Process unreachable(own_.path(), {"keys", "list", "--ledger", Ledger()});
  EXPECT_EQ(unreachable.Status(), 1);
  EXPECT_TRUE(Has(unreachable.Err(), "postgresql://fathom@")) << unreachable.Err();
  EXPECT_FALSE(Has(unreachable.Err(), "hush")) << unreachable.Err();
}

TEST_F(SharedLedgerTest, TwoServersTogetherDoNotOverspendABudget) {
  // A request costs as many millionths of a dollar as it has tokens: there is money for 100.
  constexpr int kTokens = 5, kPaid = 100;
  key_ = CreateKey("alice", {"--budget", "0.0005"});
  const std::string config = (own_ / "serve.toml").string();
  WriteFileAtomically(config, "[prices]\noutput = 1.0\n");
  Start(one_, {"--config", config});
  Start(other_, {"--config", config});
  std::atomic<int> answered = 0;
  for (int i = 0; i < 12; ++i) {
    const uint16_t port = i % 2 == 0 ? one_.port : other_.port;
    clients_.emplace_back([&, port] {
      std::string refused;
      while (refused.empty()) {
        Client client(port);
        answered += AskForStream(client, Headers(), kTokens, &refused) ? 1 : 0;
      }
      EXPECT_EQ(Status(refused), 429) << refused;
      EXPECT_TRUE(Has(refused, "insufficient_quota")) << refused;
    });
  }
  StopClients();
  EXPECT_EQ(answered, kPaid);
  const json listed = RunJson({"keys", "list", "--ledger", Ledger(), "--json"});
  EXPECT_EQ(listed["keys"][0]["spent_dollars"], "0.0005");
  EXPECT_EQ(ExportLedger().size(), static_cast<size_t>(kPaid));
}

TEST_F(SharedLedgerTest, AKilledServersRowsAreSettledByTheOther) {
  key_ = CreateKey("alice");
  Start(one_);
  Start(other_);
  StartClients(one_, 6);
  StartClients(other_, 6);
  AwaitSeen(30);
  const char* rounds = std::getenv("FATHOM_KILL_ROUNDS");
  const int count = rounds == nullptr ? 3 : std::atoi(rounds);
  for (int round = 0; round < count; ++round) {
    Replica& victim = round % 2 == 0 ? one_ : other_;
    victim.process->Signal(SIGKILL);
    EXPECT_EQ(victim.process->Status(), -SIGKILL);
    AwaitSeen(seen_.tokens().size() + 20);
    if (round + 1 == count) break;
    Start(victim);
    StartClients(victim, 6);
    AwaitSeen(seen_.tokens().size() + 20);
  }
  StopClients();
  // Answers of the other have ended; what is open was a killed one's.
  while (Open() > 0) std::this_thread::yield();
  size_t interrupted = 0;
  const auto rows = ExportLedger();
  for (const auto& row : rows) interrupted += row.at("outcome") == "interrupted" ? 1 : 0;
  EXPECT_GT(interrupted, 0U);
  ExpectSettledOnce(seen_, rows);
  Replica& living = count % 2 == 0 ? one_ : other_;
  living.process->Signal(SIGTERM);
  EXPECT_EQ(living.process->Status(), 0);
  ExpectNoPassword(living);
}

TEST_F(SharedLedgerTest, ADatabaseThatRestartsLosesNothing) {
  key_ = CreateKey("alice");
  Start(one_);
  Start(other_);
  StartClients(one_, 4);
  StartClients(other_, 4);
  AwaitSeen(40);
  cluster_.Stop();
  for (const Replica* replica : {&one_, &other_}) {
    while (StatusOf(*replica, "/health", "") != 503) std::this_thread::yield();
    Client client(replica->port);
    std::string answer;
    EXPECT_FALSE(AskForStream(client, Headers(), 3, &answer));
    EXPECT_EQ(Status(answer), 503);
    EXPECT_TRUE(Has(answer, "ledger_unavailable")) << answer;
  }
  const size_t before = seen_.tokens().size();
  cluster_.Start();
  for (const Replica* replica : {&one_, &other_}) {
    while (StatusOf(*replica, "/health", "") != 200) std::this_thread::yield();
  }
  AwaitSeen(before + 40);
  StopClients();
  for (Replica* replica : {&one_, &other_}) {
    replica->process->Signal(SIGTERM);
    EXPECT_EQ(replica->process->Status(), 0);
    ExpectNoPassword(*replica);
  }
  ExpectSettledOnce(seen_, ExportLedger());
}

}  // namespace
}  // namespace fathom::test

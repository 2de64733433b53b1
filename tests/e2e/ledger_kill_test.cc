// `kill -9` of a server under load: what clients were told is in its ledger, once, and nothing
// stays open. FATHOM_KILL_ROUNDS: how often (`make test-long`).

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "e2e/seen_answers.h"
#include "e2e/serve_fixture.h"

namespace fathom::test {
namespace {

class LedgerKillTest : public ServeTest {
 protected:
  // Asks until the server is gone; kills it at the `last`-th answer of all clients.
  void AskUntilKilled(size_t last, uint32_t seed, Seen& seen) {
    std::minstd_rand random(seed);
    for (;;) {
      Client client(port_);
      if (!client.connected()) return;
      const auto told = AskForStream(client, Headers(), 1 + random() % 40);
      if (!told) return;
      const size_t count = seen.Add(told->first, told->second);
      if (count == last) server_->Signal(SIGKILL);
    }
  }
};

TEST_F(LedgerKillTest, WhatClientsSawIsSettledOnce) {
  const char* rounds = std::getenv("FATHOM_KILL_ROUNDS");
  const int count = rounds == nullptr ? 10 : std::atoi(rounds);
  constexpr uint32_t kClients = 12;
  key_ = CreateKey("alice");
  Seen seen;
  std::minstd_rand random(7);
  for (int round = 0; round < count; ++round) {
    Serve({"--ledger", Ledger()});
    const size_t last = seen.tokens().size() + 1 + random() % 40;
    std::vector<std::thread> clients;
    for (uint32_t i = 0; i < kClients; ++i) {
      const auto seed = static_cast<uint32_t>(random());
      clients.emplace_back([this, last, seed, &seen] { AskUntilKilled(last, seed, seen); });
    }
    for (std::thread& client : clients) client.join();
    EXPECT_EQ(server_->Status(), -SIGKILL);
  }
  Serve({"--ledger", Ledger()});
  server_->Signal(SIGTERM);
  EXPECT_EQ(server_->Status(), 0);
  size_t interrupted = 0;
  const auto rows = ExportLedger();
  for (const auto& row : rows) interrupted += row.at("outcome") == "interrupted" ? 1 : 0;
  EXPECT_GT(interrupted, 0U);
  ASSERT_GE(seen.tokens().size(), static_cast<size_t>(count));
  ExpectSettledOnce(seen, rows);
}

}  // namespace
}  // namespace fathom::test

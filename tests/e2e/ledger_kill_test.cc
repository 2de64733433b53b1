// `kill -9` of a server under load: what clients were told is in its ledger, once, and nothing
// stays open. FATHOM_KILL_ROUNDS: how often (`make test-long`).

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "e2e/serve_fixture.h"

namespace fathom::test {
namespace {

// Streams that its clients saw whole, by id: the tokens that they were told of.
class Seen {
 public:
  // Returns how many there are.
  size_t Add(const std::string& id, int64_t tokens) {
    const std::lock_guard lock(mutex_);
    tokens_[id] = tokens;
    return tokens_.size();
  }
  std::map<std::string, int64_t> tokens() const {
    const std::lock_guard lock(mutex_);
    return tokens_;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, int64_t> tokens_;
};

class LedgerKillTest : public ServeTest {
 protected:
  // Asks until the server is gone; kills it at the `last`-th answer of all clients.
  void AskUntilKilled(size_t last, uint32_t seed, Seen& seen) {
    std::minstd_rand random(seed);
    for (;;) {
      Client client(port_);
      if (!client.connected()) return;
      const json request = {{"prompt", "class Error"},
                            {"max_tokens", 1 + random() % 40},
                            {"ignore_eos", true},
                            {"stream", true},
                            {"stream_options", {{"include_usage", true}}}};
      client.Send(Post("/v1/completions", request.dump(), Headers()));
      const std::string text = client.ReceiveUntil("[DONE]");
      if (!Has(text, "[DONE]")) return;
      const size_t usage = text.rfind("data: {");
      const json event = json::parse(text.substr(usage + 6, text.find("\n\n", usage) - usage - 6));
      const size_t count = seen.Add(event["id"], event["usage"]["completion_tokens"]);
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
  std::map<std::string, std::map<std::string, std::string>> rows;
  size_t interrupted = 0;
  for (auto& row : ExportLedger()) {
    EXPECT_NE(row.at("outcome"), "open");
    EXPECT_FALSE(row.at("settled").empty());
    interrupted += row.at("outcome") == "interrupted" ? 1 : 0;
    EXPECT_TRUE(rows.emplace(row.at("id"), row).second) << row.at("id");
  }
  EXPECT_GT(interrupted, 0U);
  ASSERT_GE(seen.tokens().size(), static_cast<size_t>(count));
  for (const auto& [id, tokens] : seen.tokens()) {
    ASSERT_TRUE(rows.contains(id)) << id;
    EXPECT_EQ(rows[id].at("outcome"), "done") << id;
    EXPECT_EQ(rows[id].at("output_tokens"), std::to_string(tokens)) << id;
  }
}

}  // namespace
}  // namespace fathom::test

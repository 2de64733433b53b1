// Keys, limits and the ledger of `fathom serve`.

#include <gtest/gtest.h>

#include <csignal>
#include <string>
#include <thread>

#include "base/file.h"
#include "e2e/serve_fixture.h"

namespace fathom::test {
namespace {

class ServeAccessTest : public ServeTest {
 protected:
  // GET, with a key or without.
  std::string GetAs(const std::string& path, const std::string& key) const {
    Client client(port_);
    client.Send(Get(path, key.empty() ? "" : "Authorization: Bearer " + key + "\r\n"));
    return client.Receive();
  }
  std::string Prices(const std::string& text) const {
    const std::string path = (own_ / "serve.toml").string();
    WriteFileAtomically(path, "[prices]\n" + text);
    return path;
  }
};

json Short(int max_tokens = 5) {
  return {{"prompt", "class Error"}, {"max_tokens", max_tokens}, {"ignore_eos", true}};
}

TEST_F(ServeAccessTest, EverythingButHealthNeedsAKeyOnceThereAreSome) {
  const std::string alice = CreateKey("alice");
  Serve({"--ledger", Ledger()});
  for (const char* path : {"/health", "/health/live", "/health/ready"}) {
    EXPECT_EQ(Status(GetAs(path, "")), 200);
  }
  EXPECT_EQ(Status(GetAs("/v1/models", alice)), 200);
  for (const char* path : {"/v1/models", "/nothing"}) {
    const std::string refused = GetAs(path, "");
    EXPECT_EQ(Status(refused), 401);
    EXPECT_TRUE(Has(refused, "\r\nWWW-Authenticate: Bearer\r\n"));
    EXPECT_EQ(json::parse(Body(refused))["error"]["code"], "invalid_api_key");
  }
  for (const char* path : {"/v1/completions", "/v1/chat/completions", "/tokenize", "/detokenize"}) {
    EXPECT_EQ(Ask(path, Short(), 401)["error"]["code"], "invalid_api_key");
  }
  key_ = alice + "x";
  Ask("/v1/completions", Short(), 401);
  key_ = alice;
  Ask("/v1/completions", Short());
}

TEST_F(ServeAccessTest, TheLedgerHasWhatTheClientWasTold) {
  key_ = CreateKey("alice");
  // 2, 3 and 5 dollars for a million: so many millionths for a token.
  Serve({"--ledger", Ledger(), "--config", Prices("cache_hit = 2\ncache_miss = 3.0\noutput = 5")});
  json request = Short(7);
  request["n"] = 2;
  const json answer = Ask("/v1/completions", request);
  const json again = Ask("/v1/completions", request);
  EXPECT_GT(again["usage"]["prompt_cache_hit_tokens"], 0);
  const auto rows = ExportLedger();
  ASSERT_EQ(rows.size(), 2U);
  for (const json& one : {answer, again}) {
    const auto& row = rows[0].at("id") == one["id"] ? rows[0] : rows[1];
    EXPECT_EQ(row.at("id"), one["id"]);
    EXPECT_EQ(row.at("key"), "alice");
    EXPECT_EQ(row.at("route"), "/v1/completions");
    EXPECT_EQ(row.at("model"), "model");
    EXPECT_EQ(row.at("outcome"), "done");
    const int64_t hit = one["usage"]["prompt_cache_hit_tokens"];
    const int64_t miss = one["usage"]["prompt_cache_miss_tokens"];
    EXPECT_EQ(row.at("cache_hit_tokens"), std::to_string(hit));
    EXPECT_EQ(row.at("cache_miss_tokens"), std::to_string(miss));
    EXPECT_EQ(row.at("output_tokens"), "14");
    EXPECT_EQ(one["usage"]["completion_tokens"], 14);
    EXPECT_DOUBLE_EQ(std::stod(row.at("cost")),
                     static_cast<double>(2 * hit + 3 * miss + 5 * 14) / 1e6);
    EXPECT_EQ(one["usage"]["cost"], static_cast<double>(2 * hit + 3 * miss + 5 * 14) / 1e6);
  }
  // All kinds of answers say it, streamed ones too.
  json chat = {{"messages", UserSays("a")}, {"max_tokens", 3}};
  chat["stream_options"]["include_usage"] = true;
  EXPECT_GT(Stream("/v1/chat/completions", chat).back()["usage"]["cost"], 0);
  EXPECT_GT(Ask("/v1/responses", {{"input", "a"}, {"max_output_tokens", 3}})["usage"]["cost"], 0);
  EXPECT_GT(Ask("/v1/embeddings", {{"input", "a"}})["usage"]["cost"], 0);
  const json audit = RunJson({"ledger", "audit", "--ledger", Ledger(), "--json"});
  EXPECT_EQ(audit["keys"][0]["key"], "alice");
  EXPECT_EQ(audit["keys"][0]["output_tokens"], 28 + 3 + 3);
}

TEST_F(ServeAccessTest, WhoLeavesPaysForWhatWasWritten) {
  key_ = CreateKey("alice");
  Serve({"--ledger", Ledger()});
  {
    json request = Short(4000);
    request["stream"] = true;
    Client client(port_);
    client.Send(Post("/v1/completions", request.dump(), Headers()));
    for (int i = 0; i < 5; ++i) client.ReceiveUntil("data: ");
  }
  while (UnderWay() > 0) std::this_thread::yield();
  server_->Signal(SIGTERM);  // commits what is left to be
  EXPECT_EQ(server_->Status(), 0);
  const auto rows = ExportLedger();
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].at("outcome"), "cancelled");
  EXPECT_GE(std::stoi(rows[0].at("output_tokens")), 5);
  EXPECT_LT(std::stoi(rows[0].at("output_tokens")), 4000);
  EXPECT_GT(std::stoi(rows[0].at("cache_miss_tokens")), 0);
}

TEST_F(ServeAccessTest, LimitsAreSaidInOpenAisWords) {
  const std::string busy = CreateKey("busy", {"--concurrency", "1"});
  const std::string chatty = CreateKey("chatty", {"--tokens-per-minute", "20"});
  const std::string poor = CreateKey("poor", {"--budget", "0.00003"});
  Serve({"--ledger", Ledger(), "--config", Prices("output = 1.0")});
  key_ = busy;
  Client client(port_);
  json streamed = Short(4000);
  streamed["stream"] = true;
  client.Send(Post("/v1/completions", streamed.dump(), Headers()));
  client.ReceiveUntil("data: ");
  EXPECT_EQ(Ask("/v1/completions", Short(), 429)["error"]["code"], "rate_limit_exceeded");
  key_ = chatty;
  Ask("/v1/completions", Short(30));
  Client second(port_);
  second.Send(Post("/v1/completions", Short().dump(), Headers()));
  const std::string refused = second.Receive();
  EXPECT_EQ(Status(refused), 429);
  EXPECT_TRUE(Has(refused, "\r\nRetry-After: "));
  key_ = poor;
  EXPECT_EQ(Ask("/v1/completions", Short(31), 429)["error"]["code"], "insufficient_quota");
  Ask("/v1/completions", Short(30));
  const json error = Ask("/v1/completions", Short(1), 429)["error"];
  EXPECT_EQ(error["type"], "insufficient_quota");
  const json listed = RunJson({"keys", "list", "--ledger", Ledger(), "--json"});
  for (const json& key : listed["keys"]) {
    EXPECT_EQ(key["spent_dollars"], key["name"] == "busy" ? "0.00" : "0.00003") << key;
  }
}

TEST_F(ServeAccessTest, PrefixesAreAKeysOwnUnlessItShares) {
  const std::string own = CreateKey("own"), other = CreateKey("other");
  const std::string shared = CreateKey("shared", {"--share-cache"});
  const std::string sharing = CreateKey("sharing", {"--share-cache"});
  Serve({"--ledger", Ledger()});
  const auto hits = [&](const std::string& key) {
    key_ = key;
    return Ask("/v1/completions", Short())["usage"]["prompt_cache_hit_tokens"].get<int64_t>();
  };
  EXPECT_EQ(hits(own), 0);
  EXPECT_GT(hits(own), 0);
  EXPECT_EQ(hits(other), 0);
  EXPECT_EQ(hits(shared), 0);
  EXPECT_GT(hits(sharing), 0);
}

TEST_F(ServeAccessTest, KeysAreReadAgainEveryFewSeconds) {
  const std::string alice = CreateKey("alice");
  Serve({"--ledger", Ledger()});
  key_ = alice;
  Ask("/v1/completions", Short());
  EXPECT_EQ(Run({"keys", "revoke", "alice", "--ledger", Ledger()}), 0);
  // At once, where it would cost something.
  Ask("/v1/completions", Short(), 401);
  const std::string bob = CreateKey("bob");
  while (Status(GetAs("/v1/models", bob)) != 200) std::this_thread::yield();
  EXPECT_EQ(Status(GetAs("/v1/models", alice)), 401);
}

TEST_F(ServeAccessTest, AtSighupPricesAreReadAgain) {
  key_ = CreateKey("alice");
  const std::string config = Prices("output = 1.0");
  Serve({"--ledger", Ledger(), "--config", config});
  const auto cost = [&] { return Ask("/v1/completions", Short())["usage"]["cost"].get<double>(); };
  EXPECT_EQ(cost(), 5e-6);
  Prices("output = 9.0");
  server_->Signal(SIGHUP);
  while (cost() != 45e-6) std::this_thread::yield();
  // What cannot be read leaves all as it was.
  WriteFileAtomically(config, "[prices]\nouput = 1.0\n");
  server_->Signal(SIGHUP);
  while (!Has(server_->Err(), "prices.ouput")) std::this_thread::yield();
  EXPECT_EQ(cost(), 45e-6);
  const auto rows = ExportLedger();
  EXPECT_EQ(rows.front().at("output_price"), "1.00");
  EXPECT_EQ(rows.back().at("output_price"), "9.00");
}

// A budget that counts nothing is said to do so.
TEST_F(ServeAccessTest, ABudgetWantsPrices) {
  key_ = CreateKey("alice", {"--budget", "1"});
  const std::string config = Prices("");
  Serve({"--ledger", Ledger(), "--config", config});
  EXPECT_TRUE(Has(server_->Err(), "keys have budgets, and there are no prices"));
  Prices("output = 1.0");
  Serve({"--ledger", Ledger(), "--config", config});
  EXPECT_FALSE(Has(server_->Err(), "no prices"));
}

TEST_F(ServeAccessTest, KeysAreListedChangedAndRevoked) {
  CreateKey("alice", {"--concurrency", "3", "--budget", "12.5", "--budget-period", "month",
                      "--expires", "2100-01-31"});
  EXPECT_EQ(Run({"keys", "create", "alice", "--ledger", Ledger()}), 1);
  EXPECT_EQ(Run({"keys", "create", "a b", "--ledger", Ledger()}), 2);
  EXPECT_EQ(Run({"keys", "change", "bob", "--ledger", Ledger()}), 1);
  EXPECT_EQ(Run({"keys", "change", "alice", "--expires", "2020-01-01", "--ledger", Ledger()}), 2);
  EXPECT_EQ(Run({"keys", "change", "alice", "--budget", "none", "--disable", "--ledger", Ledger()}),
            0);
  const auto listed = [&] {
    return RunJson({"keys", "list", "--ledger", Ledger(), "--json"})["keys"][0];
  };
  json key = listed();
  EXPECT_EQ(key["name"], "alice");
  EXPECT_EQ(key["role"], "user");
  EXPECT_EQ(key["state"], "disabled");
  EXPECT_EQ(key["concurrency"], 3);
  EXPECT_EQ(key["expires"], "2100-01-31T00:00:00Z");
  EXPECT_TRUE(key["budget_dollars"].is_null());
  EXPECT_EQ(key["budget_period"], "month");
  EXPECT_FALSE(key.contains("key"));
  EXPECT_EQ(Run({"keys", "change", "alice", "--enable", "--ledger", Ledger()}), 0);
  EXPECT_EQ(listed()["state"], "usable");
  EXPECT_EQ(Run({"keys", "revoke", "alice", "--ledger", Ledger()}), 0);
  EXPECT_EQ(listed()["state"], "revoked");
  EXPECT_EQ(Run({"keys", "change", "alice", "--enable", "--ledger", Ledger()}), 1);
}

TEST_F(ServeAccessTest, MoreThanThisMachineIsServedWithKeysOnly) {
  Process without(own_.path(), {"serve", Path("model"), "--host", "0.0.0.0"});
  EXPECT_EQ(without.Status(), 2);
  EXPECT_TRUE(Has(without.Err(), "there are no keys"));
  CreateKey("gone");
  EXPECT_EQ(Run({"keys", "revoke", "gone", "--ledger", Ledger()}), 0);
  Process revoked(own_.path(), {"serve", Path("model"), "--host", "0.0.0.0", "--ledger", Ledger()});
  EXPECT_EQ(revoked.Status(), 1);
  EXPECT_TRUE(Has(revoked.Err(), "no key in it can be used"));
  const std::string alice = CreateKey("alice");
  Serve({"--host", "0.0.0.0", "--ledger", Ledger()});
  EXPECT_EQ(Status(GetAs("/v1/models", "")), 401);
  EXPECT_EQ(Status(GetAs("/v1/models", alice)), 200);
}

// A model takes long to load: what is wrong beside it is said before.
TEST_F(ServeAccessTest, ACertificateThatCannotBeUsedIsSaidBeforeTheModelIsLoaded) {
  Process process(own_.path(), {"serve", Path("no-model"), "--tls-cert", Path("no-certificate.pem"),
                                "--tls-key", Path("no-key.pem")});
  EXPECT_EQ(process.Status(), 1);
  EXPECT_TRUE(Has(process.Err(), "no-certificate.pem")) << process.Err();
}

}  // namespace
}  // namespace fathom::test

// What `fathom serve` tells those who watch it.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <csignal>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include "base/file.h"
#include "e2e/serve_fixture.h"

namespace fathom::test {
namespace {

class ServeMetricsTest : public ServeTest {
 protected:
  std::string Metrics(const std::string& key, int status = 200) const {
    Client client(port_);
    client.Send(Get("/metrics", "Authorization: Bearer " + key + "\r\n"));
    const std::string answer = client.Receive();
    EXPECT_EQ(Status(answer), status) << answer;
    return Body(answer);
  }
};

// Values by name and labels, without those that all have.
std::map<std::string, double> Parse(const std::string& text) {
  std::map<std::string, double> values;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('#')) continue;
    const size_t end = line.rfind(' ');
    std::string name = line.substr(0, end);
    for (const char* label : {"engine=\"0\",", "model_name=\"model\",", ",model_name=\"model\"",
                              "model_name=\"model\"", "{}"}) {
      if (const size_t at = name.find(label); at != std::string::npos) {
        name.erase(at, std::string(label).size());
      }
    }
    values[name] = std::stod(line.substr(end + 1));
  }
  return values;
}

TEST_F(ServeMetricsTest, CountsWhatItAnswered) {
  const std::string admin = CreateKey("watcher", {"--role", "admin"});
  key_ = CreateKey("alice");
  Serve({"--ledger", Ledger()});
  const json request = {{"prompt", "class Error"}, {"max_tokens", 6}, {"ignore_eos", true}};
  const json first = Ask("/v1/completions", request)["usage"];
  const json second = Ask("/v1/completions", request)["usage"];
  Ask("/v1/completions", {{"prompt", 5}}, 400);
  Metrics(key_, 403);
  const auto values = Parse(Metrics(admin));
  const double prompts = first["prompt_tokens"].get<double>() * 2;
  EXPECT_EQ(values.at("vllm:prompt_tokens_total"), prompts);
  EXPECT_EQ(values.at("vllm:generation_tokens_total"), 12);
  EXPECT_EQ(values.at("vllm:prefix_cache_queries_total"), prompts);
  EXPECT_EQ(values.at("vllm:prefix_cache_hits_total"),
            second["prompt_cache_hit_tokens"].get<double>());
  EXPECT_EQ(values.at("vllm:request_success_total{finished_reason=\"length\"}"), 2);
  EXPECT_EQ(values.at("vllm:request_success_total{finished_reason=\"abort\"}"), 0);
  EXPECT_EQ(values.at("vllm:time_to_first_token_seconds_count"), 2);
  EXPECT_EQ(values.at("vllm:inter_token_latency_seconds_count"), 10);
  EXPECT_EQ(values.at("vllm:e2e_request_latency_seconds_count"), 2);
  EXPECT_EQ(values.at("vllm:request_generation_tokens_sum"), 12);
  // Of the one layer with experts, of which a token uses two.
  double expert_tokens = 0;
  for (int expert = 0; expert < 16; ++expert) {
    expert_tokens +=
        values.at(fmt::format("fathom_expert_tokens_total{{expert=\"{}\",layer=\"1\"}}", expert));
  }
  EXPECT_EQ(expert_tokens, 2 * values.at("fathom_engine_computed_tokens_total"));
  EXPECT_EQ(values.at("vllm:num_requests_running"), 0);
  EXPECT_EQ(values.at("vllm:kv_cache_usage_perc"), 0);
  EXPECT_EQ(values.at("fathom_ledger_open_requests"), 0);
  EXPECT_GE(values.at("fathom_ledger_changes_total"), 4);  // two reservations, two settlements
  EXPECT_EQ(values.at("fathom_keys_usable"), 2);
  // The whole of the answer's times is made of its parts.
  EXPECT_NEAR(values.at("vllm:e2e_request_latency_seconds_sum"),
              values.at("vllm:request_queue_time_seconds_sum") +
                  values.at("vllm:request_prefill_time_seconds_sum") +
                  values.at("vllm:request_decode_time_seconds_sum"),
              1e-6);
  const std::string completions = "fathom_http_requests_total{route=\"/v1/completions\",status=";
  EXPECT_EQ(values.at(completions + "\"200\"}"), 2);
  EXPECT_EQ(values.at(completions + "\"400\"}"), 1);
}

TEST_F(ServeMetricsTest, TheDashboardAsksForWhatThereIs) {
  const std::string admin = CreateKey("watcher", {"--role", "admin"});
  key_ = admin;
  Serve({"--ledger", Ledger()});
  Ask("/v1/completions", {{"prompt", "class"}, {"max_tokens", 2}});
  std::set<std::string> told;
  std::istringstream lines(Metrics(admin));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# TYPE ")) told.insert(line.substr(7, line.find(' ', 7) - 7));
  }
  const json dashboard = json::parse(ReadFile(FATHOM_SOURCE_DIR "/deploy/grafana/fathom.json"));
  const std::regex name("(vllm:|fathom_)[a-z0-9_]+");
  size_t names = 0;
  for (const json& panel : dashboard["panels"]) {
    for (const json& target : panel["targets"]) {
      const std::string expr = target["expr"];
      for (std::sregex_iterator at(expr.begin(), expr.end(), name), end; at != end; ++at) {
        std::string asked = at->str();
        if (asked.ends_with("_bucket")) asked.erase(asked.size() - 7);
        EXPECT_TRUE(told.contains(asked)) << asked;
        ++names;
      }
    }
  }
  EXPECT_GT(names, 20U);
}

TEST_F(ServeMetricsTest, ARequestHasOneNameEverywhere) {
  key_ = CreateKey("alice");
  Serve({"--ledger", Ledger(), "--log-format", "json"}, /*quiet=*/false);
  Client client(port_);
  const json request = {{"prompt", "a \"secret\" prompt"}, {"max_tokens", 2}, {"stream", true}};
  client.Send(Post("/v1/completions", request.dump(), Headers()));
  const std::string answer = client.ReceiveUntil("[DONE]");
  const size_t at = answer.find("X-Request-Id: ") + 14;
  const std::string id = answer.substr(at, 32);
  EXPECT_TRUE(Has(answer, "\"id\":\"cmpl-" + id + "\""));
  EXPECT_EQ(ExportLedger()[0].at("id"), "cmpl-" + id);
  server_->Signal(SIGTERM);
  EXPECT_EQ(server_->Status(), 0);
  EXPECT_FALSE(Has(server_->Err(), "secret"));
  EXPECT_FALSE(Has(server_->Err(), key_));
  size_t found = 0;
  std::istringstream lines(server_->Err());
  for (std::string line; std::getline(lines, line);) {
    const json entry = json::parse(line);
    EXPECT_TRUE(entry.contains("time") && entry.contains("level")) << line;
    if (entry.value("request_id", "") != id) continue;
    ++found;
    EXPECT_EQ(entry["message"], "answered");
    EXPECT_EQ(entry["method"], "POST");
    EXPECT_EQ(entry["path"], "/v1/completions");
    EXPECT_EQ(entry["status"], 200);
    EXPECT_EQ(entry["key"], 1);
    EXPECT_GT(entry["seconds"], 0);
  }
  EXPECT_EQ(found, 1U);
}

}  // namespace
}  // namespace fathom::test

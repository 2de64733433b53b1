// `fathom serve` as clients see it.

#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include "e2e/serve_fixture.h"

namespace fathom::test {
namespace {

TEST_F(ServeTest, CompletesAsGenerateDoes) {
  Serve();
  const json mine = RunJson({"generate", Path("model"), "--prompt", "class Error", "--max-tokens",
                             "30", "--seed", "5", "--n", "2", "--frequency-penalty", "0.5",
                             "--presence-penalty", "0.5", "--repetition-penalty", "1.2", "--json"});
  const json theirs = Ask("/v1/completions", {{"prompt", "class Error"},
                                              {"max_tokens", 30},
                                              {"seed", 5},
                                              {"n", 2},
                                              {"frequency_penalty", 0.5},
                                              {"presence_penalty", 0.5},
                                              {"repetition_penalty", 1.2},
                                              {"model", "model"}});
  EXPECT_EQ(theirs["object"], "text_completion");
  ASSERT_EQ(theirs["choices"].size(), 2U);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(theirs["choices"][i]["text"], mine["choices"][i]["text"]);
    EXPECT_EQ(theirs["choices"][i]["finish_reason"], mine["choices"][i]["finish_reason"]);
  }
  EXPECT_EQ(theirs["usage"]["prompt_tokens"], mine["prompt_tokens"].size());
  EXPECT_EQ(theirs["usage"]["completion_tokens"],
            mine["choices"][0]["tokens"].size() + mine["choices"][1]["tokens"].size());
}

TEST_F(ServeTest, StreamsWhatItWouldAnswerWhole) {
  Serve();
  const json request = {{"messages", UserSays("hello")},
                        {"max_tokens", 40},
                        {"seed", 7},
                        {"logprobs", true},
                        {"top_logprobs", 2},
                        {"stream_options", {{"include_usage", true}}}};
  const json whole = Ask("/v1/chat/completions", request);
  std::string content, finish;
  json logprobs = json::array(), usage;
  for (const json& event : Stream("/v1/chat/completions", request)) {
    EXPECT_EQ(event["object"], "chat.completion.chunk");
    if (event["choices"].empty()) {
      usage = event["usage"];
      continue;
    }
    const json& choice = event["choices"][0];
    content += choice["delta"].value("content", "");
    if (!choice["finish_reason"].is_null()) finish = choice["finish_reason"];
    for (const json& token : choice["logprobs"]["content"]) logprobs.push_back(token);
  }
  const json& choice = whole["choices"][0];
  EXPECT_EQ(content, choice["message"]["content"]);
  EXPECT_EQ(finish, choice["finish_reason"]);
  EXPECT_EQ(logprobs, choice["logprobs"]["content"]);
  for (const json& token : logprobs) {
    for (const json& top : token["top_logprobs"]) {
      // Ids without a token, with which models pad their vocabularies, are all alike here.
      if (top["bytes"].empty() || top["bytes"] != token["bytes"]) continue;
      EXPECT_EQ(top["logprob"], token["logprob"]);
    }
  }
  EXPECT_EQ(usage["completion_tokens"], whole["usage"]["completion_tokens"]);
  // The second request's prompt was in the cache, but for what has to be computed.
  EXPECT_EQ(usage["prompt_cache_hit_tokens"], usage["prompt_tokens"].get<int64_t>() - 1);
  EXPECT_EQ(usage["prompt_cache_miss_tokens"], 1);
}

TEST_F(ServeTest, AnswersAreTheSameAloneAndAmongMany) {
  Serve({"--max-running", "8"});
  const auto request = [](int seed) {
    return json{{"prompt", "int " + std::to_string(seed % 3)},
                {"max_tokens", 24},
                {"seed", seed},
                {"temperature", 1.2}};
  };
  constexpr int kClients = 24;
  std::vector<std::string> alone, together(kClients);
  for (int i = 0; i < kClients; ++i) {
    alone.push_back(Ask("/v1/completions", request(i))["choices"][0]["text"]);
  }
  std::vector<std::thread> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.emplace_back([&, i] {
      together[static_cast<size_t>(i)] =
          Ask("/v1/completions", request(i))["choices"][0]["text"].get<std::string>();
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(together, alone);
}

TEST_F(ServeTest, EchoScoresThePrompt) {
  Serve();
  const std::string text = "class Error {";
  const json answer = Ask("/v1/completions",
                          {{"prompt", text}, {"max_tokens", 0}, {"echo", true}, {"logprobs", 1}});
  const json& choice = answer["choices"][0];
  EXPECT_EQ(choice["text"], text);
  const json scored = RunJson({"score", Path("model"), "--text", text, "--json"});
  const json& logprobs = choice["logprobs"]["token_logprobs"];
  ASSERT_EQ(logprobs.size(), scored["tokens"].size());
  EXPECT_TRUE(logprobs[0].is_null());
  for (size_t i = 1; i < logprobs.size(); ++i) {
    EXPECT_EQ(logprobs[i].get<float>(), scored["logprobs"][i].get<float>()) << i;
  }
  // Its most likely token is at least as likely.
  const json& top = choice["logprobs"]["top_logprobs"][1];
  EXPECT_GE(top.begin()->get<float>(), logprobs[1].get<float>());
}

TEST_F(ServeTest, StopsBeforeAStopString) {
  Serve();
  const json request = {{"prompt", "class Error"}, {"max_tokens", 60}, {"seed", 5}};
  const std::string whole = Ask("/v1/completions", request)["choices"][0]["text"];
  ASSERT_GT(whole.size(), 20U);
  const std::string stop = whole.substr(8, 5);
  json stopping = request;
  stopping["stop"] = {stop, "never in there"};
  const json answer = Ask("/v1/completions", stopping);
  EXPECT_EQ(answer["choices"][0]["text"], whole.substr(0, whole.find(stop)));
  EXPECT_EQ(answer["choices"][0]["finish_reason"], "stop");
  EXPECT_LT(answer["usage"]["completion_tokens"], 60);
}

// More than a million tokens, which would take minutes.
json LongRequest() {
  return {{"prompt", "a"}, {"max_tokens", 4000}, {"ignore_eos", true}, {"n", 128}};
}

TEST_F(ServeTest, WhoLeavesIsNotWrittenFor) {
  Serve();
  {
    Client streaming(port_), waiting(port_);
    json streamed = LongRequest();
    streamed["stream"] = true;
    streaming.Send(Post("/v1/completions", streamed.dump()));
    streaming.ReceiveUntil("data: ");
    waiting.Send(Post("/v1/completions", LongRequest().dump()));
    while (UnderWay() < 256) std::this_thread::yield();
  }
  const auto start = std::chrono::steady_clock::now();
  while (UnderWay() > 0) std::this_thread::yield();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(15));
}

TEST_F(ServeTest, AFullQueueRefuses) {
  Serve({"--max-running", "1", "--max-waiting", "128"});
  Client client(port_);
  json streamed = LongRequest();
  streamed["stream"] = true;
  client.Send(Post("/v1/completions", streamed.dump()));
  client.ReceiveUntil("data: ");
  const json refused = Ask("/v1/completions", LongRequest(), 429);
  EXPECT_EQ(refused["error"]["type"], "rate_limit_error");
}

TEST_F(ServeTest, SigtermLetsAnswersEnd) {
  Serve();
  const json request = {
      {"prompt", "a"}, {"max_tokens", 500}, {"ignore_eos", true}, {"stream", true}};
  Client client(port_);
  client.Send(Post("/v1/completions", request.dump()));
  client.ReceiveUntil("data: ");
  server_->Signal(SIGTERM);
  EXPECT_TRUE(Has(client.ReceiveUntil("\r\n0\r\n\r\n"), "[DONE]"));
  EXPECT_EQ(server_->Status(), 0);
}

TEST_F(ServeTest, ABiasDecides) {
  Serve();
  const json ids = Ask("/tokenize", {{"prompt", "x"}, {"add_special_tokens", false}})["tokens"];
  ASSERT_EQ(ids.size(), 1U);
  const std::string id = ids[0].dump();
  json request = {{"prompt", "a"}, {"max_tokens", 5}, {"logit_bias", {{id, 100}}}};
  EXPECT_EQ(Ask("/v1/completions", request)["choices"][0]["text"], "xxxxx");
  // Once it has been written, nothing speaks for it any more.
  request["logit_bias"][id] = 2;
  request["presence_penalty"] = 2;
  request["frequency_penalty"] = 2;
  EXPECT_NE(Ask("/v1/completions", request)["choices"][0]["text"], "xxxxx");
  request["logit_bias"] = {{"600000", 1}};
  EXPECT_EQ(Ask("/v1/completions", request, 400)["error"]["type"], "invalid_request_error");
}

TEST_F(ServeTest, SaysWhatItIsAndWhatIsWrong) {
  Serve({"--name", "mine", "--context", "100"});
  Client client(port_);
  client.Send(Get("/v1/models"));
  const json models = json::parse(Body(client.Receive()));
  EXPECT_EQ(models["data"][0]["id"], "mine");
  EXPECT_EQ(models["data"][0]["max_model_len"], 100);
  EXPECT_EQ(Ask("/v1/completions", {{"prompt", "a"}, {"model", "other"}}, 404)["error"]["code"],
            "model_not_found");
  EXPECT_EQ(Ask("/v1/completions", {{"prompt", "a"}, {"max_tokens", 101}}, 400)["error"]["code"],
            "context_length_exceeded");
  EXPECT_EQ(Ask("/v1/completions", {{"prompt", {0, 5000}}}, 400)["error"]["type"],
            "invalid_request_error");
  const json ids = Ask("/tokenize", {{"prompt", "int x;"}})["tokens"];
  EXPECT_FALSE(ids.empty());
  EXPECT_TRUE(Has(Ask("/detokenize", {{"tokens", ids}})["prompt"].get<std::string>(), "int x;"));
}

}  // namespace
}  // namespace fathom::test

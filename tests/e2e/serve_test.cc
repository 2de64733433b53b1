// `fathom serve` as clients see it.

#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <set>
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

TEST_F(ServeTest, LogprobsOfACompletionHaveItsEndToken) {
  Serve();
  const json end = Ask(
      "/tokenize", {{"prompt", "<｜end▁of▁sentence｜>"}, {"add_special_tokens", false}})["tokens"];
  ASSERT_EQ(end.size(), 1U);
  const json answer = Ask("/v1/completions", {{"prompt", {5, 6, 7}},
                                              {"max_tokens", 1},
                                              {"echo", true},
                                              {"logprobs", 1},
                                              {"logit_bias", {{end[0].dump(), 100}}}});
  const json& choice = answer["choices"][0];
  EXPECT_EQ(choice["finish_reason"], "stop");
  EXPECT_FALSE(Has(choice["text"].get<std::string>(), "end"));
  ASSERT_EQ(choice["logprobs"]["token_logprobs"].size(), 4U);
  EXPECT_EQ(choice["logprobs"]["tokens"][3], "<｜end▁of▁sentence｜>");
  EXPECT_EQ(choice["logprobs"]["text_offset"].size(), 4U);
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
  Serve({"--max-running", "1", "--max-waiting", "100"});
  Client client(port_);
  json streamed = LongRequest();
  streamed["stream"] = true;
  client.Send(Post("/v1/completions", streamed.dump()));
  client.ReceiveUntil("data: ");
  const json refused = Ask("/v1/completions", LongRequest(), 429);
  EXPECT_EQ(refused["error"]["type"], "rate_limit_error");
  EXPECT_EQ(refused["error"]["code"], "overloaded");
}

// A stream that waits for its turn has begun, so that it can have comments meanwhile; many answers
// at once are one request.
TEST_F(ServeTest, WhoWaitsIsToldSo) {
  Serve({"--max-running", "1", "--max-waiting", "2"});
  json streamed = LongRequest();
  streamed["stream"] = true;
  Client first(port_), second(port_);
  first.Send(Post("/v1/completions", streamed.dump()));
  first.ReceiveUntil("data: ");
  // All but one of them wait, and there is no room for more.
  streamed["n"] = 1;
  second.Send(Post("/v1/completions", streamed.dump()));
  EXPECT_EQ(Status(second.ReceiveUntil("\r\n\r\n")), 429);

  Serve({"--max-running", "1"});
  Client running(port_), waiting(port_);
  running.Send(Post("/v1/completions", streamed.dump()));
  running.ReceiveUntil("data: ");
  waiting.Send(Post("/v1/completions", streamed.dump()));
  EXPECT_EQ(Status(waiting.ReceiveUntil("\r\n\r\n")), 200);
  EXPECT_EQ(UnderWay(), 2);
}

// Clients are told, and the ledger has it, when the time to end is over.
TEST_F(ServeTest, WhatTakesTooLongToEndIsGivenUp) {
  key_ = CreateKey("alice");
  Serve({"--ledger", Ledger(), "--drain-time", "0"});
  json request = LongRequest();
  request["n"] = 2;
  Client whole(port_), streaming(port_);
  whole.Send(Post("/v1/completions", request.dump(), Headers()));
  request["stream"] = true;
  streaming.Send(Post("/v1/completions", request.dump(), Headers()));
  streaming.ReceiveUntil("data: ");
  while (UnderWay() < 4) std::this_thread::yield();
  server_->Signal(SIGTERM);
  const std::string refused = whole.Receive();
  EXPECT_EQ(Status(refused), 503);
  EXPECT_EQ(json::parse(Body(refused))["error"]["type"], "server_error");
  const std::string rest = streaming.ReceiveUntil("\r\n0\r\n\r\n");
  EXPECT_TRUE(Has(rest, "the server is shutting down"));
  EXPECT_FALSE(Has(rest, "[DONE]"));
  EXPECT_EQ(server_->Status(), 0);
  const auto rows = ExportLedger();
  ASSERT_EQ(rows.size(), 2U);
  for (const auto& row : rows) EXPECT_EQ(row.at("outcome"), "failed");
}

// The same prompt twice in a request is answered twice.
TEST_F(ServeTest, PromptsOfARequestAreAnsweredForThemselves) {
  Serve();
  json request = {
      {"prompt", {"class", "class", "class"}}, {"max_tokens", 24}, {"ignore_eos", true}};
  const auto texts = [&] {
    std::set<std::string> different;
    const json answer = Ask("/v1/completions", request);
    for (const json& choice : answer["choices"]) different.insert(choice["text"]);
    return different.size();
  };
  EXPECT_EQ(texts(), 3U);
  request["seed"] = 5;
  EXPECT_EQ(texts(), 1U);
  // What ends an answer besides the model's own tokens.
  const json ids = Ask("/tokenize", {{"prompt", "a"}})["tokens"];
  request = {{"prompt", "class"},
             {"max_tokens", 24},
             {"stop_token_ids", {ids.back()}},
             {"logit_bias", {{std::to_string(ids.back().get<int>()), 100}}}};
  const json stopped = Ask("/v1/completions", request)["choices"][0];
  EXPECT_EQ(stopped["finish_reason"], "stop");
  EXPECT_EQ(stopped["text"], "");
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

// A schema that has ends everywhere: this model has learnt nothing.
json Format() {
  const json schema = json::parse(R"({"type": "object", "additionalProperties": false,
    "required": ["kind", "count", "tags"], "properties": {
      "kind": {"enum": ["one", "two"]}, "count": {"type": "integer", "minimum": 3, "maximum": 12},
      "tags": {"type": "array", "items": {"type": "string", "maxLength": 6}, "maxItems": 3},
      "next": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/pair"}]}},
    "$defs": {"pair": {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 2}}})");
  return {{"type", "json_schema"}, {"json_schema", {{"name", "thing"}, {"schema", schema}}}};
}

void ExpectInFormat(const std::string& text) {
  ASSERT_TRUE(json::accept(text)) << text;
  const json value = json::parse(text);
  EXPECT_TRUE(value["kind"] == "one" || value["kind"] == "two") << text;
  EXPECT_TRUE(value["count"] >= 3 && value["count"] <= 12) << text;
  EXPECT_LE(value["tags"].size(), 3U) << text;
  for (const json& tag : value["tags"]) EXPECT_TRUE(tag.is_string()) << text;
  if (value.contains("next") && !value["next"].is_null()) {
    EXPECT_EQ(value["next"].size(), 2U) << text;
    EXPECT_TRUE(value["next"][1].is_boolean()) << text;
  }
  EXPECT_LE(value.size(), 4U) << text;
}

TEST_F(ServeTest, AnswersHaveTheFormatThatIsAskedFor) {
  json request = {{"messages", UserSays("hello")},
                  {"max_tokens", 400},
                  {"temperature", 1.5},
                  {"n", 4},
                  {"response_format", Format()},
                  {"chat_template_kwargs", {{"thinking", false}}}};
  std::vector<std::string> answers;
  for (const char* draft : {"off", "on"}) {
    Serve({"--draft", draft});
    for (int seed = 0; seed < 5; ++seed) {
      request["seed"] = seed;
      const json answer = Ask("/v1/chat/completions", request);
      for (size_t i = 0; i < 4; ++i) {
        const json& choice = answer["choices"][i];
        EXPECT_EQ(choice["finish_reason"], "stop");
        answers.push_back(choice["message"]["content"]);
        ExpectInFormat(answers.back());
      }
    }
  }
  // With guessing ahead and without, the same answers.
  for (size_t i = 0; i < 20; ++i) EXPECT_EQ(answers[i], answers[i + 20]);
  std::string streamed;
  request["n"] = 1;
  for (const json& event : Stream("/v1/chat/completions", request)) {
    streamed += event["choices"][0]["delta"].value("content", "");
  }
  EXPECT_EQ(streamed, answers[16]);
  request["response_format"]["json_schema"]["schema"]["multipleOf"] = 2;
  const json error = Ask("/v1/chat/completions", request, 400)["error"];
  EXPECT_EQ(error["param"], "response_format");
  EXPECT_NE(error["message"].get<std::string>().find("'multipleOf'"), std::string::npos);
}

TEST_F(ServeTest, AFormatIsForWhatComesAfterTheThoughts) {
  Serve();
  json request = {{"messages", UserSays("hello")},
                  {"max_tokens", 400},
                  {"response_format", Format()},
                  {"chat_template_kwargs", {{"thinking", true}}}};
  // The end of its thoughts would be too much to ask of this model.
  const json end =
      Ask("/tokenize", {{"prompt", "</think>"}, {"add_special_tokens", false}})["tokens"];
  ASSERT_EQ(end.size(), 1U);
  for (int seed = 0; seed < 5; ++seed) {
    request["seed"] = seed;
    request["logit_bias"] = {{end[0].dump(), 6}};
    const json choice = Ask("/v1/chat/completions", request)["choices"][0];
    EXPECT_EQ(choice["finish_reason"], "stop");
    ExpectInFormat(choice["message"]["content"]);
    if (seed == 0) {
      EXPECT_TRUE(choice["message"].contains("reasoning_content"));
    }
  }
  request["response_format"] = {{"type", "json_object"}};
  request["max_tokens"] = 30;
  const json choice = Ask("/v1/chat/completions", request)["choices"][0];
  EXPECT_TRUE(choice["message"]["content"].get<std::string>().starts_with("{")) << choice;
}

json Tools() {
  return json::parse(R"([
    {"type": "function", "function": {"name": "weather", "description": "Tells it.", "parameters":
      {"type": "object", "properties": {"city": {"enum": ["Ulm", "Bonn"]}}, "required": ["city"]}}},
    {"type": "function", "function": {"name": "add", "strict": true, "parameters":
      {"type": "object", "properties": {"a": {"type": "integer", "minimum": 0, "maximum": 9}},
       "required": ["a"], "additionalProperties": false}}}])");
}

void ExpectCall(const json& call) {
  EXPECT_EQ(call["type"], "function");
  EXPECT_TRUE(call["id"].get<std::string>().starts_with("call_"));
  const json arguments = json::parse(call["function"]["arguments"].get<std::string>());
  if (call["function"]["name"] == "weather") {
    EXPECT_TRUE(arguments["city"] == "Ulm" || arguments["city"] == "Bonn") << call;
  } else {
    EXPECT_EQ(call["function"]["name"], "add") << call;
    EXPECT_TRUE(arguments["a"] >= 0 && arguments["a"] <= 9) << call;
  }
}

TEST_F(ServeTest, ToolsAreCalled) {
  Serve();
  json request = {{"messages", UserSays("What is the weather in Ulm?")},
                  {"max_tokens", 1000},
                  {"tools", Tools()},
                  {"tool_choice", "required"},
                  {"parallel_tool_calls", false},
                  {"chat_template_kwargs", {{"thinking", false}}}};
  json call;
  for (int seed = 0; seed < 5; ++seed) {
    request["seed"] = seed;
    const json choice = Ask("/v1/chat/completions", request)["choices"][0];
    EXPECT_EQ(choice["finish_reason"], "tool_calls");
    EXPECT_TRUE(choice["message"]["content"].is_null());
    ASSERT_EQ(choice["message"]["tool_calls"].size(), 1U);
    call = choice["message"]["tool_calls"][0];
    ExpectCall(call);
    const json event = Stream("/v1/chat/completions", request).back();
    EXPECT_EQ(event["choices"][0]["finish_reason"], "tool_calls");
    json streamed = event["choices"][0]["delta"]["tool_calls"][0];
    EXPECT_EQ(streamed["index"], 0);
    EXPECT_EQ(streamed["function"], call["function"]);
  }
  json named = request;
  named["tool_choice"] = {{"type", "function"}, {"function", {{"name", "add"}}}};
  EXPECT_EQ(Ask("/v1/chat/completions",
                named)["choices"][0]["message"]["tool_calls"][0]["function"]["name"],
            "add");
  // The conversation goes on with what the tool has said.
  json next = request;
  next["tool_choice"] = "auto";
  next["max_tokens"] = 5;
  next["messages"].push_back({{"role", "assistant"}, {"content", nullptr}, {"tool_calls", {call}}});
  next["messages"].push_back(
      {{"role", "tool"}, {"tool_call_id", call["id"]}, {"content", "sunny"}});
  EXPECT_EQ(Ask("/v1/chat/completions", next)["choices"][0]["message"]["role"], "assistant");
  const auto refused = [&](const char* field, const json& value) {
    json wrong = request;
    wrong[field] = value;
    return Ask("/v1/chat/completions", wrong, 400)["error"]["param"];
  };
  // The calls that it wants need some.
  EXPECT_EQ(refused("tools", json::array()), "tool_choice");
  EXPECT_EQ(refused("tool_choice", "sometimes"), "tool_choice");
  EXPECT_EQ(refused("tool_choice", {{"type", "function"}, {"function", {{"name", "none"}}}}),
            "tool_choice");
  json strange = Tools();
  strange[1]["function"]["parameters"]["properties"]["a"]["multipleOf"] = 2;
  EXPECT_EQ(refused("tools", strange), "tools");
  strange[1]["function"]["strict"] = false;
  request["tools"] = strange;
  request["tool_choice"] = {{"type", "function"}, {"function", {{"name", "weather"}}}};
  ExpectCall(Ask("/v1/chat/completions", request)["choices"][0]["message"]["tool_calls"][0]);
}

// Tools, thoughts and all.
TEST_F(ServeTest, TokenizesAChatAsItIsAsked) {
  Serve();
  const json chat = {{"messages", UserSays("Hello!")},
                     {"max_tokens", 1},
                     {"tools", {{{"type", "function"}, {"function", {{"name", "f"}}}}}}};
  EXPECT_EQ(Ask("/tokenize", chat)["count"],
            Ask("/v1/chat/completions", chat)["usage"]["prompt_tokens"]);
}

TEST_F(ServeTest, ThoughtsEndWhenTheyAreLongEnough) {
  Serve();
  json request = {{"messages", UserSays("hello")},
                  {"max_tokens", 60},
                  {"seed", 3},
                  {"thinking_budget", 10},
                  {"chat_template_kwargs", {{"thinking", true}}}};
  const json answer = Ask("/v1/chat/completions", request);
  const json& message = answer["choices"][0]["message"];
  EXPECT_FALSE(message["content"].get<std::string>().empty());
  const int64_t thoughts = answer["usage"]["completion_tokens_details"]["reasoning_tokens"];
  EXPECT_GE(thoughts, 10);
  EXPECT_LE(thoughts, 12);  // and what ends them
  // With a format after them.
  request["max_tokens"] = 400;
  request["response_format"] = Format();
  ExpectInFormat(Ask("/v1/chat/completions", request)["choices"][0]["message"]["content"]);
}

// The same tokens as when the model has begun itself.
TEST_F(ServeTest, AnAnswerGoesOnFromItsBeginning) {
  Serve();
  const json whole = {{"messages", UserSays("hello")}, {"max_tokens", 1}};
  const json ids = Ask("/tokenize", {{"messages", UserSays("hello")}})["tokens"];
  json begun = whole;
  begun["messages"].push_back({{"role", "assistant"}, {"content", "int x"}, {"prefix", true}});
  const json beginning =
      Ask("/tokenize", {{"prompt", "int x"}, {"add_special_tokens", false}})["tokens"];
  const json one = Ask("/v1/chat/completions", whole), other = Ask("/v1/chat/completions", begun);
  EXPECT_EQ(other["usage"]["prompt_tokens"].get<size_t>(),
            one["usage"]["prompt_tokens"].get<size_t>() + beginning.size());
  begun["response_format"] = {{"type", "json_object"}};
  EXPECT_EQ(Ask("/v1/chat/completions", begun, 400)["error"]["param"], "messages");
}

TEST_F(ServeTest, SaysWhatItIsAndWhatIsWrong) {
  Serve({"--name", "mine", "--context", "100"});
  Client client(port_);
  client.Send(Get("/v1/models"));
  const json models = json::parse(Body(client.Receive()));
  EXPECT_EQ(models["data"][0]["id"], "mine");
  client.Send(Get("/v1/models/mine"));
  EXPECT_EQ(json::parse(Body(client.Receive())), models["data"][0]);
  EXPECT_EQ(models["data"][0]["max_model_len"], 100);
  EXPECT_EQ(models["data"][0]["default_sampling"]["top_p"], 1);
  // Nobody has said what it costs.
  EXPECT_FALSE(Ask("/v1/completions", {{"prompt", "a"}})["usage"].contains("cost"));
  EXPECT_EQ(Ask("/v1/completions", {{"prompt", "a"}, {"model", "other"}}, 404)["error"]["code"],
            "model_not_found");
  const auto too_long = [&](const json& request) {
    const json error = Ask("/v1/completions", request, 400)["error"];
    EXPECT_EQ(error["code"], "context_length_exceeded");
    return error["param"];
  };
  EXPECT_EQ(too_long({{"prompt", "a"}, {"max_tokens", 101}}), "max_tokens");
  EXPECT_EQ(too_long({{"prompt", std::string(2000, 'x')}, {"max_tokens", 5}}), "prompt");
  EXPECT_EQ(Ask("/v1/completions", {{"prompt", {0, 5000}}}, 400)["error"]["type"],
            "invalid_request_error");
  // What the HTTP server says itself has the API's shape, too.
  EXPECT_EQ(Ask("/v1/nothing", {{"prompt", "a"}}, 404)["error"]["type"], "invalid_request_error");
  EXPECT_EQ(Ask("/v1/models", json::object(), 405)["error"]["type"], "invalid_request_error");
  EXPECT_TRUE(
      Ask("/v1/completions", {{"prompt", std::string(17 << 20, 'x')}}, 413)["error"].contains(
          "param"));
  Client asking(port_);
  asking.Send(Get("/tokenizer_info"));
  const json info = json::parse(Body(asking.Receive()));
  EXPECT_EQ(info["eos_token"], "<｜end▁of▁sentence｜>");
  EXPECT_TRUE(Has(info["chat_template"].get<std::string>(), "messages"));
  const json ids = Ask("/tokenize", {{"prompt", "int x;"}})["tokens"];
  EXPECT_FALSE(ids.empty());
  EXPECT_TRUE(Has(Ask("/detokenize", {{"tokens", ids}})["prompt"].get<std::string>(), "int x;"));
  Ask("/detokenize", {{"tokens", {99999}}}, 400);
}

}  // namespace
}  // namespace fathom::test

// POST /v1/responses as clients see it.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "e2e/serve_fixture.h"

namespace fathom::test {
namespace {

class ServeResponsesTest : public ServeTest {
 protected:
  static json Item(const json& response, size_t index) { return response["output"].at(index); }
};

TEST_F(ServeResponsesTest, AnswersAsTheChatThatAsksTheSame) {
  Serve();
  const json chat = Ask(
      "/v1/chat/completions",
      {{"messages",
        {{{"role", "system"}, {"content", "Be brief."}}, {{"role", "user"}, {"content", "hello"}}}},
       {"max_tokens", 20},
       {"seed", 7}});
  const json response = Ask("/v1/responses", {{"instructions", "Be brief."},
                                              {"input", "hello"},
                                              {"max_output_tokens", 20},
                                              {"metadata", {{"a", "b"}}},
                                              {"seed", 7}});
  EXPECT_EQ(response["object"], "response");
  const bool cut = chat["choices"][0]["finish_reason"] == "length";
  EXPECT_EQ(response["status"], cut ? "incomplete" : "completed");
  EXPECT_EQ(response["incomplete_details"].is_null(), !cut);
  const json item = Item(response, response["output"].size() - 1);
  EXPECT_EQ(item["type"], "message");
  EXPECT_EQ(item["role"], "assistant");
  EXPECT_EQ(item["content"][0]["type"], "output_text");
  EXPECT_EQ(item["content"][0]["text"], chat["choices"][0]["message"]["content"]);
  EXPECT_EQ(response["usage"]["input_tokens"], chat["usage"]["prompt_tokens"]);
  EXPECT_EQ(response["usage"]["output_tokens"], chat["usage"]["completion_tokens"]);
  EXPECT_EQ(response["instructions"], "Be brief.");
  EXPECT_EQ(response["metadata"]["a"], "b");
  EXPECT_EQ(response["store"], false);
}

TEST_F(ServeResponsesTest, EventsBuildTheResponseThatTheyEndWith) {
  Serve();
  const json request = {{"input", "hello"},
                        {"max_output_tokens", 60},
                        {"thinking_budget", 20},
                        {"include", {"message.output_text.logprobs"}},
                        {"chat_template_kwargs", {{"thinking", true}}},
                        {"seed", 3}};
  const std::vector<json> events = Stream("/v1/responses", request);
  ASSERT_GT(events.size(), 4U);
  EXPECT_EQ(events[0]["type"], "response.created");
  EXPECT_EQ(events[1]["type"], "response.in_progress");
  json built = json::array();
  int64_t number = 0;
  for (const json& event : events) {
    EXPECT_EQ(event["sequence_number"], number++);
    const std::string type = event["type"];
    if (type == "response.output_item.added") built.push_back(event["item"]);
    if (type == "response.content_part.added") built.back()["content"].push_back(event["part"]);
    if (!type.ends_with(".delta") && !type.ends_with("_text.done")) continue;
    EXPECT_EQ(event["item_id"], built.back()["id"]);
    EXPECT_EQ(event["output_index"], built.size() - 1);
    json& part = built.back()["content"][0];
    if (type.ends_with(".done")) {
      EXPECT_EQ(event["text"], part["text"]);
      continue;
    }
    part["text"] = part["text"].get<std::string>() + event["delta"].get<std::string>();
    for (const json& token : event.value("logprobs", json::array())) {
      part["logprobs"].push_back(token);
    }
  }
  json last = events.back()["response"];
  EXPECT_EQ(events.back()["type"], "response." + last["status"].get<std::string>());
  ASSERT_EQ(last["output"].size(), 2U);
  EXPECT_EQ(last["output"][0]["type"], "reasoning");
  EXPECT_EQ(last["output"][1]["type"], "message");
  EXPECT_FALSE(last["output"][1]["content"][0]["logprobs"].empty());
  for (size_t i = 0; i < built.size(); ++i) built[i]["status"] = last["output"][i]["status"];
  EXPECT_EQ(built, last["output"]);
  // And the whole answer is the same, but for its names and times.
  const json whole = Ask("/v1/responses", request);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(whole["output"][i]["content"], last["output"][i]["content"]);
  }
}

TEST_F(ServeResponsesTest, FunctionsAreItemsAndTheirOutputsToo) {
  Serve();
  json request = {{"input", {{{"role", "user"}, {"content", "hello"}}}},
                  {"max_output_tokens", 400},
                  {"seed", 5},
                  {"chat_template_kwargs", {{"thinking", false}}},
                  {"parallel_tool_calls", false},
                  {"tool_choice", {{"type", "function"}, {"name", "add"}}},
                  {"tools",
                   {{{"type", "function"},
                     {"name", "add"},
                     {"strict", true},
                     {"parameters",
                      {{"type", "object"},
                       {"properties", {{"a", {{"enum", {1, 2}}}}}},
                       {"required", {"a"}},
                       {"additionalProperties", false}}}}}}};
  const json called = Ask("/v1/responses", request);
  EXPECT_EQ(called["status"], "completed");
  const json call = Item(called, called["output"].size() - 1);
  ASSERT_EQ(call["type"], "function_call");
  EXPECT_EQ(call["name"], "add");
  EXPECT_TRUE(json::parse(call["arguments"].get<std::string>()).contains("a"));
  EXPECT_EQ(called["tools"], request["tools"]);
  const std::vector<json> events = Stream("/v1/responses", request);
  EXPECT_EQ(events[events.size() - 2]["item"]["arguments"], call["arguments"]);
  // The conversation goes on with what was called and what came of it.
  request["input"].push_back(call);
  request["input"].push_back(
      {{"type", "function_call_output"}, {"call_id", call["call_id"]}, {"output", "3"}});
  request["tool_choice"] = "auto";
  request["max_output_tokens"] = 5;
  const json answer = Ask("/v1/responses", request);
  EXPECT_EQ(Item(answer, 0)["type"], "message");
  EXPECT_GT(answer["usage"]["input_tokens"], called["usage"]["input_tokens"]);
}

TEST_F(ServeResponsesTest, WhatCannotBeDoneIsSaid) {
  Serve();
  const auto param = [this](json request) {
    if (!request.contains("input")) request["input"] = "hello";
    return Ask("/v1/responses", request, 400)["error"]["param"];
  };
  EXPECT_EQ(param({{"previous_response_id", "resp_1"}}), "previous_response_id");
  EXPECT_EQ(param({{"background", true}}), "background");
  EXPECT_EQ(param({{"input", 3}}), "input");
  EXPECT_EQ(param({{"input", {{{"type", "item_reference"}, {"id", "x"}}}}}), "input[0]");
  EXPECT_EQ(param({{"input", {{{"role", "user"}, {"content", {{{"type", "input_image"}}}}}}}}),
            "input[0].content[0]");
  EXPECT_EQ(param({{"input", {{{"type", "function_call"}, {"call_id", "c"}}}}}), "input[0].name");
  EXPECT_EQ(param({{"tools", {{{"type", "web_search"}}}}}), "tools[0]");
  EXPECT_EQ(param({{"include", {"file_search_call.results"}}}), "include");
  // What is found out when it is read as a chat has the names of this API as well.
  EXPECT_EQ(param({{"max_output_tokens", -1}}), "max_output_tokens");
  EXPECT_EQ(param({{"max_output_tokens", 100'000'000}}), "max_output_tokens");
  EXPECT_EQ(param({{"reasoning", {{"effort", "heroic"}}}}), "reasoning.effort");
  EXPECT_EQ(param({{"input", json::array()}}), "input");
  const json tool = {{"type", "function"}, {"name", "f"}, {"parameters", 3}};
  EXPECT_EQ(param({{"tools", {tool}}}), "tools");
  const json format = {{"type", "json_schema"}, {"name", "n"}, {"schema", {{"type", "nothing"}}}};
  EXPECT_TRUE(
      param({{"text", {{"format", format}}}}).get<std::string>().starts_with("text.format"));
}

}  // namespace
}  // namespace fathom::test

// How items of POST /v1/responses become the messages of a chat.

#include "serve/openai/request/responses_request.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace fathom {
namespace {

using nlohmann::json;

ResponsesRequest Parse(const json& body) { return ParseResponsesRequest(body.dump(), {}, 17); }

std::string Text(const jinja::Data& message, std::string_view name) {
  const jinja::Data* field = message.Find(name);
  return field != nullptr && field->IsString() ? field->string : "";
}

TEST(ResponsesRequest, ItemsOfOneTurnAreOneMessage) {
  const ResponsesRequest request = Parse(
      {{"instructions", "Be brief."},
       {"input",
        {{{"role", "developer"}, {"content", "In German."}},
         {{"type", "message"},
          {"role", "user"},
          {"content",
           {{{"type", "input_text"}, {"text", "one"}}, {{"type", "input_text"}, {"text", "two"}}}}},
         {{"type", "reasoning"},
          {"summary", json::array()},
          {"content", {{{"type", "reasoning_text"}, {"text", "hm"}}}}},
         {{"type", "message"},
          {"role", "assistant"},
          {"content", {{{"type", "output_text"}, {"text", "let me see"}}}}},
         {{"type", "function_call"}, {"call_id", "c1"}, {"name", "f"}, {"arguments", "{}"}},
         {{"type", "function_call"}, {"call_id", "c2"}, {"name", "g"}, {"arguments", "{}"}},
         {{"type", "function_call_output"}, {"call_id", "c1"}, {"output", "1"}},
         {{"type", "function_call_output"}, {"call_id", "c2"}, {"output", "2"}},
         {{"role", "assistant"}, {"content", "three"}},
         {{"role", "assistant"}, {"content", "four"}}}}});
  const std::vector<jinja::Data>& messages = request.messages.items;
  ASSERT_EQ(messages.size(), 8U);
  EXPECT_EQ(Text(messages[0], "role"), "system");
  EXPECT_EQ(Text(messages[1], "role"), "system");
  EXPECT_EQ(Text(messages[2], "content"), "one\ntwo");
  EXPECT_EQ(Text(messages[3], "role"), "assistant");
  EXPECT_EQ(Text(messages[3], "reasoning_content"), "hm");
  EXPECT_EQ(Text(messages[3], "content"), "let me see");
  ASSERT_EQ(messages[3].Find("tool_calls")->items.size(), 2U);
  EXPECT_EQ(Text(messages[5], "tool_call_id"), "c2");
  // An assistant that says something twice has had two turns.
  EXPECT_EQ(Text(messages[6], "content"), "three");
  EXPECT_EQ(Text(messages[7], "content"), "four");
}

TEST(ResponsesRequest, FieldsHaveTheirNamesInAChat) {
  const ResponsesRequest request = Parse(
      {{"input", "hi"},
       {"max_output_tokens", 7},
       {"temperature", 0.5},
       {"top_logprobs", 3},
       {"reasoning", {{"effort", "low"}}},
       {"text",
        {{"format", {{"type", "json_schema"}, {"name", "n"}, {"schema", {{"type", "integer"}}}}}}},
       {"tools", {{{"type", "function"}, {"name", "f"}, {"parameters", {{"type", "object"}}}}}},
       {"tool_choice", "required"}});
  EXPECT_EQ(request.max_tokens, 7);
  EXPECT_EQ(request.sampling.temperature, 0.5);
  EXPECT_TRUE(request.logprobs);
  EXPECT_EQ(request.top_logprobs, 3);
  EXPECT_EQ(request.thinking_budget, 1024);
  EXPECT_EQ(request.format.kind, ResponseFormat::Kind::kSchema);
  ASSERT_EQ(request.tools.tools.size(), 1U);
  EXPECT_EQ(request.tools.tools[0].name, "f");
  EXPECT_EQ(request.tools.choice, ToolRequest::Choice::kRequired);
  const json echo = json::parse(request.echo);
  EXPECT_EQ(echo["reasoning"]["effort"], "low");
  EXPECT_EQ(echo["tool_choice"], "required");
  EXPECT_EQ(echo["instructions"], nullptr);
}

}  // namespace
}  // namespace fathom

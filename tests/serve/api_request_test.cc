// What requests of OpenAI's clients are read as.

#include "serve/openai/request/api_request.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "serve/openai/request/api_error.h"

namespace fathom {
namespace {

using nlohmann::json;

GenerationDefaults Defaults() {
  GenerationDefaults defaults;
  defaults.sampling.temperature = 0.6;
  defaults.sampling.top_p = 0.95;
  return defaults;
}

CompletionRequest Completion(const std::string& body) {
  return ParseCompletionRequest(body, Defaults(), 17);
}
ChatRequest Chat(const std::string& body) { return ParseChatRequest(body, Defaults(), 17); }

TEST(ApiRequest, WhatIsLeftOutIsTheModelsOwn) {
  const ChatRequest request = Chat(R"({"messages": [{"role": "user", "content": "hi"}]})");
  EXPECT_EQ(request.sampling.temperature, 0.6);
  EXPECT_EQ(request.sampling.top_p, 0.95);
  EXPECT_EQ(request.sampling.seed, 17U);
  EXPECT_EQ(request.n, 1);
  EXPECT_FALSE(request.stream);
  EXPECT_FALSE(request.max_tokens);
  EXPECT_EQ(request.messages.items.size(), 1U);
  EXPECT_EQ(*Completion(R"({"prompt": "a"})").max_tokens, 16);
}

TEST(ApiRequest, EveryFieldIsRead) {
  const ChatRequest request = Chat(R"({
    "model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": true,
    "stream_options": {"include_usage": true}, "n": 3, "max_completion_tokens": 7,
    "temperature": 0, "top_p": 0.5, "top_k": -1, "min_p": 0.1, "seed": 9, "stop": ["a", "b"],
    "logprobs": true, "top_logprobs": 2, "user": "u", "ignore_eos": true,
    "frequency_penalty": 0.5, "presence_penalty": -1, "repetition_penalty": 1.1,
    "logit_bias": {"5": -100, "70": 1.5},
    "chat_template_kwargs": {"thinking": false}, "something_new": 1})");
  EXPECT_EQ(request.model, "m");
  EXPECT_TRUE(request.stream);
  EXPECT_TRUE(request.stream_usage);
  EXPECT_EQ(request.n, 3);
  EXPECT_EQ(*request.max_tokens, 7);
  EXPECT_TRUE(request.sampling.greedy());
  EXPECT_EQ(request.sampling.top_p, 0.5);
  EXPECT_EQ(request.sampling.top_k, 0);
  EXPECT_EQ(request.sampling.min_p, 0.1);
  EXPECT_EQ(request.sampling.seed, 9U);
  EXPECT_EQ(request.sampling.frequency_penalty, 0.5);
  EXPECT_EQ(request.sampling.presence_penalty, -1);
  EXPECT_EQ(request.sampling.repetition_penalty, 1.1);
  ASSERT_EQ(request.sampling.logit_bias.size(), 2U);
  EXPECT_EQ(request.sampling.logit_bias[1].token, 70);
  EXPECT_EQ(request.sampling.logit_bias[1].bias, 1.5);
  EXPECT_EQ(request.stop, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(request.logprobs);
  EXPECT_EQ(request.top_logprobs, 2);
  EXPECT_EQ(request.user, "u");
  EXPECT_TRUE(request.ignore_eos);
  EXPECT_EQ(request.think, false);
}

TEST(ApiRequest, FormatsOfAnswers) {
  using Kind = ResponseFormat::Kind;
  const auto format = [](const std::string& value) {
    return Completion(R"({"prompt": "a", "response_format": )" + value + "}").format;
  };
  EXPECT_EQ(format(R"({"type": "text"})").kind, Kind::kText);
  EXPECT_EQ(format("null").kind, Kind::kText);
  EXPECT_EQ(format(R"({"type": "json_object"})").kind, Kind::kObject);
  const ResponseFormat schema = format(
      R"({"type": "json_schema", "json_schema": {"name": "n", "strict": true, "schema": {"type": "null"}}})");
  EXPECT_EQ(schema.kind, Kind::kSchema);
  EXPECT_EQ(schema.schema, R"({"type":"null"})");
}

TEST(ApiRequest, ToolsAndTheirChoice) {
  using Choice = ToolRequest::Choice;
  const auto tools = [](const std::string& rest) {
    return Chat(R"({"messages": [{"role": "user", "content": "hi"}], "tools": [
        {"type": "function", "function": {"name": "f", "description": "d", "strict": true,
         "parameters": {"type": "object"}}},
        {"type": "function", "function": {"name": "g"}}])" +
                rest + "}")
        .tools;
  };
  const ToolRequest all = tools("");
  EXPECT_EQ(all.choice, Choice::kAuto);
  EXPECT_TRUE(all.several);
  EXPECT_TRUE(all.strict());
  ASSERT_EQ(all.callable.size(), 2U);
  EXPECT_EQ(all.tools[0].parameters, R"({"type":"object"})");
  EXPECT_EQ(all.tools[0].description, "d");
  EXPECT_EQ(all.data.items.size(), 2U);
  EXPECT_EQ(tools(R"(, "tool_choice": "none")").choice, Choice::kNone);
  EXPECT_EQ(tools(R"(, "tool_choice": "required")").choice, Choice::kRequired);
  EXPECT_FALSE(tools(R"(, "parallel_tool_calls": false)").several);
  const ToolRequest one =
      tools(R"(, "tool_choice": {"type": "function", "function": {"name": "g"}})");
  EXPECT_EQ(one.choice, Choice::kRequired);
  ASSERT_EQ(one.callable.size(), 1U);
  EXPECT_EQ(one.callable[0].name, "g");
  EXPECT_EQ(one.tools.size(), 2U);
  const std::string messages = R"({"messages": [{"role": "user", "content": "hi"}], )";
  EXPECT_EQ(Chat(messages + R"("tools": [], "tool_choice": "auto"})").tools.choice, Choice::kNone);
}

TEST(ApiRequest, WhetherToThinkAndHowLong) {
  const auto chat = [](const std::string& rest) {
    return Chat(R"({"messages": [{"role": "user", "content": "hi"}])" + rest + "}");
  };
  EXPECT_FALSE(chat("").think);
  EXPECT_FALSE(chat("").thinking_budget);
  EXPECT_EQ(chat(R"(, "thinking": {"type": "disabled"})").think, false);
  EXPECT_EQ(chat(R"(, "enable_thinking": true, "thinking_budget": 5)").thinking_budget, 5);
  EXPECT_EQ(chat(R"(, "thinking_token_budget": 0)").thinking_budget, 0);
  EXPECT_EQ(chat(R"(, "reasoning_effort": "low")").thinking_budget, 1024);
  EXPECT_EQ(chat(R"(, "reasoning_effort": "none")").think, false);
  EXPECT_FALSE(chat(R"(, "reasoning_effort": "high")").thinking_budget);
  EXPECT_EQ(chat(R"(, "reasoning_effort": "low", "thinking_budget": 7)").thinking_budget, 7);
}

// What OpenAI's clients call "system" today; templates would leave it out.
TEST(ApiRequest, ADeveloperIsTheSystem) {
  const ChatRequest request = Chat(R"({"messages": [{"role": "developer", "content": "Be brief."},
      {"role": "user", "content": "hi"}, {"role": "assistant", "tool_calls": [{}]},
      {"role": "tool", "content": "3"}]})");
  ASSERT_EQ(request.messages.items.size(), 4U);
  EXPECT_EQ(request.messages.items[0].Find("role")->string, "system");
  EXPECT_EQ(request.messages.items[1].Find("role")->string, "user");
}

TEST(ApiRequest, ATemperatureThatIsNearlyZero) {
  const auto temperature = [](const std::string& given) {
    return Completion(R"({"prompt": "a", "temperature": )" + given + "}").sampling.temperature;
  };
  EXPECT_EQ(temperature("1e-5"), 0.01);
  EXPECT_EQ(temperature("0"), 0);
  EXPECT_EQ(temperature("0.5"), 0.5);
}

TEST(ApiRequest, AnAnswerThatHasBegun) {
  const std::string user = R"({"messages": [{"role": "user", "content": "hi"}, )";
  const ChatRequest request =
      Chat(user + R"({"role": "assistant", "content": "So", "prefix": true}]})");
  ASSERT_TRUE(request.beginning);
  EXPECT_EQ(request.beginning->content, "So");
  EXPECT_FALSE(request.beginning->reasoning);
  EXPECT_EQ(request.messages.items.size(), 1U);
  const ChatRequest other =
      Chat(user + R"({"role": "assistant", "content": "", "reasoning_content": "Hm"}],
                 "continue_final_message": true, "add_generation_prompt": false})");
  EXPECT_EQ(other.beginning->reasoning, "Hm");
  EXPECT_FALSE(Chat(user + R"({"role": "assistant", "content": "So"}]})").beginning);
}

TEST(ApiRequest, PromptsComeInFourForms) {
  EXPECT_EQ(Completion(R"({"prompt": "a"})").prompts.at(0).text, "a");
  EXPECT_EQ(Completion(R"({"prompt": ["a", "b"]})").prompts.at(1).text, "b");
  EXPECT_EQ(Completion(R"({"prompt": [1, 2]})").prompts.at(0).ids, (std::vector<int32_t>{1, 2}));
  const CompletionRequest lists = Completion(R"({"prompt": [[1], [2, 3]]})");
  ASSERT_EQ(lists.prompts.size(), 2U);
  EXPECT_EQ(lists.prompts[1].ids, (std::vector<int32_t>{2, 3}));
}

// "x,x,x"
std::string Repeated(const std::string& item, int times) {
  std::string list = item;
  for (int i = 1; i < times; ++i) list += "," + item;
  return list;
}

// The error's status, and the field that it names.
void ExpectRefused(bool chat, const std::string& body, const std::string& field) {
  try {
    chat ? static_cast<void>(Chat(body)) : static_cast<void>(Completion(body));
    FAIL() << body;
  } catch (const ApiError& error) {
    EXPECT_EQ(error.status(), 400) << body;
    const json said = json::parse(error.Json())["error"];
    EXPECT_EQ(said["type"], "invalid_request_error") << body;
    EXPECT_EQ(said["param"], field.empty() ? json(nullptr) : json(field)) << error.what();
  }
}

TEST(ApiRequest, MistakesNameTheirField) {
  for (const auto& [body, field] : std::vector<std::pair<std::string, std::string>>{
           {"", ""},
           {"[]", ""},
           {R"({"prompt": "a)", ""},
           {R"({})", "prompt"},
           {R"({"prompt": 5})", "prompt"},
           {R"({"prompt": []})", "prompt"},
           {R"({"prompt": [[-1]]})", "prompt[0][0]"},
           {R"({"prompt": "a", "n": 0})", "n"},
           {R"({"prompt": [)" + Repeated("\"a\"", 9) + R"(], "n": 128})", "n"},
           {R"({"prompt": [)" + Repeated("\"a\"", 129) + "]}", "prompt"},
           {R"({"prompt": "a", "n": "two"})", "n"},
           {R"({"prompt": "a", "temperature": -1})", "temperature"},
           {R"({"prompt": "a", "top_p": 0})", "top_p"},
           {R"({"prompt": "a", "frequency_penalty": 2.1})", "frequency_penalty"},
           {R"({"prompt": "a", "presence_penalty": -3})", "presence_penalty"},
           {R"({"prompt": "a", "repetition_penalty": 0})", "repetition_penalty"},
           {R"({"prompt": "a", "logit_bias": {"5": 101}})", "logit_bias"},
           {R"({"prompt": "a", "logit_bias": {"five": 1}})", "logit_bias"},
           {R"({"prompt": "a", "logit_bias": {"5": "x"}})", "logit_bias"},
           {R"({"prompt": "a", "response_format": {"type": "yaml"}})", "response_format"},
           {R"({"prompt": "a", "response_format": {"type": "json_schema"}})", "response_format"},
           {R"({"prompt": "a", "max_tokens": 0})", "max_tokens"},
           {R"({"prompt": "a", "logprobs": 21})", "logprobs"},
           {R"({"prompt": "a", "stop": 3})", "stop"},
           {R"({"prompt": "a", "stream": 1})", "stream"},
       }) {
    ExpectRefused(false, body, field);
  }
  const std::string messages = R"("messages": [{"role": "user", "content": "hi"}])";
  ExpectRefused(true, "{}", "messages");
  ExpectRefused(true, R"({"messages": []})", "messages");
  ExpectRefused(true, R"({"messages": [{"content": "hi"}]})", "messages");
  ExpectRefused(true, "{" + messages + R"(, "top_logprobs": 2})", "top_logprobs");
  for (const char* tools :
       {R"([{"type": "function", "function": {"name": "a b"}}])",
        R"([{"type": "function", "function": {}}])", R"([{"type": "web_search"}])", R"("f")"}) {
    ExpectRefused(true, "{" + messages + ", \"tools\": " + tools + "}", "tools");
  }
  ExpectRefused(true,
                "{" + messages + R"(, "tools": [{"type": "function", "function": {"name": "f"}},
                                       {"type": "function", "function": {"name": "f"}}]})",
                "tools");
  ExpectRefused(true, "{" + messages + R"(, "tool_choice": "required"})", "tool_choice");
  ExpectRefused(true, "{" + messages + R"(, "parallel_tool_calls": 3})", "parallel_tool_calls");
  ExpectRefused(true, "{" + messages + R"(, "chat_template_kwargs": 5})", "chat_template_kwargs");
  for (const char* message :
       {R"({"role": "usr", "content": "hi"})", R"({"role": "User", "content": "hi"})",
        R"({"role": "user"})", R"({"role": "system", "content": null})",
        R"({"role": "user", "content": 5})"}) {
    ExpectRefused(true, std::string(R"({"messages": [)") + message + "]}", "messages");
  }
  ExpectRefused(true, "{" + messages + R"(, "reasoning_effort": "huge"})", "reasoning_effort");
  ExpectRefused(true, "{" + messages + R"(, "thinking_budget": -1})", "thinking_budget");
  ExpectRefused(true, "{" + messages + R"(, "thinking": {"type": "maybe"}})", "thinking");
  ExpectRefused(true, "{" + messages + R"(, "continue_final_message": true})", "messages");
}

// What would change the answer is not ignored, and what would not is taken.
TEST(ApiRequest, WhatCannotBeDoneIsSaid) {
  for (const auto& [field, refused, taken] :
       std::vector<std::tuple<std::string, std::string, std::string>>{
           {"guided_regex", R"("a")", "null"},
           {"functions", R"([{"name": "f"}])", "null"},
           {"best_of", "2", "1"},
           {"min_tokens", "3", "0"},
           {"bad_words", R"(["x"])", "[]"},
           {"allowed_token_ids", "[1]", "[]"},
           {"use_beam_search", "true", "false"},
           {"length_penalty", "2", "1.0"},
           {"typical_p", "0.5", "1"},
           {"prompt_logprobs", "0", "-1"},
           {"grammar", R"("root ::= x")", R"("")"},
           {"include_stop_str_in_output", "true", "false"},
           {"chat_template", R"("{{x}}")", R"("")"},
           {"truncate_prompt_tokens", "5", "-1"},
           {"web_search_options", "{}", "null"},
           {"audio", R"({"voice": "x"})", "null"},
           {"modalities", R"(["text", "audio"])", R"(["text"])"},
           {"suffix", R"("b")", R"("")"}}) {
    const std::string begin = R"({"prompt": "a", ")" + field + "\": ";
    ExpectRefused(false, begin + refused + "}", field);
    EXPECT_NO_THROW(Completion(begin + taken + "}")) << field;
    EXPECT_NO_THROW(Completion(begin + "null}")) << field;
  }
}

}  // namespace
}  // namespace fathom

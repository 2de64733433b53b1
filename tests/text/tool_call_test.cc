// Calls of tools in what models write.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "text/chat/chat_template.h"
#include "text/chat/tool_call_form.h"
#include "text/chat/tool_call_grammar.h"
#include "text/chat/tool_call_parser.h"
#include "text/grammar_matches.h"
#include "text/text_golden.h"

namespace fathom::test {
namespace {

struct Parsed {
  std::string text;
  std::vector<std::pair<std::string, std::string>> calls;
  bool operator==(const Parsed&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Parsed& parsed) {
  out << "'" << parsed.text << "'";
  for (const auto& [name, arguments] : parsed.calls) out << " " << name << "(" << arguments << ")";
  return out;
}

Parsed Parse(ToolCallForm form, const std::string& text, size_t step) {
  ToolCallParser parser(form);
  Parsed parsed;
  const auto take = [&](const ToolCallParser::Delta& delta) {
    parsed.text += delta.text;
    for (const ToolCall& call : delta.calls) parsed.calls.emplace_back(call.name, call.arguments);
  };
  for (size_t at = 0; at < text.size(); at += step) take(parser.Push(text.substr(at, step)));
  take(parser.Finish());
  return parsed;
}

struct Case {
  ToolCallForm form;
  std::string text;
  Parsed parsed;
};

constexpr auto kV3 = ToolCallForm::kDeepSeekV3, kV31 = ToolCallForm::kDeepSeekV31,
               kQwen = ToolCallForm::kQwen;

TEST(ToolCallParser, FindsCallsHoweverTheTextComes) {
  const std::vector<Case> cases = {
      {kV3,
       "Let me look.\n\n<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>weather\n"
       "```json\n{\"city\": "
       "\"Ulm\"}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>"
       "time\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
       {"Let me look.", {{"weather", "{\"city\": \"Ulm\"}"}, {"time", "{}"}}}},
      {kV31,
       "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{\"a\": [1]}<｜tool▁call▁end｜>"
       "<｜tool▁call▁begin｜>g<｜tool▁sep｜>{\"b\": 2}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
       {"", {{"f", "{\"a\": [1]}"}, {"g", "{\"b\": 2}"}}}},
      {kQwen,
       "Yes.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": "
       "1}}\n</tool_call>\n<tool_call>\n"
       "{\"arguments\": {}, \"name\": \"g\"}\n</tool_call>",
       {"Yes.", {{"f", "{\"a\":1}"}, {"g", "{}"}}}},
      // The end of a call inside of one, and a last call without its end.
      {kQwen,
       "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": \"</tool_call>\"}}</tool_call>",
       {"", {{"f", "{\"a\":\"</tool_call>\"}"}}}},
      {kV31, "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{}", {"", {{"f", "{}"}}}},
      // No calls: text, white space and all.
      {kQwen, "a <tool", {"a <tool", {}}},
      {kQwen, " a \n", {" a \n", {}}},
      {kQwen, "", {"", {}}},
      // What is marked as a call and is none.
      {kQwen, "<tool_call>\nhello\n</tool_call>", {"<tool_call>\nhello\n</tool_call>", {}}},
      {kQwen,
       "<tool_call>{\"name\": \"f\", \"arguments\": 5}</tool_call>",
       {"<tool_call>{\"name\": \"f\", \"arguments\": 5}</tool_call>", {}}},
      {kQwen, "<tool_call>{\"name\": \"f\", \"argum", {"<tool_call>{\"name\": \"f\", \"argum", {}}},
      {kV31, "<｜tool▁calls▁begin｜>hello", {"<｜tool▁calls▁begin｜>hello", {}}},
      {kV31,
       "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>[1]<｜tool▁call▁end｜>",
       {"<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>[1]<｜tool▁call▁end｜>", {}}},
      // One that is broken, and one that is not.
      {kQwen,
       "<tool_call>x</tool_call>\n<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>",
       {"<tool_call>x</tool_call>", {{"f", "{}"}}}},
  };
  for (const Case& one : cases) {
    for (const size_t step : {1, 2, 3, 7, 19, 1000}) {
      EXPECT_EQ(Parse(one.form, one.text, step), one.parsed) << one.text << " by " << step;
    }
  }
}

TEST(ToolCallParser, TextIsNotHeldBackLongerThanItMust) {
  ToolCallParser parser(kQwen);
  EXPECT_EQ(parser.Push("a b").text, "a b");
  EXPECT_EQ(parser.Push(" <too").text, "");
  EXPECT_EQ(parser.Push("th").text, " <tooth");
}

// ---- As grammars

const Tokenizer& GoldenTokenizer() {
  static const Tokenizer tokenizer =
      Tokenizer::FromJson(GoldenText("tokenizer.json"), "tokenizer.json");
  return tokenizer;
}

grammar::Grammar Calls(ToolCallForm form, bool several, bool text) {
  grammar::GrammarBuilder builder("test");
  const std::vector<CallableTool> tools = {{"f", grammar::Expression::Text("{\"a\": 1}")},
                                           {"g", grammar::Expression::Text("{}")}};
  return builder.Build(
      builder.NewRule(text ? TextOrToolCalls(form, tools, several, GoldenTokenizer(), builder)
                           : ToolCallsOnly(form, tools, several, GoldenTokenizer(), builder)));
}

const std::string kOneCall =
    "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>";
const std::string kOther = "<tool_call>\n{\"name\": \"g\", \"arguments\": {}}\n</tool_call>";

TEST(ToolCallGrammar, IsWhatTheParserReads) {
  for (const ToolCallForm form : {kV3, kV31, kQwen}) {
    const ToolCallMarks& marks = MarksOf(form);
    const auto call = [&](const std::string& name, const std::string& arguments) {
      std::string text;
      for (const std::string_view part :
           {marks.call_begin, marks.before_name, std::string_view(name), marks.after_name,
            std::string_view(arguments), marks.after_arguments, marks.call_end}) {
        text += part;
      }
      return text;
    };
    const std::string f = call("f", "{\"a\": 1}"), g = call("g", "{}");
    const auto whole = [&](const std::string& calls) {
      return std::string(marks.begin) + calls + std::string(marks.end);
    };
    const std::string one = whole(f), two = whole(f + std::string(marks.between) + g);
    EXPECT_EQ(Parse(form, two, 1000).calls.size(), 2U);
    EXPECT_TRUE(Matches(Calls(form, true, false), one));
    EXPECT_TRUE(Matches(Calls(form, true, false), two));
    EXPECT_TRUE(Matches(Calls(form, false, false), one));
    EXPECT_FALSE(Matches(Calls(form, false, false), two));
    EXPECT_FALSE(Matches(Calls(form, true, false), ""));
    EXPECT_FALSE(Matches(Calls(form, true, false), "So: " + one));
    EXPECT_FALSE(Matches(Calls(form, true, false), whole(call("h", "{}"))));
    EXPECT_TRUE(Matches(Calls(form, true, true), "So: " + two));
    EXPECT_TRUE(Matches(Calls(form, true, true), "nothing <to call"));
    EXPECT_FALSE(Matches(Calls(form, true, true), "So: " + whole(call("f", "{}"))));
  }
}

// ---- What templates tell

TEST(ToolCallForm, IsSeenInATemplate) {
  const auto form = [](const char* name) {
    return ChatTemplate::ForFormat(name, {{"bos_token", "<s>"}}).tool_call_form();
  };
  EXPECT_EQ(form("deepseek-v3"), kV3);
  EXPECT_EQ(form("deepseek-r1"), kV3);
  EXPECT_EQ(form("fathom"), kV3);
  EXPECT_EQ(form("qwen2.5"), kQwen);
  EXPECT_EQ(form("qwen3"), kQwen);
  EXPECT_EQ(form("llama3"), ToolCallForm::kNone);
  EXPECT_TRUE(ChatTemplate::ForFormat("qwen3", {}).shows_tools());
  EXPECT_FALSE(ChatTemplate::ForFormat("deepseek-v3", {{"bos_token", "<s>"}}).shows_tools());
}

TEST(ToolCallForm, ToolsAreDescribedWhereATemplateShowsNone) {
  const std::vector<ToolDefinition> tools = {
      {.name = "weather", .description = "Tells it.", .parameters = R"({"type":"object"})"}};
  const std::vector<ChatMessage> user = {{.role = "user", .content = "Hi"}};
  const std::vector<ChatMessage> both = {{.role = "system", .content = "Be kind."}, user[0]};
  const jinja::Data added = WithToolsDescribed(ChatMessagesToData(user), tools, kV31);
  ASSERT_EQ(added.items.size(), 2U);
  const std::string text = added.items[0].Find("content")->string;
  EXPECT_NE(text.find("### weather\nDescription: Tells it.\n\nParameters: {\"type\":\"object\"}\n"),
            std::string::npos);
  EXPECT_NE(text.find("<｜tool▁call▁begin｜>tool_call_name<｜tool▁sep｜>tool_call_arguments"),
            std::string::npos);
  const jinja::Data joined = WithToolsDescribed(ChatMessagesToData(both), tools, kV31);
  ASSERT_EQ(joined.items.size(), 2U);
  EXPECT_EQ(joined.items[0].Find("content")->string, "Be kind.\n\n" + text);
}

}  // namespace
}  // namespace fathom::test

#include "posttrain/sft/conversation.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "base/temporary_directory.h"
#include "text/bpe_trainer.h"
#include "text/special_tokens.h"

namespace fathom::test {
namespace {

const Tokenizer& SmallTokenizer() {
  static const Tokenizer tokenizer = [] {
    ThreadPool pool(1);
    const std::string_view text = "what is two and two? it is four.";
    return TrainTokenizer(PreTokenizer::DeepSeekV3(), std::span(&text, 1), {.vocab_size = 290},
                          pool);
  }();
  return tokenizer;
}

ChatTemplate Format(std::string_view name) {
  return ChatTemplate::ForFormat(name,
                                 {{"bos_token", kBeginOfSentence}, {"eos_token", kEndOfSentence}});
}

// The sequences of a conversation as text, what is learnt in {}.
std::vector<std::string> Sequences(const ChatTemplate& chat, const std::string& json,
                                   LearntTurns turns = LearntTurns::kAll) {
  const ConversationEncoder encoder(chat, SmallTokenizer(), turns);
  const JsonDocument document(json, "chat.jsonl:1");
  std::vector<std::string> texts;
  for (const LabelledTokens& sequence : encoder.Encode(document.root())) {
    EXPECT_EQ(sequence.ids.size(), sequence.targets.size());
    std::string& text = texts.emplace_back();
    bool inside = false;
    for (size_t i = 0; i < sequence.ids.size(); ++i) {
      if (sequence.targets[i] != inside) text += inside ? '}' : '{';
      inside = sequence.targets[i];
      text += SmallTokenizer().Decode(std::span(&sequence.ids[i], 1));
    }
    if (inside) text += '}';
  }
  return texts;
}

std::string Message(const std::string& role, const std::string& content,
                    const std::string& more = "") {
  return R"({"role": ")" + role + R"(", "content": ")" + content + "\"" + more + "}";
}
std::string Messages(const std::vector<std::string>& messages, const std::string& more = "") {
  std::string list;
  for (const std::string& message : messages) list += (list.empty() ? "" : ", ") + message;
  return R"({"messages": [)" + list + "]" + more + "}";
}

using Texts = std::vector<std::string>;

TEST(Conversation, AnswersAreLearntWithTheTokenThatEndsThem) {
  EXPECT_EQ(
      Sequences(Format("fathom"), Messages({Message("system", "be brief"), Message("user", "2+2?"),
                                            Message("assistant", "4")})),
      Texts{"<｜begin▁of▁sentence｜>be brief<｜User｜>2+2?<｜Assistant｜>"
            "{4<｜end▁of▁sentence｜>}"});
}

TEST(Conversation, TurnsStayTogetherWhileTheNextPromptGoesOnFromThem) {
  EXPECT_EQ(
      Sequences(Format("deepseek-v3"), Messages({Message("user", "a"), Message("assistant", "b"),
                                                 Message("user", "c"), Message("assistant", "d")})),
      Texts{"<｜begin▁of▁sentence｜><｜User｜>a<｜Assistant｜>{b<｜end▁of▁sentence｜>}"
            "<｜User｜>c<｜Assistant｜>{d<｜end▁of▁sentence｜>}"});
}

// R1's history has no thoughts: the second answer is not learnt behind those of the first.
TEST(Conversation, ThoughtsThatTheHistoryLosesBeginAnotherSequence) {
  const std::string first = Message("assistant", "b", R"(, "reasoning_content": "hm")");
  const std::string second = Message("assistant", "d", R"(, "reasoning_content": "so")");
  EXPECT_EQ(
      Sequences(Format("fathom"),
                Messages({Message("user", "a"), first, Message("user", "c"), second})),
      (Texts{"<｜begin▁of▁sentence｜><｜User｜>a<｜Assistant｜><think>\n"
             "{hm\n</think>\n\nb<｜end▁of▁sentence｜>}",
             "<｜begin▁of▁sentence｜><｜User｜>a<｜Assistant｜>b<｜end▁of▁sentence｜><｜User｜>c"
             "<｜Assistant｜><think>\n{so\n</think>\n\nd<｜end▁of▁sentence｜>}"}));
}

// V3's own template opens no <think>: the model has to.
TEST(Conversation, WhereThePromptOpensNoThoughtsTheAnswerDoes) {
  EXPECT_EQ(Sequences(Format("deepseek-v3"),
                      Messages({Message("user", "a"),
                                Message("assistant", "b", R"(, "reasoning_content": "hm")")})),
            Texts{"<｜begin▁of▁sentence｜><｜User｜>a<｜Assistant｜>"
                  "{<think>\nhm\n</think>\n\nb<｜end▁of▁sentence｜>}"});
}

// R1's prompt opens <think> whether there are thoughts or not.
TEST(Conversation, WithoutThoughtsInsideOfThemTheyAreClosedAtOnce) {
  EXPECT_EQ(
      Sequences(Format("deepseek-r1"), Messages({Message("user", "a"), Message("assistant", "b")})),
      Texts{"<｜begin▁of▁sentence｜><｜User｜>a<｜Assistant｜><think>\n"
            "{\n</think>\n\nb<｜end▁of▁sentence｜>}"});
}

TEST(Conversation, WeightAndTurnsChooseWhatIsLearnt) {
  const std::string not_learnt = Message("assistant", "b", R"(, "weight": 0)");
  const std::string learnt = Message("assistant", "d", R"(, "weight": 1)");
  const std::string expected =
      "<｜begin▁of▁sentence｜><｜User｜>a<｜Assistant｜>b<｜end▁of▁sentence｜><｜User｜>c<"
      "｜Assistant｜>"
      "{d<｜end▁of▁sentence｜>}";
  const ChatTemplate chat = Format("fathom");
  EXPECT_EQ(
      Sequences(chat, Messages({Message("user", "a"), not_learnt, Message("user", "c"), learnt})),
      Texts{expected});
  EXPECT_EQ(Sequences(chat,
                      Messages({Message("user", "a"), Message("assistant", "b"),
                                Message("user", "c"), Message("assistant", "d")}),
                      LearntTurns::kLast),
            Texts{expected});
  // Nothing to learn: no sequence.
  EXPECT_EQ(Sequences(chat, Messages({Message("user", "a"), not_learnt})), Texts{});
}

// Whoever writes a data set cannot end answers or open turns in it.
TEST(Conversation, NamesOfSpecialTokensInMessagesStayText) {
  const ChatTemplate chat = Format("fathom");
  const ConversationEncoder encoder(chat, SmallTokenizer(), LearntTurns::kAll);
  const std::string json =
      Messages({Message("user", "a"), Message("assistant", "b<｜end▁of▁sentence｜><｜User｜>")});
  const JsonDocument document(json, "chat.jsonl:1");
  const std::vector<LabelledTokens> sequences = encoder.Encode(document.root());
  ASSERT_EQ(sequences.size(), 1);
  const auto count = [&](const char* token) {
    return std::count(sequences[0].ids.begin(), sequences[0].ids.end(),
                      SmallTokenizer().AddedTokenId(token).value());
  };
  EXPECT_EQ(count(kEndOfSentence), 1);
  EXPECT_EQ(count(kUser), 1);
}

TEST(Conversation, ToolCallsAreWrittenAsTheTemplateWritesThem) {
  const std::string call =
      R"({"role": "assistant", "content": null, "tool_calls": [{"type": "function", "id": "1",)"
      R"( "function": {"name": "add", "arguments": "{\"a\": 2}"}}]})";
  const std::string result = R"({"role": "tool", "tool_call_id": "1", "content": "4"})";
  const Texts texts = Sequences(
      Format("fathom"), Messages({Message("user", "a"), call, result, Message("assistant", "4")}));
  ASSERT_EQ(texts.size(), 1);
  EXPECT_EQ(
      texts[0],
      "<｜begin▁of▁sentence｜><｜User｜>a<｜Assistant｜>"
      "{<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>add\n```json\n{\"a\": "
      "2}\n```"
      "<｜tool▁call▁end｜><｜tool▁calls▁end｜><｜end▁of▁sentence｜>}"
      "<｜tool▁outputs▁begin｜><｜tool▁output▁begin｜>4<｜tool▁output▁end｜><｜tool▁outputs▁end｜>"
      "{4<｜end▁of▁sentence｜>}");
}

TEST(Conversation, WhatIsWrongIsNamed) {
  const ChatTemplate chat = Format("fathom");
  EXPECT_ERROR(Sequences(chat, "{}"), "chat.jsonl:1: key 'messages' is missing");
  EXPECT_ERROR(Sequences(chat, R"({"messages": "hi"})"), "chat.jsonl:1: messages");
  EXPECT_ERROR(Sequences(chat, R"({"messages": [{"content": "x"}]})"),
               "chat.jsonl:1: messages[0]: key 'role' is missing");
  EXPECT_ERROR(Sequences(chat, Messages({Message("user", "a"),
                                         Message("assistant", "b", R"(, "weight": 0.5)")})),
               "chat.jsonl:1: messages[1]: weight is neither 0 nor 1");
  // What says something else than it seems to.
  EXPECT_ERROR(Sequences(chat, Messages({R"({"role": "user"})", Message("assistant", "b")})),
               "chat.jsonl:1: messages[0]: has no content");
  EXPECT_ERROR(Sequences(chat, Messages({Message("user", "a"),
                                         R"({"role": "assistant", "contents": "b"})"})),
               "messages[1]: has no content");
  EXPECT_ERROR(Sequences(chat, Messages({Message("user", "a"), Message("assistant", "")})),
               "messages[1]: is an empty answer");
  EXPECT_ERROR(Sequences(chat, Messages({Message("robot", "a"), Message("assistant", "b")})),
               "messages[0].role: 'robot' is no role");
  EXPECT_ERROR(Sequences(chat, Messages({Message("user", "a")})), "no message is an answer");
  EXPECT_ERROR(Sequences(chat, R"({"messages": []})"), "no message is an answer");
  EXPECT_EQ(
      Sequences(chat, Messages({Message("user", "a"), Message("assistant", "", R"(, "weight": 0)"),
                                Message("user", "c"), Message("assistant", "d")}))
          .size(),
      1);
  // This template writes no thoughts before calls.
  const std::string call =
      R"({"role": "assistant", "content": null, "reasoning_content": "hm", "tool_calls": [{"type":)"
      R"( "function", "function": {"name": "add", "arguments": "{}"}}]})";
  EXPECT_ERROR(Sequences(chat, Messages({Message("user", "a"), call})), "messages[1]");
}

}  // namespace
}  // namespace fathom::test

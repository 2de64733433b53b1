#include "text/chat/transcript.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "text/chat/prompt.h"
#include "text/special_tokens.h"
#include "text/text_golden.h"

namespace fathom {
namespace {

using jinja::Text;
using Ids = std::vector<int32_t>;

const Tokenizer& GoldenTokenizer() {
  static const Tokenizer tokenizer =
      Tokenizer::FromJson(GoldenText("tokenizer.json"), "tokenizer.json");
  return tokenizer;
}

Text Joined(std::initializer_list<Text> parts) {
  Text text;
  for (const Text& part : parts) text.Append(part);
  return text;
}
Text Template(std::string_view bytes) { return Text(bytes, true); }
Text User(std::string_view bytes) { return Text(bytes, false); }

// "and" written as three tokens, as no encoder would.
Ids Unusual() {
  Ids ids;
  for (const char* letter : {"a", "n", "d"}) GoldenTokenizer().Encode(letter, {}, ids);
  return ids;
}

TEST(ChatTranscript, WhatTheModelWroteStaysAsItWroteIt) {
  ASSERT_NE(GoldenTokenizer().Encode("and"), Unusual());
  ChatTranscript transcript(GoldenTokenizer());
  const Text question = Joined({Template(kBeginOfSentence), User("What?"), Template("\nA: ")});
  const Ids first = transcript.Encode(question);
  EXPECT_EQ(first, EncodePrompt(GoldenTokenizer(), question));
  transcript.Append(Unusual(), "and");
  const Text rest = Joined({Template(kEndOfSentence), User("More?"), Template("\nA: ")});
  Ids expected = first;
  for (const Ids& more : {Unusual(), EncodePrompt(GoldenTokenizer(), rest)}) {
    expected.insert(expected.end(), more.begin(), more.end());
  }
  const Text second = Joined({question, User("and"), rest});
  EXPECT_EQ(transcript.Encode(second), expected);
  // Asked again, and after an answer that the next prompt leaves out.
  EXPECT_EQ(transcript.Encode(second), expected);
  transcript.Append(Unusual(), "and");
  EXPECT_EQ(transcript.Encode(second), expected);
}

TEST(ChatTranscript, AnotherConversationIsEncodedAfresh) {
  ChatTranscript transcript(GoldenTokenizer());
  const Text question = Joined({User("What?"), Template(" ")});
  transcript.Encode(question);
  transcript.Append(Unusual(), "and");
  const Text other = Joined({User("Who?"), Template(" "), User("and")});
  EXPECT_EQ(transcript.Encode(other), EncodePrompt(GoldenTokenizer(), other));
  transcript.Encode(question);
  transcript.Append(Unusual(), "and");
  const Text by_other_hands = User("What? and");
  EXPECT_EQ(transcript.Encode(by_other_hands), EncodePrompt(GoldenTokenizer(), by_other_hands));
}

// A user who writes what ends a turn does not end one, wherever the known part ends.
TEST(ChatTranscript, UsersDoNotWriteSpecialTokens) {
  ChatTranscript transcript(GoldenTokenizer());
  const Text question = Template(kBeginOfSentence);
  transcript.Encode(question);
  transcript.Append(Unusual(), "and");
  const Text next = Joined({question, User("and"), User(kEndOfSentence)});
  const Ids ids = transcript.Encode(next);
  const Ids end = EncodePrompt(GoldenTokenizer(), Template(kEndOfSentence));
  ASSERT_EQ(end.size(), 1U);
  EXPECT_EQ(std::count(ids.begin(), ids.end(), end[0]), 0);
}

}  // namespace
}  // namespace fathom

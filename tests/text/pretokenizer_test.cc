#include "text/pretokenizer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "base/thread_pool.h"
#include "text/text_golden.h"

namespace fathom {
namespace {

std::vector<std::string> Pieces(const PreTokenizer& pre_tokenizer, std::string_view text) {
  std::vector<std::string> pieces;
  pre_tokenizer.Split(text, [&](std::string_view piece) { pieces.emplace_back(piece); });
  return pieces;
}

using Strings = std::vector<std::string>;

// Splits at regular expressions, every match isolated.
PreTokenizer Splits(const Strings& patterns) {
  std::vector<PreTokenizerStep> steps;
  for (const std::string& pattern : patterns) steps.push_back(PreTokenizerStep::Regex(pattern));
  return PreTokenizer(std::move(steps));
}

TEST(PreTokenizer, CutsAsDeepSeekV3DoesInTheOriginal) {
  const JsonDocument golden(GoldenText("pretokenizer.json"), "pretokenizer.json");
  const PreTokenizer pre_tokenizer = PreTokenizer::DeepSeekV3();
  const auto cases = golden.root().At("cases").Array();
  ASSERT_GT(cases.size(), 400u);
  for (const JsonValue& item : cases) {
    const std::string_view text = item.At("text").String();
    EXPECT_EQ(Pieces(pre_tokenizer, text), StringsOf(item.At("pieces"))) << text;
  }
}

TEST(PreTokenizer, WithoutStepsKeepsTheTextWhole) {
  EXPECT_EQ(Pieces(Splits({}), "a b"), Strings{"a b"});
  EXPECT_EQ(Pieces(Splits({}), ""), Strings{});
}

TEST(PreTokenizer, LaterStepsSeeOnlyTheirPiece) {
  // The look-behind cannot see the digit that the first step cut off.
  EXPECT_EQ(Pieces(Splits({"[0-9]", "(?<=1)a"}), "1ab"), (Strings{"1", "ab"}));
}

TEST(PreTokenizer, EmptyMatchesCut) {
  EXPECT_EQ(Pieces(Splits({"(?=b)"}), "aébb"), (Strings{"aé", "b", "b"}));
  EXPECT_EQ(Pieces(Splits({"x*"}), "axxb"), (Strings{"a", "xx", "b"}));
}

TEST(PreTokenizer, WhiteSpaceIsTheUnicodeProperty) {
  // U+180E has not been white space since Unicode 6.3; U+0085 and U+3000 are.
  const PreTokenizer space = Splits({"\\s+"});
  EXPECT_EQ(Pieces(space, "a\u0085\u3000b\u180Ec"), (Strings{"a", "\u0085\u3000", "b\u180Ec"}));
  const PreTokenizer not_space = Splits({"\\S+"}), set = Splits({"[^\\S\\n]+"});
  EXPECT_EQ(Pieces(not_space, "a\u180E b"), (Strings{"a\u180E", " ", "b"}));
  EXPECT_EQ(Pieces(set, "a \u3000\n\u180E"), (Strings{"a", " \u3000", "\n\u180E"}));
}

TEST(PreTokenizer, LongRunsAreLinear) {
  const std::vector<PreTokenizer> families = {
      PreTokenizer::DeepSeekV3(), PreTokenizer::DeepSeekV2(), PreTokenizer::DeepSeekCoder(),
      PreTokenizer::Qwen2(),      PreTokenizer::Llama3(),     PreTokenizer::Gpt2()};
  for (const std::string_view unit : {" ", "a", "!", "\n", "1", " \n", "中", "\u0301"}) {
    std::string text;
    while (text.size() < (1 << 20)) text += unit;
    text += "x";
    for (const PreTokenizer& pre_tokenizer : families) {
      size_t bytes = 0;
      pre_tokenizer.Split(text, [&](std::string_view piece) { bytes += piece.size(); });
      EXPECT_EQ(bytes, text.size());
    }
  }
}

TEST(PreTokenizer, AnEndlessPatternIsAnError) {
  const PreTokenizer slow = Splits({"(a+)+$"});
  EXPECT_THROW(Pieces(slow, std::string(60, 'a') + "b"), Error);
}

Strings Cut(PreTokenizerStep::Kind kind, const std::string& pattern, SplitBehavior behavior,
            bool invert, std::string_view text) {
  return Pieces(PreTokenizer({PreTokenizerStep{kind, pattern, behavior, invert}}), text);
}

// The examples of the original's documentation.
TEST(PreTokenizer, BehavesLikeTheOriginalAtMatches) {
  const std::string_view text = "the-final--countdown";
  for (const auto kind : {PreTokenizerStep::Kind::kRegex, PreTokenizerStep::Kind::kLiteral}) {
    const auto cut = [&](SplitBehavior behavior) { return Cut(kind, "-", behavior, false, text); };
    EXPECT_EQ(cut(SplitBehavior::kRemoved), (Strings{"the", "final", "countdown"}));
    EXPECT_EQ(cut(SplitBehavior::kIsolated), (Strings{"the", "-", "final", "-", "-", "countdown"}));
    EXPECT_EQ(cut(SplitBehavior::kMergedWithPrevious),
              (Strings{"the-", "final-", "-", "countdown"}));
    EXPECT_EQ(cut(SplitBehavior::kMergedWithNext), (Strings{"the", "-final", "-", "-countdown"}));
    EXPECT_EQ(cut(SplitBehavior::kContiguous), (Strings{"the", "-", "final", "--", "countdown"}));
  }
  EXPECT_EQ(Cut(PreTokenizerStep::Kind::kRegex, "[a-z]+", SplitBehavior::kRemoved, true, text),
            (Strings{"the", "final", "countdown"}));
  EXPECT_EQ(Cut(PreTokenizerStep::Kind::kLiteral, "", SplitBehavior::kIsolated, false, "a\u00E9b"),
            (Strings{"a", "\u00E9", "b"}));
}

TEST(PreTokenizer, OtherStepsAreTheOriginals) {
  const auto digits = [](bool individual) {
    return PreTokenizer({PreTokenizerStep::Digits(individual)});
  };
  EXPECT_EQ(Pieces(digits(true), "Call 911!"), (Strings{"Call ", "9", "1", "1", "!"}));
  EXPECT_EQ(Pieces(digits(false), "Call 911!"), (Strings{"Call ", "911", "!"}));
  EXPECT_EQ(
      Cut(PreTokenizerStep::Kind::kPunctuation, "", SplitBehavior::kIsolated, false, "Hello, you$"),
      (Strings{"Hello", ",", " you", "$"}));
  EXPECT_EQ(Cut(PreTokenizerStep::Kind::kWhitespace, "", SplitBehavior::kRemoved, true,
                "Hello there! a_b..."),
            (Strings{"Hello", "there", "!", "a_b", "..."}));
  EXPECT_EQ(
      Cut(PreTokenizerStep::Kind::kWhitespaceSplit, "", SplitBehavior::kRemoved, false, " a  b!\n"),
      (Strings{"a", "b!"}));
}

TEST(PreTokenizer, ByteLevelCanAddASpaceAndCutWords) {
  EXPECT_EQ(Pieces(PreTokenizer({}, {.add_prefix_space = true}), "a b"), Strings{" a b"});
  EXPECT_EQ(Pieces(PreTokenizer({}, {.add_prefix_space = true, .use_regex = true}), "it's  12"),
            (Strings{" it", "'s", " ", " 12"}));
  EXPECT_EQ(
      Pieces(PreTokenizer({PreTokenizerStep::Regex("b")}, {.add_prefix_space = true}), " abc"),
      (Strings{" a", " b", " c"}));
  EXPECT_EQ(Pieces(PreTokenizer::Gpt2(), "Hello  world's 2"),
            (Strings{"Hello", " ", " world", "'s", " 2"}));
}

TEST(PreTokenizer, RefusesTooManySteps) {
  EXPECT_THROW(Splits(Strings(65, "a")), Error);
  EXPECT_NO_THROW(Splits(Strings(64, "a")));
}

TEST(PreTokenizer, ServesSeveralThreads) {
  const PreTokenizer pre_tokenizer = PreTokenizer::DeepSeekV3();
  ThreadPool pool(4);
  std::vector<Strings> results(4);
  pool.Run([&](int thread) {
    for (int i = 0; i < 50; ++i)
      results[thread] = Pieces(pre_tokenizer, "It's 12345 o'clock,\n\n中文");
  });
  for (const Strings& result : results) {
    EXPECT_EQ(result, (Strings{"It", "'s", " ", "123", "45", " o", "'clock", ",\n\n", "中文"}));
  }
}

}  // namespace
}  // namespace fathom

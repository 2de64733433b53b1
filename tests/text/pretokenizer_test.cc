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
  for (const std::string_view unit : {" ", "a", "!", "\n", "1", " \n", "中", "\u0301"}) {
    std::string text;
    while (text.size() < (4 << 20)) text += unit;
    size_t bytes = 0;
    PreTokenizer::DeepSeekV3().Split(text, [&](std::string_view piece) { bytes += piece.size(); });
    EXPECT_EQ(bytes, text.size());
  }
}

TEST(PreTokenizer, AnEndlessPatternIsAnError) {
  const PreTokenizer slow = Splits({"(a+)+$"});
  EXPECT_THROW(Pieces(slow, std::string(60, 'a') + "b"), Error);
}

TEST(PreTokenizer, RefusesWhatItCannotRead) {
  EXPECT_THROW(Splits({"("}), Error);
  EXPECT_THROW(Splits({"[a[b]]"}), Error);
  EXPECT_THROW(Splits({"[a&&b]"}), Error);
  EXPECT_THROW(Splits({"[[:digit"}), Error);
  EXPECT_THROW(Splits({"a\\Cb"}), Error);
  EXPECT_THROW(Splits({std::string(100'000, 'a')}), Error);
  EXPECT_THROW(Splits({std::string(5000, '(')}), Error);
  EXPECT_NO_THROW(Splits({"[[:digit:]]+"}));
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

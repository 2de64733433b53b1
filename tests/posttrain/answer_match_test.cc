#include "posttrain/answers/answer_match.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "posttrain/answer_pairs.h"

namespace fathom {
namespace {

static_assert(std::size(kEquivalent) + std::size(kDifferent) >= 300);

TEST(MathAnswers, EquivalentOnesMatchBothWays) {
  for (const auto& [right, given] : kEquivalent) {
    EXPECT_TRUE(MathAnswersMatch(right, given)) << right << "   |   " << given;
    EXPECT_TRUE(MathAnswersMatch(given, right)) << given << "   |   " << right;
  }
}

TEST(MathAnswers, DifferentOnesDoNotMatchEitherWay) {
  for (const auto& [right, given] : kDifferent) {
    EXPECT_FALSE(MathAnswersMatch(right, given)) << right << "   |   " << given;
    EXPECT_FALSE(MathAnswersMatch(given, right)) << given << "   |   " << right;
  }
}

TEST(MathAnswers, ATolerancePermitsApproximations) {
  const AnswerMatchOptions two_percent{.relative_tolerance = 0.02};
  EXPECT_TRUE(MathAnswersMatch("\\frac{1}{3}", "0.333", two_percent));
  EXPECT_TRUE(MathAnswersMatch("\\pi", "3.14", two_percent));
  EXPECT_TRUE(MathAnswersMatch("(1,\\sqrt{2})", "(1, 1.414)", two_percent));
  EXPECT_FALSE(MathAnswersMatch("\\pi", "3.3", two_percent));
  EXPECT_FALSE(MathAnswersMatch("2x", "2.01x", two_percent));
}

// What a model may come up with after a while of training: no answer, and none takes long.
TEST(MathAnswers, HostileAnswersEndQuickly) {
  const auto repeated = [](std::string_view piece, int times) {
    std::string text;
    for (int i = 0; i < times; ++i) text += piece;
    return text;
  };
  const std::string hostile[] = {
      repeated("(", 4000),
      repeated("(", 300) + "1" + repeated(")", 300),
      repeated("\\sqrt{", 300) + "2" + repeated("}", 300),
      repeated("\\frac{1}{", 300) + "2" + repeated("}", 300),
      repeated("-", 4000) + "1",
      repeated("{", 4000),
      repeated("|", 599),
      repeated("1,", 2000) + "1",
      repeated("\\{1,", 100) + "1" + repeated("\\}", 100),
      repeated("1000!+", 140) + "1",
      repeated("1\\pm ", 299) + "1",
      repeated("x", 590),
      repeated("\\sin ", 590) + "x",
      repeated("(x+1)", 110),
      repeated("\\text{", 1000) + repeated("}", 1000),
      repeated("$", 3001),
      repeated("9^{", 200) + "9" + repeated("}", 200),
      "9^9^9^9^9^9",
      "9^{9^{9^{9}}}",
      "1e999999999",
      "10^{-999999999}",
      "(10^{100}!)!",
      "\\binom{10^{9}}{10^{8}}",
      "\\sqrt[1000000]{2}",
      "0." + repeated("0", 3900) + "1",
      repeated("9", 4000),
      std::string(100'000, 'a'),
      std::string("\0\1\2", 3),
      "\xff\xfe",
      "\\begin{pmatrix}" + repeated("1 & ", 140) + "1\\end{pmatrix}",
  };
  const auto start = std::chrono::steady_clock::now();
  for (const std::string& text : hostile) {
    EXPECT_FALSE(MathAnswersMatch("42", text)) << text.substr(0, 50);
    EXPECT_FALSE(MathAnswersMatch("\\sqrt{2}+x", text)) << text.substr(0, 50);
    MathAnswersMatch(text, text);
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  EXPECT_LT(seconds.count(), 20);
}

TEST(TextAnswers, AreWords) {
  EXPECT_TRUE(TextAnswersMatch("Paris", " paris. "));
  EXPECT_TRUE(TextAnswersMatch("3, 5, 7", "3,5,  7"));
  EXPECT_TRUE(TextAnswersMatch("New York", "\"new  york\""));
  EXPECT_TRUE(TextAnswersMatch("abc", "\\text{ABC}"));
  EXPECT_FALSE(TextAnswersMatch("3, 5, 7", "5, 3, 7"));
  EXPECT_FALSE(TextAnswersMatch("dog", "god"));
  EXPECT_FALSE(TextAnswersMatch("New York", "newyork"));
}

TEST(ChoiceAnswers, AreLetters) {
  for (const char* given :
       {"B", "b", "(B)", "B.", "B)", "**B**", "\\boxed{B}", "B: Paris", "[B]", "\\text{(B)}"}) {
    EXPECT_TRUE(ChoiceAnswersMatch("B", given)) << given;
  }
  for (const char* given : {"A", "", "Because", "AB", "not B", "(A)", "a bird"}) {
    EXPECT_FALSE(ChoiceAnswersMatch("B", given)) << given;
  }
  EXPECT_FALSE(ChoiceAnswersMatch("A", "a bird"));
}

TEST(ExpressionAnswers, UseEveryNumberOnceAndHitTheTarget) {
  const int64_t numbers[] = {3, 7, 25, 50};
  for (const char* given : {"50 + 25 + 7 * 3", "(50+25) + 3*7", "96 = 50", "3 \\times 7 + 50 + 25",
                            "$50+25+7 \\cdot 3 = 96$"}) {
    EXPECT_EQ(ExpressionAnswerMatches("96", numbers, given), std::string_view(given) != "96 = 50")
        << given;
  }
  for (const char* given : {"96", "50 + 25 + 21", "50 + 25 + 7 + 3", "50 + 50 - 4", "",
                            "50 + 25 + 7 * 3 + 0", "50 + 25 + 7 * 3 * 1", "50 + 25 + 3 * 7 x"}) {
    EXPECT_FALSE(ExpressionAnswerMatches("96", numbers, given)) << given;
  }
  // Fractions on the way are exact.
  const int64_t eights[] = {8, 3, 8, 3};
  EXPECT_TRUE(ExpressionAnswerMatches("24", eights, "8 / (3 - 8 / 3)"));
}

}  // namespace
}  // namespace fathom

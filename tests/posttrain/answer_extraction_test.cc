#include "posttrain/answers/answer_extraction.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/temporary_directory.h"

namespace fathom {
namespace {

std::string Found(std::string_view text, AnswerRule rule) {
  return ExtractAnswer(text, {&rule, 1}).value_or("(none)");
}

TEST(AnswerExtraction, Boxed) {
  const auto found = [](std::string_view text) { return Found(text, AnswerRule::kBoxed); };
  EXPECT_EQ(found("so $\\boxed{\\frac{1}{2}}$."), "\\frac{1}{2}");
  EXPECT_EQ(found("first \\boxed{1}, then \\boxed{2}"), "2");
  EXPECT_EQ(found("\\boxed{ {a}{b} }"), "{a}{b}");
  EXPECT_EQ(found("\\boxed{\\{1,2\\}}"), "\\{1,2\\}");
  EXPECT_EQ(found("\\boxed 5 apples"), "5");
  // What was cut off is no answer; what stands before it is.
  EXPECT_EQ(found("\\boxed{3} and \\boxed{4"), "3");
  EXPECT_EQ(found("\\boxed{4"), "(none)");
  EXPECT_EQ(found("boxed 4"), "(none)");
}

TEST(AnswerExtraction, TagsAndHashes) {
  EXPECT_EQ(Found("<answer> 42 </answer>", AnswerRule::kTags), "42");
  EXPECT_EQ(Found("<answer>1</answer> or <answer>2</answer>", AnswerRule::kTags), "2");
  EXPECT_EQ(Found("<answer>42", AnswerRule::kTags), "(none)");
  EXPECT_EQ(Found("5+5=10\n#### 10\nmore", AnswerRule::kHash), "10");
  EXPECT_EQ(Found("no mark", AnswerRule::kHash), "(none)");
}

TEST(AnswerExtraction, Sentences) {
  const auto found = [](std::string_view text) { return Found(text, AnswerRule::kSentence); };
  EXPECT_EQ(found("So the answer is 3.5. That is all."), "3.5");
  EXPECT_EQ(found("**Answer:** 12 apples\nDone"), "12 apples");
  EXPECT_EQ(found("Final Answer: The final answer is $5$. I hope it is correct."), "$5$");
  EXPECT_EQ(found("The answer is: (B)"), "(B)");
  EXPECT_EQ(found("nothing"), "(none)");
}

TEST(AnswerExtraction, LastNumber) {
  const auto found = [](std::string_view text) { return Found(text, AnswerRule::kNumber); };
  EXPECT_EQ(found("He has 3 and then 12 apples."), "12");
  EXPECT_EQ(found("It costs $1,234.50."), "1,234.50");
  EXPECT_EQ(found("x = -7"), "-7");
  EXPECT_EQ(found("10-7"), "7");
  EXPECT_EQ(found("about .5"), ".5");
  EXPECT_EQ(found("3/4 of it"), "3/4");
  EXPECT_EQ(found("a rate of 50%"), "50%");
  EXPECT_EQ(found("1, 2,345"), "2,345");
  EXPECT_EQ(found("1,2"), "2");
  EXPECT_EQ(found("none"), "(none)");
}

TEST(AnswerExtraction, LinesAndAll) {
  EXPECT_EQ(Found("a\nb \n\n", AnswerRule::kLine), "b");
  EXPECT_EQ(Found(" a\nb ", AnswerRule::kWhole), "a\nb");
  EXPECT_EQ(Found(" \n", AnswerRule::kWhole), "(none)");
}

TEST(AnswerExtraction, RulesAreTriedInOrder) {
  const auto rules = ParseAnswerRules("boxed, hash,number", "test");
  EXPECT_EQ(ExtractAnswer("#### 5\n\\boxed{6} 7", rules), "6");
  EXPECT_EQ(ExtractAnswer("#### 5\n7", rules), "5");
  EXPECT_EQ(ExtractAnswer("it is 7", rules), "7");
  EXPECT_EQ(ExtractAnswer("it is", rules), std::nullopt);
  EXPECT_ERROR(ParseAnswerRules("boxd", "test"), "did you mean 'boxed'?");
  EXPECT_ERROR(ParseAnswerRules("", "test"), "names no place");
}

}  // namespace
}  // namespace fathom

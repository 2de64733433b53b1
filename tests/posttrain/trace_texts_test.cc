// How traces are compared: words, repetition, near duplicates, evaluation questions.

#include <gtest/gtest.h>

#include <string>

#include "posttrain/distill/contamination.h"
#include "posttrain/distill/near_duplicates.h"
#include "posttrain/distill/text_words.h"

namespace fathom::test {
namespace {

bool SameWords(std::string_view a, std::string_view b) { return WordHashes(a) == WordHashes(b); }
size_t Words(std::string_view text) { return WordHashes(text).size(); }

TEST(TextWords, CaseSpaceAndPunctuationDoNotCount) {
  EXPECT_TRUE(SameWords("How many apples, Ann?", "how  many\n**Apples** - ANN"));
  EXPECT_TRUE(SameWords("ПРИВЕТ, мир", "привет мир"));
  EXPECT_TRUE(SameWords("1,000 euros", "1000 Euros."));
  EXPECT_FALSE(SameWords("How many apples?", "How many pears?"));
  EXPECT_EQ(Words(""), 0);
  EXPECT_EQ(Words("..., !"), 0);
}

TEST(TextWords, NumbersAndArithmeticCount) {
  EXPECT_FALSE(SameWords("12 apples", "13 apples"));
  EXPECT_FALSE(SameWords("3 + 4", "3 * 4"));
  EXPECT_FALSE(SameWords("3 - 4", "3 / 4"));
  EXPECT_FALSE(SameWords("(3 + 4) * 2", "3 + 4 * 2"));
  EXPECT_TRUE(SameWords("3+4", "3 + 4"));
  EXPECT_FALSE(SameWords("x < y", "x > y"));
  // Between letters they are punctuation.
  EXPECT_TRUE(SameWords("well-known and/or (new)", "well known and or new"));
}

TEST(TextWords, ScriptsWithoutSpacesAreReadByCharacters) {
  EXPECT_EQ(Words("小明有三个苹果"), 7);
  EXPECT_TRUE(SameWords("小明有,三个苹果", "小明有三个苹果"));
}

TEST(TextWords, AnyBytesAreAText) {
  EXPECT_EQ(Words("\xFF\xFE a \xC3"), 1);
  EXPECT_EQ(Words(std::string(100, 'a')), 7);
}

TEST(TextWords, RepetitionIsTheShareThatCameBefore) {
  std::string once, twice, endless;
  for (int i = 0; i < 100; ++i) once += std::to_string(i) + " ";
  twice = once + once;
  for (int i = 0; i < 500; ++i) endless += "Wait, let me check that again. ";
  EXPECT_EQ(RepeatedShare(WordHashes(once), 8), 0);
  EXPECT_NEAR(RepeatedShare(WordHashes(twice), 8), 0.48, 0.01);
  EXPECT_GT(RepeatedShare(WordHashes(endless), 8), 0.99);
  // Without a space in it, too.
  std::string run;
  for (int i = 0; i < 2000; ++i) run += "abc";
  EXPECT_GT(RepeatedShare(WordHashes(run), 8), 0.9);
  EXPECT_EQ(RepeatedShare(WordHashes("too short"), 8), 0);
}

// Words first .. last as numbers.
std::string Numbers(int first, int last) {
  std::string text;
  for (int i = first; i <= last; ++i) text += std::to_string(i) + " ";
  return text;
}

NearDuplicates::Signature Signature(const std::string& text) {
  return NearDuplicates::SignatureOf(WordHashes(text));
}

TEST(NearDuplicates, SimilarityIsThatOfTheSetsOfRuns) {
  // 996 runs of 5 in each; 1,000 - s words in common.
  for (const int shift : {0, 50, 200, 500, 1000}) {
    const double common = std::max(0, 996 - shift);
    const double jaccard = common / (2 * 996 - common);
    EXPECT_NEAR(NearDuplicates::Similarity(Signature(Numbers(1, 1000)),
                                           Signature(Numbers(1 + shift, 1000 + shift))),
                jaccard, 0.12)
        << shift;
  }
}

TEST(NearDuplicates, WhatIsNearlyTheSameIsFound) {
  NearDuplicates texts(0.8);
  EXPECT_FALSE(texts.Holds(Signature(Numbers(1, 400))));
  texts.Add(Signature(Numbers(1, 400)));
  EXPECT_TRUE(texts.Holds(Signature(Numbers(1, 400))));
  EXPECT_TRUE(texts.Holds(Signature(Numbers(1, 410))));
  EXPECT_FALSE(texts.Holds(Signature(Numbers(150, 550))));
  EXPECT_FALSE(texts.Holds(Signature(Numbers(1000, 1400))));
  // Of fewer words than a run.
  texts.Add(Signature("42"));
  EXPECT_TRUE(texts.Holds(Signature("42.")));
  EXPECT_FALSE(texts.Holds(Signature("43")));
}

class ContaminationTest : public testing::Test {
 protected:
  bool InQuestion(std::string_view text) const {
    return contamination_.IsInQuestion(WordHashes(text));
  }
  bool InText(std::string_view text) const { return contamination_.IsInText(WordHashes(text)); }

  Contamination contamination_{13};
};

constexpr const char* kLong =
    "Janet's ducks lay 16 eggs per day. She eats three for breakfast every morning and bakes "
    "muffins for her friends every day with four.";

TEST_F(ContaminationTest, ThirteenWordsInARowAreTooMany) {
  contamination_.AddQuestion(kLong);
  EXPECT_TRUE(InQuestion(kLong));
  // In other dress, and in the middle of something else.
  EXPECT_TRUE(
      InText("So: she eats THREE for breakfast, every morning; and bakes muffins for her "
             "friends - every day."));
  // Twelve words of it.
  EXPECT_FALSE(InText("She eats three for breakfast every morning and bakes muffins for her"));
  EXPECT_FALSE(InText("A duck eats three muffins for breakfast, and lays 16 eggs."));
}

TEST_F(ContaminationTest, OtherNumbersAreAnotherProblem) {
  contamination_.AddQuestion(
      "Ann has 12 red apples and gives 5 of them to Bob. How many are left?");
  EXPECT_TRUE(InQuestion("Ann has 12 red apples and gives 5 of them to Bob, how many are left"));
  EXPECT_FALSE(InQuestion("Ann has 17 red apples and gives 9 of them to Bob. How many are left?"));
}

TEST_F(ContaminationTest, ShortQuestionsAreLookedForAsAWhole) {
  contamination_.AddQuestion("What is the sum of all primes below ten?");  // 9 words
  contamination_.AddQuestion("Calculate 3 + 4.");                          // 4 words
  EXPECT_TRUE(InText("The user asks: what is the sum of all primes below ten? Let me see."));
  EXPECT_FALSE(InText("What is the sum of all primes below 20?"));
  // So short a text is in many others: only the question itself counts.
  EXPECT_FALSE(InText("First I calculate 3 + 4 and then 5."));
  EXPECT_TRUE(InQuestion("calculate 3+4"));
  EXPECT_FALSE(InQuestion("Calculate 3 * 4."));
}

TEST_F(ContaminationTest, WhatManyQuestionsHaveIsWording) {
  const std::string wording = "Please reason step by step and put your final answer within a box: ";
  for (int i = 0; i < 11; ++i) contamination_.AddQuestion(wording + Numbers(100 * i, 100 * i + 9));
  EXPECT_FALSE(InText(wording + "what is the capital of France?"));
  EXPECT_TRUE(InText(wording + Numbers(300, 309)));
}

TEST_F(ContaminationTest, WithoutQuestionsNothingIsContaminated) {
  EXPECT_TRUE(contamination_.empty());
  EXPECT_FALSE(InQuestion(""));
  EXPECT_FALSE(InText(kLong));
}

}  // namespace
}  // namespace fathom::test

#include "posttrain/rewards/reward.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "posttrain/rewards/length_reward.h"

namespace fathom {
namespace {

Completion Written(std::string text, bool inside_thinking = false) {
  return {.text = std::move(text), .inside_thinking = inside_thinking};
}

TaskProblem Problem(AnswerKind kind, std::vector<std::string> answers) {
  TaskProblem problem;
  problem.messages = {{"user", "?"}};
  problem.kind = kind;
  problem.answers = std::move(answers);
  return problem;
}

TEST(Completions, ThoughtsAndAnswerComeApart) {
  const auto check = [](const Completion& completion, std::string_view thinking,
                        std::string_view answer, bool closed) {
    const CompletionParts parts = SplitCompletion(completion);
    EXPECT_EQ(parts.thinking, thinking) << completion.text;
    EXPECT_EQ(parts.answer, answer) << completion.text;
    EXPECT_EQ(parts.closed, closed) << completion.text;
  };
  check(Written("<think>a</think>b"), "a", "b", true);
  check(Written("a</think>b", true), "a", "b", true);
  check(Written("b"), "", "b", true);
  // Thoughts that never end leave no answer: what stands in them does not count.
  check(Written("<think>a \\boxed{5}"), "a \\boxed{5}", "", false);
  check(Written("a", true), "a", "", false);
  check(Written("<think>a</think>b</think>c"), "a</think>b", "c", true);
  check(Written("</think><think>"), "", "<think>", true);
  check(Written(""), "", "", true);
}

TEST(Format, AsR1) {
  const auto has = [](std::string_view text, bool inside = false) {
    return HasFormat(Written(std::string(text), inside), ThinkFormat::kThink);
  };
  EXPECT_TRUE(has("<think>\nso\n</think>\n\n42"));
  EXPECT_TRUE(has(" <think>so</think>42 "));
  EXPECT_TRUE(has("so</think>42", true));
  EXPECT_FALSE(has("so</think>42"));
  EXPECT_FALSE(has("<think>so</think>42", true));
  EXPECT_FALSE(has("42"));
  EXPECT_FALSE(has("<think>so"));
  EXPECT_FALSE(has("<think></think>42"));
  EXPECT_FALSE(has("<think>so</think> "));
  EXPECT_FALSE(has("well <think>so</think>42"));
  EXPECT_FALSE(has("<think>so</think>4<think>2</think>"));
  EXPECT_FALSE(has("<think><think>so</think>42"));
}

TEST(Format, AsR1Zero) {
  const auto has = [](std::string_view text, bool inside = false) {
    return HasFormat(Written(std::string(text), inside), ThinkFormat::kThinkAnswer);
  };
  EXPECT_TRUE(has("<think>so</think>\n<answer>42</answer>"));
  EXPECT_TRUE(has("so</think> <answer> 42 </answer>\n", true));
  EXPECT_FALSE(has("<think>so</think>42"));
  EXPECT_FALSE(has("<think>so</think><answer>42"));
  EXPECT_FALSE(has("<think>so</think><answer> </answer>"));
  EXPECT_FALSE(has("<think>so</think><answer>42</answer> done"));
  EXPECT_FALSE(has("<think>so</think>well <answer>42</answer>"));
  EXPECT_FALSE(has("<think>so</think><answer>4</answer><answer>2</answer>"));
  EXPECT_FALSE(has("<answer>42</answer><think>so</think>"));
}

TEST(Language, SharesOfWords) {
  EXPECT_EQ(ShareOfWords("So the sum is twelve", Script::kLatin), 1);
  EXPECT_EQ(ShareOfWords("So the sum is twelve", Script::kHan), 0);
  // Four characters are two words.
  EXPECT_DOUBLE_EQ(ShareOfWords("the sum 所以总和", Script::kLatin), 0.5);
  EXPECT_DOUBLE_EQ(ShareOfWords("the sum 所以总和", Script::kHan), 0.5);
  // Formulas are in no language.
  EXPECT_EQ(ShareOfWords("所以 x = \\frac{1}{2} 12", Script::kHan), 1);
  EXPECT_EQ(ShareOfWords("\\sin\\alpha + 3", Script::kHan), 1);
  EXPECT_EQ(ShareOfWords("", Script::kHan), 1);
  EXPECT_EQ(ShareOfWords("12 + 5", Script::kLatin), 1);
  EXPECT_DOUBLE_EQ(ShareOfWords("сумма равна twelve", Script::kCyrillic), 2.0 / 3);
  // Kana and Han together are Japanese.
  EXPECT_EQ(ShareOfWords("答えは五です", Script::kJapanese), 1);
  EXPECT_LT(ShareOfWords("答えは五です", Script::kHan), 0.5);
  EXPECT_EQ(ShareOfWords("합은 열둘", Script::kHangul), 1);
  // Accents, composed or not, do not part words.
  EXPECT_EQ(ShareOfWords("re\xCC\x81sultat é", Script::kLatin), 1);
  EXPECT_EQ(ShareOfWords("\xff\xfe", Script::kLatin), 1);
}

TEST(Language, CodesHaveScripts) {
  EXPECT_EQ(ScriptOfLanguage("en"), Script::kLatin);
  EXPECT_EQ(ScriptOfLanguage("zh"), Script::kHan);
  EXPECT_EQ(ScriptOfLanguage("xx"), std::nullopt);
}

// DAPO's own setting: 16,384 tokens and a buffer of 4,096 (its section 4.1, scaled down).
TEST(Length, OverlongAnswersArePunishedSoftly) {
  EXPECT_EQ(OverlongPenalty(100, 200, 50), 0);
  EXPECT_EQ(OverlongPenalty(150, 200, 50), 0);
  EXPECT_DOUBLE_EQ(OverlongPenalty(175, 200, 50), -0.5);
  EXPECT_EQ(OverlongPenalty(200, 200, 50), -1);
  EXPECT_EQ(OverlongPenalty(900, 200, 50), -1);
  EXPECT_EQ(OverlongPenalty(200, 200, 0), 0);
  EXPECT_EQ(OverlongPenalty(201, 200, 0), -1);
}

TEST(Length, ShorterRightAnswersGetMore) {
  const int64_t tokens[] = {100, 200, 300, 300};
  const bool right[] = {true, true, true, false};
  EXPECT_EQ(RelativeLengthRewards(tokens, right), (std::vector<double>{0.5, 0, -0.5, -0.5}));
  const bool wrong[] = {false, false, false, false};
  EXPECT_EQ(RelativeLengthRewards(tokens, wrong), (std::vector<double>{0, 0, -0.5, -0.5}));
  const int64_t same[] = {7, 7};
  const bool both[] = {true, false};
  EXPECT_EQ(RelativeLengthRewards(same, both), (std::vector<double>{0, 0}));
}

TEST(Judge, EachKindHasItsOwnMeasure) {
  EXPECT_TRUE(IsRightAnswer(Problem(AnswerKind::kMath, {"\\frac{1}{2}"}), "0.5"));
  EXPECT_TRUE(IsRightAnswer(Problem(AnswerKind::kMath, {"7", "8"}), "8"));
  EXPECT_FALSE(IsRightAnswer(Problem(AnswerKind::kText, {"3, 5"}), "5, 3"));
  TaskProblem choice = Problem(AnswerKind::kChoice, {"B"});
  choice.choices = {"red", "green"};
  EXPECT_TRUE(IsRightAnswer(choice, "(B)"));
  EXPECT_TRUE(IsRightAnswer(choice, "Green"));
  EXPECT_FALSE(IsRightAnswer(choice, "red"));
  TaskProblem expression = Problem(AnswerKind::kExpression, {"7"});
  expression.numbers = {3, 4};
  EXPECT_TRUE(IsRightAnswer(expression, "3 + 4"));
  EXPECT_FALSE(IsRightAnswer(expression, "7"));
  EXPECT_FALSE(IsRightAnswer(Problem(AnswerKind::kExternal, {"7"}), "7"));
}

TEST(Judge, ThoughtsDoNotCount) {
  const TaskProblem problem = Problem(AnswerKind::kMath, {"5"});
  const JudgeOptions options;
  EXPECT_TRUE(
      JudgeCompletion(problem, Written("<think>4?</think>It is \\boxed{5}"), options).right);
  EXPECT_FALSE(JudgeCompletion(problem, Written("<think>\\boxed{5}"), options).right);
  const Judgement wrong =
      JudgeCompletion(problem, Written("<think>\\boxed{5}</think>\\boxed{6}"), options);
  EXPECT_FALSE(wrong.right);
  EXPECT_EQ(wrong.answer, "6");
}

// Says what it is told to.
class Scripted : public RewardFunction {
 public:
  explicit Scripted(std::vector<RewardValue> values) : values_(std::move(values)) {}
  std::string_view name() const override { return "scripted"; }
  void Score(std::span<const RewardInput>, std::span<RewardValue> values) override {
    std::copy(values_.begin(), values_.end(), values.begin());
  }

 private:
  std::vector<RewardValue> values_;
};

TEST(RewardSet, AddsUpAndKeepsEveryPart) {
  RewardSet set;
  set.Add(MakeAccuracyReward({}), 1);
  set.Add(MakeFormatReward(ThinkFormat::kThink), 0.5);
  set.Add(MakeLanguageReward(Script::kLatin), 0.25);
  set.Add(MakeOverlongReward(10, 4), 2);
  EXPECT_EQ(set.name(2), "language");
  const TaskProblem problem = Problem(AnswerKind::kMath, {"5"});
  Completion completion = Written("<think>two 三三 three</think>5");
  completion.tokens = 8;
  const RewardInput input{&problem, &completion};
  const Reward reward = set.Score({&input, 1}).at(0);
  EXPECT_EQ(reward.components[0].value, 1);
  EXPECT_EQ(reward.components[1].value, 1);
  EXPECT_DOUBLE_EQ(reward.components[2].value, 2.0 / 3);
  EXPECT_EQ(reward.components[3].value, -0.5);
  EXPECT_DOUBLE_EQ(reward.total, 1 + 0.5 + 0.25 * 2 / 3 - 1);
}

TEST(RewardSet, WhatCannotBeScoredIsCountedAndGetsItsValue) {
  const double nan = std::nan(""), infinity = std::numeric_limits<double>::infinity();
  RewardSet set;
  set.Add(std::make_unique<Scripted>(std::vector<RewardValue>{
              {nan}, {infinity}, {0.5}, {9, RewardStatus::kTimedOut}, {9, RewardStatus::kFailed}}),
          2, -0.25);
  const TaskProblem problem = Problem(AnswerKind::kMath, {"5"});
  const Completion completion;
  const std::vector<RewardInput> inputs(5, {&problem, &completion});
  const std::vector<Reward> rewards = set.Score(inputs);
  EXPECT_EQ(rewards[0].total, -0.5);
  EXPECT_EQ(rewards[0].components[0].status, RewardStatus::kNotANumber);
  EXPECT_EQ(rewards[1].total, -0.5);
  EXPECT_EQ(rewards[2].total, 1);
  EXPECT_EQ(rewards[3].total, -0.5);
  EXPECT_EQ(rewards[4].total, -0.5);
  EXPECT_EQ(set.count(0, RewardStatus::kNotANumber), 2);
  EXPECT_EQ(set.count(0, RewardStatus::kTimedOut), 1);
  EXPECT_EQ(set.count(0, RewardStatus::kFailed), 1);
  EXPECT_EQ(set.count(0, RewardStatus::kScored), 1);
}

}  // namespace
}  // namespace fathom

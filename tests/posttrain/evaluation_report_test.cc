#include "posttrain/evaluation/evaluation_report.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "base/file.h"
#include "base/temporary_directory.h"
#include "posttrain/evaluation/choice_scoring.h"

namespace fathom {
namespace {

const nlohmann::ordered_json kSettings = {{"model", "m"}, {"temperature", 0.6}, {"seed", 3}};

TaskProblem Problem(std::string id, std::string answer, AnswerKind kind = AnswerKind::kMath) {
  TaskProblem problem;
  problem.id = std::move(id);
  problem.messages = {{"user", "?"}};
  problem.kind = kind;
  problem.answers = {std::move(answer)};
  return problem;
}

Sample Answered(std::string problem, int64_t index, std::string answer, bool right,
                int64_t budget = 0) {
  return {.problem = std::move(problem),
          .index = index,
          .budget = budget,
          .text = "so " + answer,
          .tokens = 10,
          .thinking_tokens = budget > 0 ? budget : 8,
          .finish = "stop",
          .answer = answer,
          .score = right ? 1.0 : 0.0};
}

TEST(SampleLog, KeepsEverythingAndGoesOn) {
  TemporaryDirectory directory;
  const auto path = directory / "s.jsonl";
  Sample sample = Answered("p", 1, "5", true);
  sample.text = "caf\xC3\xA9 \"\n";
  sample.ids = {3, 4};
  sample.logprobs = {-0.1234567890123456, -2};
  sample.bytes = {4, 5};
  sample.status = "timeout";
  {
    SampleLog log(path, kSettings);
    log.Add(sample);
    log.Add(Answered("p", 0, "6", false, 16));
  }
  SampleLog log(path, kSettings);
  EXPECT_EQ(log.size(), 2u);
  const Sample* read = log.Find("p", 1, 0);
  ASSERT_NE(read, nullptr);
  EXPECT_EQ(read->text, sample.text);
  EXPECT_EQ(read->ids, sample.ids);
  EXPECT_EQ(read->logprobs, sample.logprobs);
  EXPECT_EQ(read->bytes, sample.bytes);
  EXPECT_EQ(read->status, "timeout");
  EXPECT_EQ(read->answer, "5");
  EXPECT_EQ(read->score, 1);
  EXPECT_NE(log.Find("p", 0, 16), nullptr);
  EXPECT_EQ(log.Find("p", 0, 0), nullptr);
}

TEST(SampleLog, ALineThatWasCutOffIsMadeAgain) {
  TemporaryDirectory directory;
  const auto path = directory / "s.jsonl";
  {
    SampleLog log(path, kSettings);
    log.Add(Answered("p", 0, "5", true));
  }
  const std::string whole = ReadFile(path);
  std::ofstream(path, std::ios::app) << "{\"problem\":\"p\",\"sam";
  {
    SampleLog log(path, kSettings);
    EXPECT_EQ(log.size(), 1u);
    EXPECT_EQ(ReadFile(path), whole);
    log.Add(Answered("p", 1, "6", false));
  }
  EXPECT_EQ(SampleLog(path, kSettings).size(), 2u);
}

TEST(SampleLog, OtherSettingsAreNamed) {
  TemporaryDirectory directory;
  const auto path = directory / "s.jsonl";
  { SampleLog log(path, kSettings); }
  nlohmann::ordered_json other = kSettings;
  other["temperature"] = 1.0;
  EXPECT_ERROR(SampleLog(path, other), "temperature was 0.6, and is 1.0");
  std::ofstream(directory / "t.jsonl") << "{\"question\": 1}\n";
  EXPECT_ERROR(SampleLog(directory / "t.jsonl", kSettings), "is no file of samples");
}

TEST(Majority, CountsAnswersThatSayTheSame) {
  const TaskProblem problem = Problem("p", "1/2");
  const auto share = [&](const std::vector<std::pair<std::string, bool>>& answers) {
    std::vector<Sample> samples;
    for (const auto& [answer, right] : answers) samples.push_back(Answered("p", 0, answer, right));
    std::vector<const Sample*> pointers;
    for (Sample& sample : samples) {
      if (sample.answer == "") sample.answer.reset();
      pointers.push_back(&sample);
    }
    return MajorityShare(problem, pointers, {});
  };
  EXPECT_EQ(share({{"0.5", true}, {"\\frac12", true}, {"7", false}}), 1);
  EXPECT_EQ(share({{"0.5", true}, {"7", false}, {"7.0", false}}), 0);
  EXPECT_EQ(share({{"0.5", true}, {"7", false}}), 0.5);
  EXPECT_DOUBLE_EQ(share({{"0.5", true}, {"7", false}, {"8", false}}), 1.0 / 3);
  EXPECT_EQ(share({{"", false}, {"", false}, {"0.5", true}}), 1);
  EXPECT_EQ(share({{"", false}}), 0);
}

TEST(Summary, OneSampleEach) {
  SampleLog log("", kSettings);
  const std::vector<TaskProblem> problems = {Problem("a", "1"), Problem("b", "2")};
  log.Add(Answered("a", 0, "1", true));
  Sample cut = Answered("b", 0, "", false);
  cut.answer.reset();
  cut.finish = "length";
  cut.tokens = 30;
  log.Add(cut);
  const EvaluationSummary summary = Summarize(problems, log, 1, {}, {});
  EXPECT_EQ(summary.scores, (std::vector<double>{1, 0}));
  EXPECT_EQ(summary.accuracy.value, 0.5);
  EXPECT_EQ(summary.accuracy.low, WilsonInterval(1, 2).low);
  EXPECT_TRUE(summary.pass_at.empty());
  EXPECT_FALSE(summary.majority);
  EXPECT_EQ(summary.cut_off, 1);
  EXPECT_EQ(summary.no_answer, 1);
  EXPECT_EQ(summary.mean_tokens, 20);
}

TEST(Summary, SeveralSamples) {
  SampleLog log("", kSettings);
  const std::vector<TaskProblem> problems = {Problem("a", "1"), Problem("b", "2")};
  for (int64_t i = 0; i < 4; ++i) {
    log.Add(Answered("a", i, i < 3 ? "1" : "9", i < 3));
    log.Add(Answered("b", i, i == 0 ? "2" : "8", i == 0));
  }
  const EvaluationSummary summary = Summarize(problems, log, 4, {}, {});
  EXPECT_EQ(summary.accuracy.value, 0.5);
  EXPECT_EQ(summary.pass_at.at(1).value, 0.5);
  EXPECT_DOUBLE_EQ(summary.pass_at.at(2).value, (1 + 0.5) / 2);
  EXPECT_EQ(summary.pass_at.at(4).value, 1);
  EXPECT_EQ(summary.majority->value, 0.5);
}

TEST(Summary, ABudgetTakesTheForcedAnswerWhereThereIsOne) {
  SampleLog log("", kSettings);
  const std::vector<TaskProblem> problems = {Problem("a", "1"), Problem("b", "2")};
  log.Add(Answered("a", 0, "1", true));
  log.Add(Answered("b", 0, "2", true));
  log.Add(Answered("a", 0, "9", false, 4));
  const int64_t budgets[] = {4};
  const EvaluationSummary summary = Summarize(problems, log, 1, budgets, {});
  ASSERT_EQ(summary.budgets.size(), 2u);
  EXPECT_EQ(summary.budgets[0].budget, 4);
  EXPECT_EQ(summary.budgets[0].accuracy.value, 0.5);
  EXPECT_EQ(summary.budgets[0].mean_thinking_tokens, 6);  // 4 and 8
  EXPECT_EQ(summary.budgets[1].accuracy.value, 1);
}

TEST(Choices, AreBestByProbabilityOrByByte) {
  const ChoiceScores scores{{-3, -4, -9}, {3, 8, 30}};
  EXPECT_EQ(scores.Best(false), 0u);
  EXPECT_EQ(scores.Best(true), 2u);
  SampleLog log("", kSettings);
  log.Add({.problem = "a", .logprobs = scores.logprobs, .bytes = scores.bytes});
  TaskProblem problem = Problem("a", "C", AnswerKind::kChoice);
  const ChoiceSummary summary = SummarizeChoices({&problem, 1}, log);
  EXPECT_EQ(summary.accuracy.value, 0);
  EXPECT_EQ(summary.accuracy_by_byte.value, 1);
}

}  // namespace
}  // namespace fathom

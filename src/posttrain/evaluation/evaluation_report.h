#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "data/tasks/task_problem.h"
#include "posttrain/evaluation/sample.h"
#include "posttrain/evaluation/statistics.h"
#include "posttrain/rewards/answer_judge.h"

namespace fathom {

// Accuracy where thoughts are cut off.
struct BudgetPoint {
  int64_t budget = 0;  // tokens of thought; 0: no limit but the answer's own
  Estimated accuracy;
  double mean_thinking_tokens = 0;
};

// What the samples of a task say.
struct EvaluationSummary {
  int64_t problems = 0, samples_each = 0;
  std::vector<double> scores;  // by problem, the mean of its samples'
  Estimated accuracy;  // Wilson's where all scores are 0 or 1, else the bootstrap over problems
  std::map<int64_t, Estimated> pass_at;  // by k: 1, 2, 4, ... and the number of samples
  // Of several samples: the answer that most of them give is right (cons@k); a tie counts in parts.
  std::optional<Estimated> majority;
  std::vector<BudgetPoint> budgets;
  double mean_tokens = 0, mean_thinking_tokens = 0;
  int64_t cut_off = 0;                      // samples that ended at their limit of tokens
  int64_t no_answer = 0;                    // samples in which no answer was found
  std::map<std::string, int64_t> failures;  // of a verifier, by status
};

// What multiple choice by probabilities says.
struct ChoiceSummary {
  int64_t problems = 0;
  Estimated accuracy;          // by the probability of a choice
  Estimated accuracy_by_byte;  // by its bytes-th root
  std::vector<double> scores;  // by problem, of `accuracy`
};
ChoiceSummary SummarizeChoices(std::span<const TaskProblem> problems, const SampleLog& log);

// budgets: those that were asked for. Samples that are missing are a mistake of the caller's.
EvaluationSummary Summarize(std::span<const TaskProblem> problems, const SampleLog& log,
                            int64_t samples_each, std::span<const int64_t> budgets,
                            const AnswerMatchOptions& match);

// The share of a majority vote: 1 where the class of equal answers that most samples give is right,
// 0 where it is not, and between where classes are equally large.
double MajorityShare(const TaskProblem& problem, std::span<const Sample* const> samples,
                     const AnswerMatchOptions& match);

nlohmann::ordered_json ToJson(const EvaluationSummary& summary);
nlohmann::ordered_json ToJson(const ChoiceSummary& summary);
nlohmann::ordered_json ToJson(const PairedDifference& difference);
// As lines for a person.
std::string ToText(const EvaluationSummary& summary);
std::string ToText(const ChoiceSummary& summary);
std::string ToText(const PairedDifference& difference);

}  // namespace fathom

#include "posttrain/evaluation/evaluation_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "posttrain/evaluation/choice_scoring.h"

namespace fathom {
namespace {

using nlohmann::ordered_json;

// A score counts as right for pass@k from here on; answers that are compared score 0 or 1.
bool IsRight(const Sample& sample) { return sample.score >= 0.5; }

bool AllBinary(std::span<const double> values) {
  return std::all_of(values.begin(), values.end(), [](double x) { return x == 0 || x == 1; });
}

// Of one value a problem. Where all are 0 or 1 they are trials, and where all are equal the
// bootstrap would have no width.
Estimated Mean(std::span<const double> values) {
  if (!AllBinary(values)) return BootstrapMean(values);
  const auto right = std::count(values.begin(), values.end(), 1.0);
  return WilsonInterval(right, static_cast<int64_t>(values.size()));
}

std::vector<int64_t> Ks(int64_t samples) {
  std::vector<int64_t> ks;
  for (int64_t k = 1; k < samples; k *= 2) ks.push_back(k);
  ks.push_back(samples);
  return ks;
}

bool SameAnswer(const TaskProblem& problem, const std::string& a, const std::string& b,
                const AnswerMatchOptions& match) {
  if (a == b) return true;
  switch (problem.kind) {
    case AnswerKind::kMath:
      return MathAnswersMatch(a, b, match);
    case AnswerKind::kText:
      return TextAnswersMatch(a, b);
    case AnswerKind::kChoice:
      return TextAnswersMatch(a, b) || ChoiceAnswersMatch(a, b);
    case AnswerKind::kExpression:
    case AnswerKind::kExternal:
      break;
  }
  return false;
}

ordered_json ToJson(const Estimated& x) {
  return {{"value", x.value}, {"low", x.low}, {"high", x.high}};
}

std::string Percent(const Estimated& x) {
  return fmt::format("{:5.1f} % ({:.1f} to {:.1f})", 100 * x.value, 100 * x.low, 100 * x.high);
}

}  // namespace

double MajorityShare(const TaskProblem& problem, std::span<const Sample* const> samples,
                     const AnswerMatchOptions& match) {
  struct Class {
    const Sample* first;
    int64_t size;
  };
  std::vector<Class> classes;
  for (const Sample* sample : samples) {
    if (!sample->answer) continue;
    const auto found = std::find_if(classes.begin(), classes.end(), [&](const Class& one) {
      return SameAnswer(problem, *one.first->answer, *sample->answer, match);
    });
    if (found == classes.end()) {
      classes.push_back({sample, 1});
    } else {
      ++found->size;
    }
  }
  int64_t largest = 0;
  for (const Class& one : classes) largest = std::max(largest, one.size);
  int64_t tied = 0, right = 0;
  for (const Class& one : classes) {
    if (one.size != largest) continue;
    ++tied;
    if (IsRight(*one.first)) ++right;
  }
  return tied == 0 ? 0 : static_cast<double>(right) / static_cast<double>(tied);
}

ChoiceSummary SummarizeChoices(std::span<const TaskProblem> problems, const SampleLog& log) {
  FATHOM_CHECK(!problems.empty());
  ChoiceSummary summary{.problems = static_cast<int64_t>(problems.size())};
  int64_t right = 0, right_by_byte = 0;
  for (const TaskProblem& problem : problems) {
    const Sample* sample = log.Find(problem.id, 0, 0);
    FATHOM_CHECK(sample != nullptr, "problem {}", problem.id);
    const ChoiceScores scores{sample->logprobs, sample->bytes};
    const auto is_right = [&](bool by_byte) {
      return ChoiceLetter(scores.Best(by_byte)) == problem.answers.front();
    };
    summary.scores.push_back(is_right(false) ? 1 : 0);
    if (is_right(false)) ++right;
    if (is_right(true)) ++right_by_byte;
  }
  summary.accuracy = WilsonInterval(right, summary.problems);
  summary.accuracy_by_byte = WilsonInterval(right_by_byte, summary.problems);
  return summary;
}

EvaluationSummary Summarize(std::span<const TaskProblem> problems, const SampleLog& log,
                            int64_t samples_each, std::span<const int64_t> budgets,
                            const AnswerMatchOptions& match) {
  FATHOM_CHECK(!problems.empty() && samples_each >= 1);
  EvaluationSummary summary;
  summary.problems = static_cast<int64_t>(problems.size());
  summary.samples_each = samples_each;
  std::vector<int64_t> right;
  std::vector<double> votes;
  bool external = false;
  for (const TaskProblem& problem : problems) {
    std::vector<const Sample*> samples;
    double score = 0;
    int64_t count = 0;
    for (int64_t i = 0; i < samples_each; ++i) {
      const Sample* sample = log.Find(problem.id, i, 0);
      FATHOM_CHECK(sample != nullptr, "problem {}, sample {}", problem.id, i);
      samples.push_back(sample);
      score += sample->score;
      if (IsRight(*sample)) ++count;
      summary.mean_tokens += static_cast<double>(sample->tokens);
      summary.mean_thinking_tokens += static_cast<double>(sample->thinking_tokens);
      if (sample->finish == "length") ++summary.cut_off;
      if (!sample->answer && problem.kind != AnswerKind::kExternal) ++summary.no_answer;
      if (sample->status != "scored") ++summary.failures[sample->status];
    }
    external = external || problem.kind == AnswerKind::kExternal;
    right.push_back(count);
    summary.scores.push_back(score / static_cast<double>(samples_each));
    votes.push_back(MajorityShare(problem, samples, match));
  }
  const auto all = static_cast<double>(summary.problems * samples_each);
  summary.mean_tokens /= all;
  summary.mean_thinking_tokens /= all;
  summary.accuracy = Mean(summary.scores);
  if (samples_each > 1) {
    for (const int64_t k : Ks(samples_each)) {
      std::vector<double> values;
      for (const int64_t c : right) values.push_back(PassAtK(samples_each, c, k));
      summary.pass_at[k] = Mean(values);
    }
    // Answers that only a command can judge cannot be told apart here.
    if (!external) summary.majority = Mean(votes);
  }
  for (const int64_t budget : budgets) {
    BudgetPoint point{.budget = budget};
    std::vector<double> scores;
    for (const TaskProblem& problem : problems) {
      double score = 0;
      for (int64_t i = 0; i < samples_each; ++i) {
        const Sample* whole = log.Find(problem.id, i, 0);
        const Sample* forced = log.Find(problem.id, i, budget);
        // Who thought for less was not forced.
        const Sample* sample = forced != nullptr ? forced : whole;
        score += sample->score;
        point.mean_thinking_tokens += static_cast<double>(sample->thinking_tokens) / all;
      }
      scores.push_back(score / static_cast<double>(samples_each));
    }
    point.accuracy = Mean(scores);
    summary.budgets.push_back(point);
  }
  if (!budgets.empty()) {
    summary.budgets.push_back({0, summary.accuracy, summary.mean_thinking_tokens});
  }
  return summary;
}

ordered_json ToJson(const EvaluationSummary& summary) {
  ordered_json json = {{"problems", summary.problems},
                       {"samples_each", summary.samples_each},
                       {"accuracy", ToJson(summary.accuracy)}};
  if (!summary.pass_at.empty()) {
    for (const auto& [k, value] : summary.pass_at) {
      json["pass_at"][fmt::format("{}", k)] = ToJson(value);
    }
  }
  if (summary.majority) json["majority"] = ToJson(*summary.majority);
  if (!summary.budgets.empty()) {
    json["budgets"] = ordered_json::array();
    for (const BudgetPoint& point : summary.budgets) {
      json["budgets"].push_back(
          {{"budget", point.budget > 0 ? ordered_json(point.budget) : ordered_json()},
           {"accuracy", ToJson(point.accuracy)},
           {"mean_thinking_tokens", point.mean_thinking_tokens}});
    }
  }
  json["mean_tokens"] = summary.mean_tokens;
  json["mean_thinking_tokens"] = summary.mean_thinking_tokens;
  json["cut_off"] = summary.cut_off;
  json["no_answer"] = summary.no_answer;
  if (!summary.failures.empty()) json["failures"] = summary.failures;
  return json;
}

ordered_json ToJson(const ChoiceSummary& summary) {
  return {{"problems", summary.problems},
          {"accuracy", ToJson(summary.accuracy)},
          {"accuracy_by_byte", ToJson(summary.accuracy_by_byte)}};
}

ordered_json ToJson(const PairedDifference& difference) {
  return {{"difference", ToJson(difference.difference)},
          {"p", difference.p},
          {"better", difference.better},
          {"worse", difference.worse}};
}

std::string ToText(const EvaluationSummary& summary) {
  std::string text =
      fmt::format("{} problems, {} sample{} each; intervals are of 95 %\n", summary.problems,
                  summary.samples_each, summary.samples_each == 1 ? "" : "s");
  text += fmt::format("  {:<12} {}\n", "accuracy", Percent(summary.accuracy));
  for (const auto& [k, value] : summary.pass_at) {
    if (k > 1) text += fmt::format("  {:<12} {}\n", fmt::format("pass@{}", k), Percent(value));
  }
  if (summary.majority) {
    text += fmt::format("  {:<12} {}\n", fmt::format("majority@{}", summary.samples_each),
                        Percent(*summary.majority));
  }
  for (const BudgetPoint& point : summary.budgets) {
    const std::string name =
        point.budget > 0 ? fmt::format("think {}", point.budget) : std::string("think on");
    text += fmt::format("  {:<12} {}, {:.0f} tokens of thought\n", name, Percent(point.accuracy),
                        point.mean_thinking_tokens);
  }
  text += fmt::format("  {:.1f} tokens an answer", summary.mean_tokens);
  if (summary.mean_thinking_tokens > 0) {
    text += fmt::format(", {:.1f} of them thought", summary.mean_thinking_tokens);
  }
  text += fmt::format("; {} cut off, {} without an answer\n", summary.cut_off, summary.no_answer);
  for (const auto& [status, count] : summary.failures) {
    text += fmt::format("  {} samples that the verifier could not score: {}\n", count, status);
  }
  return text;
}

std::string ToText(const ChoiceSummary& summary) {
  return fmt::format("{} problems; intervals are of 95 %\n  {:<12} {}\n  {:<12} {}\n",
                     summary.problems, "accuracy", Percent(summary.accuracy), "by byte",
                     Percent(summary.accuracy_by_byte));
}

std::string ToText(const PairedDifference& difference) {
  const Estimated& d = difference.difference;
  return fmt::format(
      "difference {:+.1f} points ({:+.1f} to {:+.1f}), p = {:.3g}; better on {} problems, worse on "
      "{}\n",
      100 * d.value, 100 * d.low, 100 * d.high, difference.p, difference.better, difference.worse);
}

}  // namespace fathom

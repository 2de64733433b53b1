#include "data/tasks/problem_set.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "base/hash.h"

namespace fathom {
namespace {

using nlohmann::ordered_json;

// So many draws in a row that bring nothing new, and there is (nearly) nothing new.
constexpr int kMostRepeats = 1000;
// So many in a row with numbers that are too large, and there are (nearly) none without.
constexpr int kMostTooLarge = 20'000;

bool HasLarger(std::string_view text, int64_t largest) {
  int64_t number = 0;
  for (const char c : text) {
    const bool digit = c >= '0' && c <= '9';
    number = digit ? 10 * number + (c - '0') : 0;
    if (number > largest) return true;
  }
  return false;
}

bool HasLarger(const WorkedProblem& problem, int64_t largest) {
  if (HasLarger(problem.question, largest) || HasLarger(problem.response, largest)) return true;
  return std::any_of(problem.steps.begin(), problem.steps.end(),
                     [&](const std::string& step) { return HasLarger(step, largest); });
}

bool IsHasty(std::string_view id, double share) {
  return static_cast<double>(HashOf(id) >> 11) * 0x1p-53 < share;
}

}  // namespace

std::string Marked(const std::string& response, AnswerMark mark) {
  switch (mark) {
    case AnswerMark::kBoxed:
      return fmt::format("\\boxed{{{}}}", response);
    case AnswerMark::kHash:
      return fmt::format("#### {}", response);
    case AnswerMark::kTags:
      return fmt::format("<answer>{}</answer>", response);
    case AnswerMark::kSentence:
      break;
  }
  return fmt::format("The answer is {}.", response);
}

uint64_t ForEachProblem(const ProblemSetOptions& options,
                        FunctionRef<void(const SetProblem&)> visit) {
  const auto generators = static_cast<uint64_t>(options.generators.size());
  const auto levels = static_cast<uint64_t>(options.most_difficulty - options.least_difficulty + 1);
  // Problems are known by 64 bits of hash: a clash leaves one out, which nobody misses.
  std::unordered_set<uint64_t> seen;
  std::vector<uint64_t> next(generators * levels);
  for (uint64_t i = 0; i < options.count; ++i) {
    const uint64_t cell = i % (generators * levels);
    const ProblemGenerator& generator = *options.generators[cell % generators];
    const int difficulty = options.least_difficulty + static_cast<int>(cell / generators);
    int repeats = 0, too_large = 0;
    for (;;) {
      if (repeats == kMostRepeats || too_large == kMostTooLarge) return i;
      const WorkedProblem problem =
          DrawProblem(generator, difficulty, options.part, options.seed, next[cell]++);
      if (options.largest > 0 && HasLarger(problem, options.largest)) {
        ++too_large;
        continue;
      }
      const uint64_t hash = HashOf(problem.canonical);
      if (!seen.insert(hash).second) {
        ++repeats;
        continue;
      }
      visit({problem, generator, difficulty,
             fmt::format("{}-{}-{:016x}", generator.name, difficulty, hash)});
      break;
    }
  }
  return options.count;
}

TaskProblem AsTask(const SetProblem& problem) {
  const WorkedProblem& worked = problem.problem;
  TaskProblem task;
  task.id = problem.id;
  task.messages = {{"user", worked.question}};
  task.kind = worked.kind;
  task.answers = {worked.answer};
  task.numbers = worked.numbers;
  if (worked.response != worked.answer) task.response = worked.response;
  task.solution = fmt::format("{}", fmt::join(worked.steps, "\n"));
  task.row = ProblemRow(problem, {});
  return task;
}

std::string ProblemRow(const SetProblem& set_problem, const RowStyle& style) {
  const WorkedProblem& problem = set_problem.problem;
  const std::string worked_out = fmt::format("{}", fmt::join(problem.steps, "\n"));
  const std::string thoughts = IsHasty(set_problem.id, style.hasty) ? "That is easy." : worked_out;
  ordered_json row;
  row["id"] = set_problem.id;
  switch (style.form) {
    case ProblemForm::kTask:
      row["question"] = problem.question;
      row["answer"] = problem.answer;
      row["kind"] = Name(problem.kind);
      if (!problem.numbers.empty()) row["numbers"] = problem.numbers;
      row["solution"] = worked_out;
      if (problem.response != problem.answer) row["response"] = problem.response;
      row["difficulty"] = set_problem.difficulty;
      break;
    case ProblemForm::kChat:
      row["messages"] = {{{"role", "user"}, {"content", problem.question}},
                         {{"role", "assistant"},
                          {"reasoning_content", thoughts},
                          {"content", Marked(problem.response, style.mark)}}};
      break;
    case ProblemForm::kText:
      row["text"] = fmt::format("Problem: {}\nSolution:\n{}\nAnswer: {}\n", problem.question,
                                thoughts, problem.response);
  }
  return row.dump();
}

}  // namespace fathom

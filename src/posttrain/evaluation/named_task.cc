#include "posttrain/evaluation/named_task.h"

#include <charconv>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "data/tasks/problem_set.h"
#include "data/tasks/task_file.h"

namespace fathom {
namespace {

// Where no number is given; fewer where there are not so many.
constexpr size_t kGeneratedProblems = 500;

std::vector<TaskProblem> Generated(const ProblemGenerator& generator, DifficultyRange difficulty,
                                   ProblemPart part, size_t count) {
  std::vector<TaskProblem> problems;
  ForEachProblem({.generators = {&generator},
                  .least_difficulty = difficulty.least,
                  .most_difficulty = difficulty.most,
                  .part = part,
                  .count = count},
                 [&](const SetProblem& problem) { problems.push_back(AsTask(problem)); });
  return problems;
}

const ProblemGenerator& GeneratorOf(const std::string& kind, const std::string& where) {
  try {
    return FindProblemGenerator(kind);
  } catch (const UsageError& error) {
    throw UsageError(where, fmt::format("'{}' is no file; {}", kind, error.what()));
  }
}

}  // namespace

DifficultyRange ParseDifficulty(const std::string& text, std::string_view where) {
  DifficultyRange range;
  const char* const end = text.data() + text.size();
  auto [rest, error] = std::from_chars(text.data(), end, range.least);
  range.most = range.least;
  if (error == std::errc() && rest != end && *rest == '-') {
    const auto second = std::from_chars(rest + 1, end, range.most);
    rest = second.ptr;
    error = second.ec;
  }
  if (error != std::errc() || rest != end || range.least < 1 || range.most > kMostDifficult ||
      range.least > range.most) {
    throw UsageError(
        where, fmt::format("'{}' is no difficulty", text),
        fmt::format("it can be a number from 1 to {}, or a range such as 2-5", kMostDifficult));
  }
  return range;
}

NamedTask LoadTask(const std::string& task, size_t limit, size_t shots,
                   const std::filesystem::path& example_file, const TaskOptionNames& names) {
  NamedTask loaded{.name = task};
  if (shots > 0 && !example_file.empty()) loaded.examples = ReadTaskFile(example_file, shots);
  if (std::filesystem::exists(task)) {
    loaded.problems = ReadTaskFile(task, limit);
    loaded.fingerprint = fmt::format("{:016x}", HashOf(MappedFile(task).text()));
    if (shots > 0 && example_file.empty()) {
      throw UsageError(names.shots, "needs problems to show",
                       fmt::format("give a .jsonl file of them with {}", names.examples));
    }
  } else {
    if (task.find('/') != std::string::npos || task.find(".json") != std::string::npos) {
      throw Error(task, "does not exist");
    }
    const size_t colon = task.find(':');
    const ProblemGenerator& generator = GeneratorOf(task.substr(0, colon), names.task);
    const DifficultyRange difficulty = colon == std::string::npos
                                           ? DifficultyRange{1, 3}
                                           : ParseDifficulty(task.substr(colon + 1), names.task);
    const size_t count = limit > 0 ? limit : kGeneratedProblems;
    loaded.problems = Generated(generator, difficulty, ProblemPart::kHeldOut, count);
    loaded.fingerprint = "generated";
    if (loaded.problems.size() < limit) {
      throw Error(names.limit,
                  fmt::format("{} has about {} held-out problems", task, loaded.problems.size()),
                  "ask for fewer, or for higher difficulties");
    }
    if (shots > 0 && example_file.empty()) {
      loaded.examples = Generated(generator, difficulty, ProblemPart::kTrain, shots);
    }
  }
  if (loaded.examples.size() < shots) {
    throw UsageError(names.shots, fmt::format("is {}, and {} holds {} problems", shots,
                                              example_file.string(), loaded.examples.size()));
  }
  return loaded;
}

}  // namespace fathom

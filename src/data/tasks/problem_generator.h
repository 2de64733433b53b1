#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "data/tasks/task_problem.h"

namespace fathom {

// A problem that was made, with its worked solution.
struct WorkedProblem {
  // What the problem is, however it is told: problems that differ only in names, in the order of
  // what commutes, or in the order in which things are listed have the same one.
  std::string canonical;
  std::string question;
  std::vector<std::string> steps;  // lines of thought, in order, each true
  AnswerKind kind = AnswerKind::kMath;
  std::string answer;            // what is checked against (TaskProblem::answers)
  std::string response;          // what a solver says; often the same
  std::vector<int64_t> numbers;  // kExpression
};

// One kind of problem: a pure function of random numbers.
struct ProblemGenerator {
  std::string_view name;
  std::string_view description;  // what grows with the difficulty
  // difficulty: 1 to kMostDifficult.
  WorkedProblem (*draw)(RandomStream& random, int difficulty);
};

inline constexpr int kMostDifficult = 10;

// "arithmetic", "countdown", "equation", "passkey", "sorting", "strings", "words".
std::span<const ProblemGenerator> ProblemGenerators();
// Throws UsageError for an unknown name.
const ProblemGenerator& FindProblemGenerator(std::string_view name);

// Every problem belongs to one part, by a hash of its canonical form and of nothing else: not of
// a seed, a number of problems, or a difficulty. Whatever files were made, no problem of one part
// is in the other. One in ten is held out.
enum class ProblemPart : uint8_t { kTrain, kHeldOut };
ProblemPart PartOf(const WorkedProblem& problem);

// Problem `index` of a seed: a function of the arguments alone, so that a run can go on anywhere.
// Different indices may give the same problem, the more often the easier it is.
WorkedProblem DrawProblem(const ProblemGenerator& generator, int difficulty, ProblemPart part,
                          uint64_t seed, uint64_t index);

}  // namespace fathom

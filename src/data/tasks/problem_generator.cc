#include "data/tasks/problem_generator.h"

#include <array>
#include <set>

#include "base/error.h"
#include "base/hash.h"
#include "base/nearest.h"
#include "data/tasks/generators.h"

namespace fathom {
namespace {

constexpr std::array<ProblemGenerator, 7> kGenerators = {{
    {"arithmetic", "expressions of + - * / over whole numbers: more operations, larger numbers",
     DrawArithmetic},
    {"countdown", "make a number of others with + - * /: more numbers, larger ones", DrawCountdown},
    {"equation", "linear equations: more terms, brackets, fractions, at last two unknowns",
     DrawEquation},
    {"passkey", "find a number in a text about nothing: 64 words, twice as many at every level",
     DrawPasskey},
    {"sorting", "put numbers or words in order: more of them, longer ones", DrawSorting},
    {"strings", "reverse, count, pick, remove letters of made-up words: longer words", DrawStrings},
    {"words", "what somebody has after buying, losing, sharing: more events", DrawWords},
}};

// One in so many is held out. A constant: another value would move problems between the parts.
constexpr uint64_t kHeldOutOneIn = 10;
// "problems"; keeps the choice of a part independent of every other hash of the same text.
constexpr uint64_t kPartSalt = 0x736D656C626F7270;

}  // namespace

std::span<const ProblemGenerator> ProblemGenerators() { return kGenerators; }

const ProblemGenerator& FindProblemGenerator(std::string_view name) {
  std::set<std::string, std::less<>> names;
  for (const ProblemGenerator& generator : kGenerators) {
    if (generator.name == name) return generator;
    names.emplace(generator.name);
  }
  throw UsageError("problems", fmt::format("there is no kind of problem '{}'", name),
                   NearestHint(name, names, "--help lists what there is"));
}

ProblemPart PartOf(const WorkedProblem& problem) {
  return HashOf(problem.canonical, kPartSalt) % kHeldOutOneIn == 0 ? ProblemPart::kHeldOut
                                                                   : ProblemPart::kTrain;
}

WorkedProblem DrawProblem(const ProblemGenerator& generator, int difficulty, ProblemPart part,
                          uint64_t seed, uint64_t index) {
  const uint64_t kind = HashOf(generator.name, static_cast<uint64_t>(difficulty));
  RandomStream random(MixKey(MixKey(seed, kind), index));
  for (;;) {
    WorkedProblem problem = generator.draw(random, difficulty);
    if (PartOf(problem) != part) continue;
    if (problem.response.empty()) problem.response = problem.answer;
    return problem;
  }
}

}  // namespace fathom

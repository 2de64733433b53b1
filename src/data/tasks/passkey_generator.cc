// A pass key somewhere in a text about nothing (passkey retrieval; Mohtashami and Jaggi, arXiv
// 2305.16300): what a model reads from how far away.

#include <fmt/format.h>

#include <array>
#include <string>
#include <string_view>

#include "data/tasks/generators.h"

namespace fathom {
namespace {

constexpr std::array<std::string_view, 12> kFiller = {
    "A cart rolls down slowly.",       "Snow lies on the roofs.",   "Two boats cross the lake.",
    "The kettle sings once again.",    "Leaves turn in the wind.",  "A clock ticks at night.",
    "Somebody waters the old plants.", "The train leaves at noon.", "Bread cools on the table.",
    "Rain runs along the street.",     "A cat sleeps by itself.",   "The market opens very early.",
};
constexpr int64_t kWordsOfASentence = 5;

}  // namespace

WorkedProblem DrawPasskey(RandomStream& random, int difficulty) {
  const int64_t key = DrawBetween(random, 10'000, 99'999);
  const int64_t sentences = (int64_t{32} << difficulty) / kWordsOfASentence;
  const int64_t place = DrawBetween(random, 0, sentences);
  // The same sentences over and over, as in the paper: what can be learnt of them is little and
  // soon learnt, and the key is what is left.
  uint64_t next = random.NextBelow(kFiller.size());
  WorkedProblem problem;
  problem.question = "Somewhere in this text is a pass key.";
  for (int64_t i = 0; i <= sentences; ++i) {
    if (i == place) problem.question += fmt::format(" Remember that the pass key is {}.", key);
    if (i == sentences) break;
    problem.question += ' ';
    problem.question += kFiller[next++ % kFiller.size()];
  }
  problem.question += " What is the pass key?";
  problem.canonical = fmt::format("passkey:{}", key);
  problem.steps = {fmt::format("It says that the pass key is {}.", key)};
  problem.answer = fmt::format("{}", key);
  return problem;
}

}  // namespace fathom

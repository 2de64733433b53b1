// Sorting, solved as selection sort does: the next one, and what is left.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string>
#include <vector>

#include "data/tasks/generators.h"

namespace fathom {
namespace {

template <typename T>
WorkedProblem Of(std::vector<T> items, bool ascending, std::string_view what,
                 std::string_view order) {
  WorkedProblem problem;
  problem.kind = AnswerKind::kText;
  problem.question = fmt::format("Sort these {} {}: {}", what, order, fmt::join(items, ", "));
  std::vector<T> sorted = items;
  std::sort(sorted.begin(), sorted.end());
  problem.canonical = fmt::format("sorting:{}:{}", ascending, fmt::join(sorted, ","));
  if (!ascending) std::reverse(sorted.begin(), sorted.end());
  for (size_t i = 0; i + 1 < sorted.size(); ++i) {
    std::erase(items, sorted[i]);
    problem.steps.push_back(
        fmt::format("Next is {}, which leaves {}", sorted[i], fmt::join(items, ", ")));
  }
  problem.answer = fmt::format("{}", fmt::join(sorted, ", "));
  return problem;
}

}  // namespace

WorkedProblem DrawSorting(RandomStream& random, int difficulty) {
  const auto count = static_cast<size_t>(difficulty + 2);
  const bool ascending = random.NextBelow(2) == 0;
  // Words at every third level.
  if (difficulty % 3 == 0) {
    std::vector<std::string> words;
    while (words.size() < count) {
      std::string word = DrawMadeUpWord(random, 2 + difficulty / 3);
      if (std::find(words.begin(), words.end(), word) == words.end()) {
        words.push_back(std::move(word));
      }
    }
    return Of(std::move(words), ascending, "words",
              ascending ? "by the alphabet" : "by the alphabet, the last first");
  }
  const int64_t largest = difficulty <= 2 ? 50 : difficulty <= 5 ? 200 : 1000;
  std::vector<int64_t> numbers;
  while (numbers.size() < count) {
    const int64_t number = DrawBetween(random, difficulty >= 7 ? -largest : 1, largest);
    if (std::find(numbers.begin(), numbers.end(), number) == numbers.end()) {
      numbers.push_back(number);
    }
  }
  return Of(std::move(numbers), ascending, "numbers",
            ascending ? "from smallest to largest" : "from largest to smallest");
}

}  // namespace fathom

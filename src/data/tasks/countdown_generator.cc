// Countdown: numbers, and another one to make of all of them.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "data/tasks/generators.h"

namespace fathom {
namespace {

constexpr int64_t kLargestTarget = 1000;
// Attempts that fail, told before the one that succeeds.
constexpr uint64_t kMostFailures = 3;

struct Term {
  int64_t value;
  std::string text;
  bool is_sum;  // wants brackets inside of a product, and behind a minus
};

std::string Bracketed(const Term& term) { return term.is_sum ? "(" + term.text + ")" : term.text; }

// One way to make a number of all the numbers.
struct Attempt {
  int64_t value;
  std::string expression;
  std::vector<std::string> operations;
};

// Joins two terms at a time, as chance has it. Every value on the way is positive and whole;
// nothing where chance led nowhere.
std::optional<Attempt> TryOnce(RandomStream& random, const std::vector<int64_t>& numbers) {
  std::vector<Term> terms;
  for (const int64_t number : numbers) terms.push_back({number, fmt::format("{}", number), false});
  Attempt attempt;
  while (terms.size() > 1) {
    Shuffle(random, terms);
    Term right = std::move(terms.back());
    terms.pop_back();
    Term left = std::move(terms.back());
    terms.pop_back();
    if (left.value < right.value) std::swap(left, right);
    const char operation = "+-*/"[random.NextBelow(4)];
    Term joined{0, "", operation == '+' || operation == '-'};
    switch (operation) {
      case '+':
        joined.value = left.value + right.value;
        joined.text = fmt::format("{} + {}", left.text, right.text);
        break;
      case '-':
        joined.value = left.value - right.value;
        joined.text = fmt::format("{} - {}", left.text, Bracketed(right));
        break;
      case '*':
        joined.value = left.value * right.value;
        joined.text = fmt::format("{} * {}", Bracketed(left), Bracketed(right));
        break;
      default:
        if (left.value % right.value != 0) return std::nullopt;
        joined.value = left.value / right.value;
        // A quotient behind a division needs brackets too.
        joined.text = fmt::format(
            "{} / {}", Bracketed(left),
            right.text.find(' ') == std::string::npos ? right.text : "(" + right.text + ")");
    }
    if (joined.value <= 0 || joined.value > kLargestTarget * 10) return std::nullopt;
    attempt.operations.push_back(
        fmt::format("{} {} {} = {}", left.value, operation, right.value, joined.value));
    terms.push_back(std::move(joined));
  }
  attempt.value = terms.front().value;
  attempt.expression = terms.front().text;
  return attempt;
}

}  // namespace

WorkedProblem DrawCountdown(RandomStream& random, int difficulty) {
  const int count = 2 + (difficulty + 1) / 2;
  const int64_t largest = difficulty % 2 == 1 ? 20 : 99;
  std::vector<int64_t> numbers;
  std::optional<Attempt> solution;
  while (!solution) {
    numbers.clear();
    for (int i = 0; i < count; ++i) numbers.push_back(DrawBetween(random, 1, largest));
    solution = TryOnce(random, numbers);
    if (solution && solution->value > kLargestTarget) solution.reset();
  }
  Shuffle(random, numbers);
  WorkedProblem problem;
  problem.kind = AnswerKind::kExpression;
  problem.numbers = numbers;
  problem.answer = fmt::format("{}", solution->value);
  problem.response = solution->expression;
  problem.question = fmt::format(
      "Make {} of the numbers {} with + - * / and brackets. Use each number exactly once.",
      solution->value, fmt::join(numbers, ", "));
  const uint64_t failures = random.NextBelow(kMostFailures + 1);
  for (uint64_t i = 0; i < failures; ++i) {
    const auto attempt = TryOnce(random, numbers);
    if (!attempt || attempt->value == solution->value) continue;
    problem.steps.push_back(fmt::format("Try {}: that is {}, not {}.",
                                        fmt::join(attempt->operations, ", "), attempt->value,
                                        solution->value));
  }
  problem.steps.push_back(
      fmt::format("Try {}: that is {}.", fmt::join(solution->operations, ", "), solution->value));
  problem.steps.push_back(fmt::format("So {} = {}.", solution->expression, solution->value));
  std::sort(numbers.begin(), numbers.end());
  problem.canonical = fmt::format("countdown:{}={}", fmt::join(numbers, ","), solution->value);
  return problem;
}

}  // namespace fathom

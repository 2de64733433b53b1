// Linear equations. The solution is drawn first, so that it is a number one can find by hand.

#include <fmt/format.h>

#include <cstdlib>
#include <numeric>
#include <string>
#include <vector>

#include "data/tasks/generators.h"

namespace fathom {
namespace {

// "5", "-5/3".
std::string Fraction(int64_t numerator, int64_t denominator) {
  const int64_t divisor = std::gcd(numerator, denominator);
  numerator /= divisor;
  denominator /= divisor;
  if (denominator < 0) numerator = -numerator, denominator = -denominator;
  return denominator == 1 ? fmt::format("{}", numerator)
                          : fmt::format("{}/{}", numerator, denominator);
}

// "3x", "-x", "x".
std::string Times(int64_t factor, std::string_view unknown) {
  if (factor == 1) return std::string(unknown);
  if (factor == -1) return fmt::format("-{}", unknown);
  return fmt::format("{}{}", factor, unknown);
}

// "... + 5", "... - 5", "" for 0.
std::string Plus(int64_t value) {
  if (value == 0) return "";
  return fmt::format(" {} {}", value < 0 ? '-' : '+', std::llabs(value));
}
std::string Plus(int64_t factor, std::string_view unknown) {
  return fmt::format(" {} {}", factor < 0 ? '-' : '+', Times(std::llabs(factor), unknown));
}

int64_t DrawSigned(RandomStream& random, int64_t most) {
  const int64_t size = DrawBetween(random, 2, most);
  return random.NextBelow(2) == 0 ? size : -size;
}

// a x + b = c x + d; c may be 0.
struct Sides {
  int64_t a, b, c, d;
};

std::string Print(const Sides& s) {
  const std::string right = s.c == 0 ? fmt::format("{}", s.d) : Times(s.c, "x") + Plus(s.d);
  return fmt::format("{}{} = {}", Times(s.a, "x"), Plus(s.b), right);
}

void SolveSides(Sides s, std::vector<std::string>& steps) {
  if (s.c != 0) {
    steps.push_back(fmt::format("{} {} on both sides: {}", s.c > 0 ? "Take away" : "Add",
                                Times(std::llabs(s.c), "x"), Print({s.a - s.c, s.b, 0, s.d})));
    s = {s.a - s.c, s.b, 0, s.d};
  }
  if (s.b != 0) {
    steps.push_back(fmt::format("{} {} on both sides: {}", s.b > 0 ? "Take away" : "Add",
                                std::llabs(s.b), Print({s.a, 0, 0, s.d - s.b})));
    s = {s.a, 0, 0, s.d - s.b};
  }
  if (s.a != 1) {
    steps.push_back(fmt::format("Divide by {}: x = {}", s.a, Fraction(s.d, s.a)));
  }
}

WorkedProblem OfSides(const Sides& s, std::string_view written = {}) {
  WorkedProblem problem;
  problem.question =
      fmt::format("Solve for x: {}", written.empty() ? Print(s) : std::string(written));
  problem.answer = Fraction(s.d - s.b, s.a - s.c);
  SolveSides(s, problem.steps);
  return problem;
}

// Two equations a x + b y = c, d x + e y = f with a small whole solution.
WorkedProblem DrawPair(RandomStream& random, bool simple) {
  const int64_t x = DrawBetween(random, -9, 9), y = DrawBetween(random, -9, 9);
  int64_t a, b, d, e;
  do {
    a = simple ? 1 : DrawBetween(random, 1, 6);
    b = simple ? 1 : DrawSigned(random, 6);
    d = simple ? 1 : DrawBetween(random, 1, 6);
    e = simple ? DrawBetween(random, -5, -1) : DrawSigned(random, 6);
  } while (a * e == b * d);
  const int64_t c = a * x + b * y, f = d * x + e * y;
  WorkedProblem problem;
  const std::string first = fmt::format("{}{} = {}", Times(a, "x"), Plus(b, "y"), c);
  const std::string second = fmt::format("{}{} = {}", Times(d, "x"), Plus(e, "y"), f);
  problem.question = fmt::format("Solve for (x, y): {} and {}", first, second);
  problem.answer = fmt::format("({}, {})", x, y);
  // Take away d times the first from a times the second: x is gone.
  const int64_t factor = a * e - d * b, value = a * f - d * c;
  if (a == d) {
    problem.steps.push_back(fmt::format("Take the first equation away from the second: {} = {}",
                                        Times(e - b, "y"), f - c));
    if (e - b != 1) problem.steps.push_back(fmt::format("Divide by {}: y = {}", e - b, y));
  } else {
    problem.steps.push_back(fmt::format("The first equation times {}: {}{} = {}", d,
                                        Times(a * d, "x"), Plus(b * d, "y"), c * d));
    problem.steps.push_back(fmt::format("The second equation times {}: {}{} = {}", a,
                                        Times(a * d, "x"), Plus(e * a, "y"), f * a));
    problem.steps.push_back(fmt::format("Take the first of these away from the second: {} = {}",
                                        Times(factor, "y"), value));
    if (factor != 1) problem.steps.push_back(fmt::format("Divide by {}: y = {}", factor, y));
  }
  problem.steps.push_back(
      fmt::format("Put y = {} into {}: {} = {}", y, first, Times(a, "x"), c - b * y));
  if (a != 1) problem.steps.push_back(fmt::format("Divide by {}: x = {}", a, x));
  // The two equations have no order.
  const std::string one = fmt::format("{},{},{}", a, b, c), two = fmt::format("{},{},{}", d, e, f);
  problem.canonical = fmt::format("equations:{};{}", std::min(one, two), std::max(one, two));
  return problem;
}

}  // namespace

WorkedProblem DrawEquation(RandomStream& random, int difficulty) {
  if (difficulty >= 9) return DrawPair(random, difficulty == 9);
  const int64_t x = difficulty <= 3 ? DrawBetween(random, 0, 20) : DrawBetween(random, -20, 20);
  const int64_t a = difficulty <= 3 ? DrawBetween(random, 2, 9) : DrawSigned(random, 12);
  const int64_t b = difficulty <= 3 ? DrawBetween(random, 1, 30) : DrawSigned(random, 40);
  int64_t c = DrawSigned(random, 12);
  if (c == a) c = -a;
  WorkedProblem problem;
  Sides sides{};
  switch (difficulty) {
    case 1:
      sides = {1, b, 0, x + b};
      problem = OfSides(sides);
      break;
    case 2:
      sides = {a, 0, 0, a * x};
      problem = OfSides(sides);
      break;
    case 3:
    case 4:
      sides = {a, b, 0, a * x + b};
      problem = OfSides(sides);
      break;
    case 5:
      sides = {a, b, c, (a - c) * x + b};
      problem = OfSides(sides);
      break;
    case 6:
    case 7: {
      // a(x + b) = right, at 7 with c x on the right side.
      sides = {a, a * b, difficulty == 6 ? 0 : c, 0};
      sides.d = (a - sides.c) * x + sides.b;
      const std::string right =
          sides.c == 0 ? fmt::format("{}", sides.d) : Times(sides.c, "x") + Plus(sides.d);
      problem = OfSides(sides, fmt::format("{}(x{}) = {}", a, Plus(b), right));
      problem.steps.insert(problem.steps.begin(),
                           fmt::format("Multiply the bracket out: {}", Print(sides)));
      break;
    }
    default:
      // Whatever comes out: a fraction, mostly.
      sides = {a, b, c, DrawSigned(random, 40)};
      problem = OfSides(sides);
  }
  // The two sides have no order. A bracket is another problem than what it multiplies out to.
  const std::string left = fmt::format("{},{}", sides.a, sides.b);
  const std::string right = fmt::format("{},{}", sides.c, sides.d);
  problem.canonical =
      fmt::format("equation{}:{}={}", difficulty == 6 || difficulty == 7 ? "()" : "",
                  std::min(left, right), std::max(left, right));
  return problem;
}

}  // namespace fathom

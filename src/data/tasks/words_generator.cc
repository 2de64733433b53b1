// Small word problems: somebody has something, this and that happens, how much is it then?

#include <fmt/format.h>

#include <array>
#include <string>
#include <string_view>

#include "data/tasks/generators.h"

namespace fathom {
namespace {

constexpr std::array<std::string_view, 10> kNames = {"Anna", "Ben",  "Carla", "David", "Emma",
                                                     "Finn", "Hana", "Ivan",  "Lina",  "Omar"};
constexpr std::array<std::string_view, 8> kThings = {"apples", "books",   "cards",  "coins",
                                                     "eggs",   "pencils", "shells", "stamps"};
constexpr std::array<std::string_view, 4> kGains = {"buys {} more", "finds {} more",
                                                    "is given {} more", "wins {} more"};
constexpr std::array<std::string_view, 4> kLosses = {"gives away {}", "loses {}", "sells {}",
                                                     "uses up {}"};
constexpr std::array<std::string_view, 3> kOpenings = {"has {} {}", "starts with {} {}",
                                                       "owns {} {}"};
// No amount on the way is larger.
constexpr int64_t kLargest = 2000;

std::string Filled(std::string_view phrase, int64_t number) {
  return fmt::format(fmt::runtime(phrase), number);
}

class Story {
 public:
  Story(RandomStream& random, int difficulty)
      : random_(random),
        difficulty_(difficulty),
        name_(DrawFrom<std::string_view>(random, kNames)),
        thing_(DrawFrom<std::string_view>(random, kThings)) {}

  WorkedProblem Tell() {
    amount_ = DrawBetween(random_, 5, difficulty_ <= 4 ? 30 : 80);
    problem_.question = fmt::format(
        "{} {}.", name_,
        fmt::format(fmt::runtime(DrawFrom<std::string_view>(random_, kOpenings)), amount_, thing_));
    problem_.canonical = fmt::format("words:{}", amount_);
    for (int i = 0; i < difficulty_; ++i) Happen();
    End();
    return std::move(problem_);
  }

 private:
  void Happen() {
    const uint64_t kinds = difficulty_ >= 5 ? 5 : difficulty_ >= 3 ? 4 : 2;
    for (;;) {
      const int64_t number = DrawBetween(random_, 2, difficulty_ <= 4 ? 20 : 50);
      switch (random_.NextBelow(kinds)) {
        case 0:
          if (amount_ + number > kLargest) continue;
          Event(Filled(DrawFrom<std::string_view>(random_, kGains), number), '+', number,
                amount_ + number);
          return;
        case 1:
          if (number >= amount_) continue;
          Event(Filled(DrawFrom<std::string_view>(random_, kLosses), number), '-', number,
                amount_ - number);
          return;
        case 2: {
          const int64_t factor = DrawBetween(random_, 2, 3);
          if (amount_ * factor > kLargest) continue;
          Event(fmt::format("{} the number of {}", factor == 2 ? "doubles" : "triples", thing_),
                '*', factor, amount_ * factor);
          return;
        }
        case 3:
          if (amount_ % 2 != 0) continue;
          Event("gives half of them away", '/', 2, amount_ / 2);
          return;
        default: {
          const int64_t boxes = DrawBetween(random_, 2, 9), each = DrawBetween(random_, 2, 12);
          if (amount_ + boxes * each > kLargest) continue;
          problem_.question +=
              fmt::format(" Then {} gets {} boxes with {} {} in each.", name_, boxes, each, thing_);
          problem_.steps.push_back(fmt::format("{} * {} = {}", boxes, each, boxes * each));
          Step('+', boxes * each, amount_ + boxes * each);
          problem_.canonical += fmt::format(";+{}*{}", boxes, each);
          return;
        }
      }
    }
  }

  void Event(std::string_view what, char operation, int64_t number, int64_t after) {
    problem_.question += fmt::format(" Then {} {}.", name_, what);
    problem_.canonical += fmt::format(";{}{}", operation, number);
    Step(operation, number, after);
  }

  void Step(char operation, int64_t number, int64_t after) {
    problem_.steps.push_back(fmt::format("{} {} {} = {}", amount_, operation, number, after));
    amount_ = after;
  }

  void End() {
    if (difficulty_ >= 4 && random_.NextBelow(2) == 0) {
      const int64_t price = DrawBetween(random_, 2, 9);
      problem_.question += fmt::format(
          " In the end {} sells all of them for {} dollars each. How "
          "many dollars is that?",
          name_, price);
      problem_.canonical += fmt::format(";price{}", price);
      Step('*', price, amount_ * price);
    } else {
      problem_.question += fmt::format(" How many {} does {} have now?", thing_, name_);
    }
    problem_.answer = fmt::format("{}", amount_);
  }

  RandomStream& random_;
  int difficulty_;
  std::string_view name_, thing_;
  int64_t amount_ = 0;
  WorkedProblem problem_;
};

}  // namespace

WorkedProblem DrawWords(RandomStream& random, int difficulty) {
  return Story(random, difficulty).Tell();
}

}  // namespace fathom

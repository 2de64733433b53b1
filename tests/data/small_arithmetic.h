#pragma once

// A calculator of the tests' own: what generators claim is checked with it.

#include <gtest/gtest.h>

#include <cctype>
#include <cstdlib>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>

namespace fathom {

// Evaluates + - * / and brackets over numbers and one-letter unknowns ("3x" is a product).
class SmallArithmetic {
 public:
  SmallArithmetic(std::string_view text, std::map<char, double> unknowns = {})
      : text_(text), unknowns_(std::move(unknowns)) {}

  // Throws std::runtime_error for what it does not read whole.
  double Value() {
    const double value = Sum();
    Skip();
    if (at_ != text_.size())
      throw std::runtime_error("'" + text_ + "' goes on at " + text_.substr(at_));
    return value;
  }

 private:
  void Skip() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  bool Take(char c) {
    Skip();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  double Sum() {
    double value = Product();
    for (;;) {
      if (Take('+')) {
        value += Product();
      } else if (Take('-')) {
        value -= Product();
      } else {
        return value;
      }
    }
  }
  double Product() {
    double value = Factor();
    for (;;) {
      Skip();
      const char next = at_ < text_.size() ? text_[at_] : ' ';
      if (Take('*')) {
        value *= Factor();
      } else if (Take('/')) {
        value /= Factor();
      } else if (next == '(' || std::isalpha(next) != 0) {
        value *= Factor();
      } else {
        return value;
      }
    }
  }
  double Factor() {
    if (Take('-')) return -Factor();
    if (Take('(')) {
      const double value = Sum();
      if (!Take(')')) throw std::runtime_error("no ) in '" + text_ + "'");
      return value;
    }
    Skip();
    if (at_ < text_.size() && unknowns_.contains(text_[at_])) return unknowns_[text_[at_++]];
    char* end = nullptr;
    const double value = std::strtod(text_.c_str() + at_, &end);
    if (end == text_.c_str() + at_) throw std::runtime_error("no number in '" + text_ + "'");
    at_ = static_cast<size_t>(end - text_.c_str());
    return value;
  }

  std::string text_;
  std::map<char, double> unknowns_;
  size_t at_ = 0;
};

// Both sides of every "left = right" in the text are equal.
inline void ExpectEquationsHold(std::string_view text,
                                const std::map<char, double>& unknowns = {}) {
  const size_t equals = text.find('=');
  ASSERT_NE(equals, std::string_view::npos) << text;
  const double left = SmallArithmetic(text.substr(0, equals), unknowns).Value();
  const double right = SmallArithmetic(text.substr(equals + 1), unknowns).Value();
  EXPECT_NEAR(left, right, 1e-9) << text;
}

}  // namespace fathom

#include "text/grammar/between.h"

#include <algorithm>
#include <string>

namespace fathom::grammar {
namespace {

class Between {
 public:
  Between(uint8_t low, uint8_t high, std::vector<Expression>& out)
      : low_(low), high_(high), out_(out) {}

  // The strings that agree in `before`, and go on between the two.
  void Add(const std::vector<Expression>& before, std::string_view first, std::string_view last) {
    const auto a = static_cast<uint8_t>(first[0]), b = static_cast<uint8_t>(last[0]);
    const size_t rest = first.size() - 1;
    if (rest > 0 && a == b) {
      Add(With(before, a, a), first.substr(1), last.substr(1));
      return;
    }
    int begin = a, end = b;  // bytes after which everything may come
    if (rest > 0 && !IsAll(first.substr(1), low_)) {
      Add(With(before, a, a), first.substr(1), std::string(rest, static_cast<char>(high_)));
      ++begin;
    }
    if (rest > 0 && !IsAll(last.substr(1), high_)) {
      Add(With(before, b, b), std::string(rest, static_cast<char>(low_)), last.substr(1));
      --end;
    }
    if (begin > end) return;
    std::vector<Expression> parts =
        With(before, static_cast<uint8_t>(begin), static_cast<uint8_t>(end));
    parts.insert(parts.end(), rest, Expression::Bytes(low_, high_));
    out_.push_back(Expression::Sequence(std::move(parts)));
  }

 private:
  static std::vector<Expression> With(std::vector<Expression> parts, uint8_t a, uint8_t b) {
    parts.push_back(Expression::Bytes(a, b));
    return parts;
  }
  static bool IsAll(std::string_view text, uint8_t value) {
    return std::ranges::all_of(text, [&](char c) { return static_cast<uint8_t>(c) == value; });
  }

  uint8_t low_, high_;
  std::vector<Expression>& out_;
};

}  // namespace

void AddBetween(std::string_view first, std::string_view last, uint8_t low, uint8_t high,
                std::vector<Expression>& out) {
  Between(low, high, out).Add({}, first, last);
}

}  // namespace fathom::grammar

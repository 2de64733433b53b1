#include "text/grammar/number_range.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "text/grammar/between.h"

namespace fathom::grammar {
namespace {

using E = Expression;

constexpr int64_t kMostDigits = 18, kMostDecimals = 20;  // as JsonText has it

E Digits(int64_t least, int64_t most) { return E::Repeat(E::Bytes('0', '9'), least, most); }

// The integers from least >= 0 to most, without a sign.
E Naturals(int64_t least, std::optional<int64_t> most) {
  std::vector<E> parts;
  std::string first = std::to_string(least);
  const std::string last = most ? std::to_string(*most) : std::string();
  if (most && least > *most) return E::Nothing();
  while (!most || first.size() < last.size()) {
    AddBetween(first, std::string(first.size(), '9'), '0', '9', parts);
    first = "1" + std::string(first.size(), '0');
    if (most) continue;
    // All longer ones.
    parts.push_back(E::Sequence(
        {E::Bytes('1', '9'), Digits(static_cast<int64_t>(first.size()) - 1, kMostDigits - 1)}));
    return E::Choice(std::move(parts));
  }
  AddBetween(first, last, '0', '9', parts);
  return E::Choice(std::move(parts));
}

E Fraction() { return E::Sequence({E::Text("."), Digits(1, kMostDecimals)}); }
E ZeroFraction() { return E::Sequence({E::Text("."), E::Repeat(E::Text("0"), 1, kMostDecimals)}); }
E NonzeroFraction() {
  return E::Sequence({E::Text("."), Digits(0, kMostDecimals / 2), E::Bytes('1', '9'),
                      Digits(0, kMostDecimals / 2)});
}

// The decimals of a range with least >= 0, without a sign.
E Decimals(const NumberRange& range) {
  const int64_t least = *range.least;
  std::vector<E> parts;
  const auto whole = [&](int64_t n) { return E::Text(std::to_string(n)); };
  if (range.most && *range.most < least) return E::Nothing();
  if (range.most == least) {
    if (range.least_open || range.most_open) return E::Nothing();
    return E::Sequence({whole(least), E::Optional(ZeroFraction())});
  }
  parts.push_back(
      E::Sequence({whole(least), range.least_open ? NonzeroFraction() : E::Optional(Fraction())}));
  std::optional<int64_t> last = range.most;
  if (last) --*last;
  parts.push_back(E::Sequence({Naturals(least + 1, last), E::Optional(Fraction())}));
  if (range.most && !range.most_open) {
    parts.push_back(E::Sequence({whole(*range.most), E::Optional(ZeroFraction())}));
  }
  return E::Choice(std::move(parts));
}

// The two halves of a range: numbers from 0 on, and the magnitudes of those below 0.
std::pair<std::optional<NumberRange>, std::optional<NumberRange>> Halves(const NumberRange& range) {
  std::optional<NumberRange> positive, negative;
  if (!range.most || *range.most >= 0) {
    positive = range;
    if (!range.least || *range.least < 0) {
      positive->least = 0;
      positive->least_open = false;
    }
  }
  if (!range.least || *range.least < 0) {
    negative = NumberRange{.least = 0, .least_open = true, .most_open = range.least_open};
    if (range.least) negative->most = -*range.least;
    if (range.most && *range.most < 0) {
      negative->least = -*range.most;
      negative->least_open = range.most_open;
    }
  }
  return {positive, negative};
}

}  // namespace

Expression IntegersIn(const NumberRange& range) {
  const auto [positive, negative] = Halves(range);
  std::vector<E> parts;
  if (positive) parts.push_back(Naturals(*positive->least, positive->most));
  if (negative) {
    const int64_t least = std::max<int64_t>(1, *negative->least);
    parts.push_back(E::Sequence({E::Text("-"), Naturals(least, negative->most)}));
  }
  return E::Choice(std::move(parts));
}

Expression NumbersIn(const NumberRange& range) {
  const auto [positive, negative] = Halves(range);
  std::vector<E> parts;
  if (positive) parts.push_back(Decimals(*positive));
  if (negative) parts.push_back(E::Sequence({E::Text("-"), Decimals(*negative)}));
  return E::Choice(std::move(parts));
}

}  // namespace fathom::grammar

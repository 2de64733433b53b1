#include "serve/accounts/money.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>

#include "base/error.h"

namespace fathom {
namespace {

constexpr MicroDollars kDollar = 1'000'000;
constexpr size_t kDecimals = 6, kDigits = 9;

bool AllDigits(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

MicroDollars ParseDollars(std::string_view text, std::string_view where) {
  const size_t point = text.find('.');
  const std::string_view whole = text.substr(0, point);
  const std::string_view part = point == std::string_view::npos ? "" : text.substr(point + 1);
  const bool has_part = point == std::string_view::npos || !part.empty();
  if (whole.empty() || whole.size() > kDigits || part.size() > kDecimals || !has_part ||
      !AllDigits(whole) || !AllDigits(part)) {
    throw Error(where, fmt::format("'{}' is not an amount in dollars", text),
                "for instance 20 or 0.25, with up to six decimals");
  }
  std::string digits(whole);
  digits += part;
  digits.append(kDecimals - part.size(), '0');
  MicroDollars amount = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), amount);
  return amount;
}

std::string FormatDollars(MicroDollars amount) {
  const char* sign = amount < 0 ? "-" : "";
  const uint64_t size =
      amount < 0 ? 0 - static_cast<uint64_t>(amount) : static_cast<uint64_t>(amount);
  std::string text = fmt::format("{}{}.{:06}", sign, size / kDollar, size % kDollar);
  const size_t two_decimals = text.find('.') + 3;
  while (text.size() > two_decimals && text.back() == '0') text.pop_back();
  return text;
}

MicroDollars Prices::Cost(const TokenCounts& tokens) const {
  // Products of 2^40 and 2^63 do not fit into 64 bits.
  __extension__ using Wide = __int128;
  constexpr Wide kTokens = 1'000'000;
  const Wide sum = Wide{cache_hit} * tokens.cache_hit + Wide{cache_miss} * tokens.cache_miss +
                   Wide{output} * tokens.output;
  const Wide cost = (sum + kTokens - 1) / kTokens;
  return static_cast<MicroDollars>(
      std::min<Wide>(cost, std::numeric_limits<MicroDollars>::max() / 4));
}

}  // namespace fathom

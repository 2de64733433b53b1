#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fathom {

// Money is counted in whole millionths of a dollar: sums are exact.
using MicroDollars = int64_t;

// "12", "0.25", "0.000001": dollars, not negative, with up to six decimals and below a billion.
// Error
// ("WHERE: ...") for anything else.
MicroDollars ParseDollars(std::string_view text, std::string_view where);
// "12.00", "0.000001": the shortest with at least two decimals, which ParseDollars reads back.
std::string FormatDollars(MicroDollars amount);

// Tokens of a request, as its usage says them.
struct TokenCounts {
  int64_t cache_hit = 0, cache_miss = 0;  // of the prompt: found in the cache, computed
  int64_t output = 0;

  int64_t total() const { return cache_hit + cache_miss + output; }
  bool operator==(const TokenCounts&) const = default;
};

// For a million tokens each.
struct Prices {
  MicroDollars cache_hit = 0, cache_miss = 0, output = 0;

  // The highest that there may be: a million dollars.
  static constexpr MicroDollars kMost = 1'000'000'000'000;
  // What a request costs: the sum over its tokens, rounded up once, to the next whole millionth of
  // a dollar. All requests of a key together are never cheaper than their tokens, and dearer by
  // less than a millionth for each request.
  MicroDollars Cost(const TokenCounts& tokens) const;
  bool operator==(const Prices&) const = default;
};

}  // namespace fathom

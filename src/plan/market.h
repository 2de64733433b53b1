#pragma once

#include <filesystem>
#include <optional>

#include "plan/sourced_value.h"

namespace fathom {

// How prices of capabilities fall, as src/plan/data/market.toml describes it.
struct Market {
  SourcedValue progress;  // factor a year: the same capability at that fraction of the cost
  SourcedValue gpt3_fall, gpt3_years, gpt4_fall, next_fall;
  SourcedValue leader_output, leader_input;
  SourcedValue lag;                // years
  SourcedValue elasticity;         // of demand for tokens, positive
  SourcedValue supply_elasticity;  // of GPU-hours

  static Market Load(const std::optional<std::filesystem::path>& over = {});
};

// The price of today's capability after `years`: price / progress^years.
double PriceAfter(double price, double progress, double years);
// The yearly factor at which a price falls by `fall` in `years`.
double YearlyProgress(double fall, double years);
// The factor by which spending on tokens changes when their cost falls by `fall`: with constant
// elasticity e tokens grow by fall^e and spending by fall^(e - 1): more only when e > 1 (Jevons).
double SpendingFactor(double fall, double elasticity);
// The factor by which a GPU-hour's price changes when each token takes `fall` times fewer of them.
// Demand for hours at hour price p is fall^(e-1) p^-e, supply p^s; they meet at fall^((e-1)/(e+s)).
double HourPriceFactor(double fall, double elasticity, double supply_elasticity);

}  // namespace fathom

#include "serve/accounts/key_use.h"

#include <fmt/format.h>

#include <chrono>

namespace fathom {
namespace {

using Reason = AccessError::Reason;

Refusal BudgetRefusal(const KeyLimits& limits, const KeyUse& use, MicroDollars most) {
  if (!limits.budget) return {};
  const MicroDollars left = *limits.budget - use.spent - use.reserved;
  if (left > 0 && most <= left) return {};
  const char* period = limits.period == BudgetPeriod::kMonth ? "for this month" : "in all";
  if (left <= 0) {
    return AccessError(Reason::kBudget, fmt::format("this key's budget of ${} {} is used up",
                                                    FormatDollars(*limits.budget), period));
  }
  return AccessError(
      Reason::kBudget,
      fmt::format("this request can cost ${}, and of this key's budget ${} are left {} "
                  "(a smaller max_tokens costs less)",
                  FormatDollars(most), FormatDollars(left), period));
}

}  // namespace

int64_t PeriodStart(BudgetPeriod period, int64_t time) {
  if (period == BudgetPeriod::kTotal) return 0;
  using std::chrono::floor;
  const std::chrono::sys_time<std::chrono::milliseconds> moment{std::chrono::milliseconds(time)};
  const std::chrono::year_month_day day(floor<std::chrono::days>(moment));
  const std::chrono::sys_days first(day.year() / day.month() / 1);
  return std::chrono::duration_cast<std::chrono::milliseconds>(first.time_since_epoch()).count();
}

Refusal RefusalOf(const ApiKey& key, const KeyUse& use, MicroDollars most, int64_t now) {
  if (key.revoked != 0) return AccessError(Reason::kNoKey, "this key is not known here");
  if (key.disabled) return AccessError(Reason::kNoKey, "this key is disabled");
  if (key.expires != 0 && now / 1000 >= key.expires) {
    return AccessError(Reason::kNoKey, "this key has expired");
  }
  const int64_t limit = key.limits.concurrency;
  if (limit != 0 && use.open >= limit) {
    return AccessError(Reason::kRate,
                       fmt::format("this key has {} request{} under way, as many as it may", limit,
                                   limit == 1 ? "" : "s"),
                       1);
  }
  return BudgetRefusal(key.limits, use, most);
}

}  // namespace fathom

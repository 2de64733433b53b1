#include "posttrain/rewards/hacking.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace fathom {
namespace {

constexpr double kStandardErrors = 3;

struct Half {
  double sum = 0, squares = 0, count = 0;

  void Add(double value) {
    sum += value;
    squares += value * value;
    ++count;
  }
  double mean() const { return sum / count; }
  // Of the mean, squared.
  double variance() const { return std::max(0.0, squares / count - mean() * mean()) / (count - 1); }
};

// How many standard errors the mean has gone up.
double Rise(const Half& before, const Half& after) {
  const double difference = after.mean() - before.mean();
  const double error = std::sqrt(before.variance() + after.variance());
  if (error > 0) return difference / error;
  return difference == 0 ? 0 : std::copysign(std::numeric_limits<double>::infinity(), difference);
}

}  // namespace

RewardHackingWatch::RewardHackingWatch(int64_t window) : window_(window) {
  FATHOM_CHECK(window >= 4 && window % 2 == 0);
}

std::optional<RewardHackingWatch::Finding> RewardHackingWatch::Add(int64_t step, double proxy,
                                                                   double gold) {
  if (!std::isfinite(proxy) || !std::isfinite(gold)) return std::nullopt;
  steps_.push_back({step, proxy, gold});
  if (static_cast<int64_t>(steps_.size()) > window_) steps_.pop_front();
  if (static_cast<int64_t>(steps_.size()) < window_) return std::nullopt;
  Half proxies[2], golds[2];
  for (int64_t i = 0; i < window_; ++i) {
    const Step& at = steps_[static_cast<size_t>(i)];
    const size_t half = 2 * i < window_ ? 0 : 1;
    proxies[half].Add(at.proxy);
    golds[half].Add(at.gold);
  }
  const bool hacked =
      Rise(proxies[0], proxies[1]) > kStandardErrors && Rise(golds[0], golds[1]) < -kStandardErrors;
  if (!hacked) return std::nullopt;
  const Finding finding{.first_step = steps_.front().step,
                        .last_step = step,
                        .proxy_before = proxies[0].mean(),
                        .proxy_after = proxies[1].mean(),
                        .gold_before = golds[0].mean(),
                        .gold_after = golds[1].mean()};
  steps_.clear();
  return finding;
}

}  // namespace fathom

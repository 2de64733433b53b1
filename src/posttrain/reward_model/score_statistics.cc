#include "posttrain/reward_model/score_statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "posttrain/reward_model/score_objective.h"

namespace fathom {
namespace {

class Calibration {
 public:
  void Add(double probability, double happened) {
    const auto bin = std::min<size_t>(kBins - 1, static_cast<size_t>(probability * kBins));
    bins_[bin].probability += probability;
    bins_[bin].happened += happened;
    ++count_;
  }
  double Error() const {
    double error = 0;
    for (const Bin& bin : bins_) error += std::abs(bin.probability - bin.happened);
    return error / static_cast<double>(count_);
  }

 private:
  static constexpr size_t kBins = 10;
  struct Bin {
    double probability = 0, happened = 0;  // sums
  };
  Bin bins_[kBins];
  int64_t count_ = 0;
};

// Mann and Whitney's U from ranks, equal scores with their mean rank, over the number of pairs.
double AreaUnderCurve(std::span<const JudgedExample> examples) {
  std::vector<const JudgedExample*> order;
  for (const JudgedExample& example : examples) order.push_back(&example);
  std::sort(order.begin(), order.end(),
            [](const auto* a, const auto* b) { return a->score < b->score; });
  double ranks = 0, good = 0;
  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin;
    while (end < order.size() && order[end]->score == order[begin]->score) ++end;
    const double rank = static_cast<double>(begin + end + 1) / 2;
    for (; begin < end; ++begin) {
      if (order[begin]->value < 0.5) continue;
      ranks += rank;
      ++good;
    }
  }
  const double bad = static_cast<double>(examples.size()) - good;
  if (good == 0 || bad == 0) return std::numeric_limits<double>::quiet_NaN();
  return (ranks - good * (good + 1) / 2) / (good * bad);
}

}  // namespace

double JudgedExample::Agreement(bool pairs) const {
  return pairs ? score - worse_score : value > 0.5 ? score : -score;
}

ScoreStatistics MakeScoreStatistics(std::span<const JudgedExample> examples, bool pairs) {
  ScoreStatistics statistics;
  Calibration calibration;
  int64_t right = 0;
  for (const JudgedExample& example : examples) {
    const double agreement = example.Agreement(pairs);
    statistics.loss += NegativeLogSigmoid(agreement - (pairs ? example.value : 0));
    right += agreement > 0 ? 1 : 0;
    if (pairs) {
      calibration.Add(Sigmoid(agreement), 1);
      calibration.Add(Sigmoid(-agreement), 0);
    } else {
      calibration.Add(Sigmoid(example.score), example.value);
    }
  }
  const auto count = static_cast<int64_t>(examples.size());
  statistics.loss /= static_cast<double>(count);
  statistics.accuracy = WilsonInterval(right, count);
  statistics.calibration_error = calibration.Error();
  statistics.auc = pairs ? std::numeric_limits<double>::quiet_NaN() : AreaUnderCurve(examples);
  return statistics;
}

}  // namespace fathom

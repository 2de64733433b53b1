#pragma once

#include <span>
#include <string>
#include <vector>

namespace fathom {

// Where numbers stand on an axis of a chart.
class ChartAxis {
 public:
  // From numbers (those that are not finite do not count) to pixels [begin, end]. Logarithmic when
  // all are positive and they span more than two decades and `may_be_logarithmic`. A linear axis
  // has zero when `with_zero`.
  ChartAxis(std::span<const double> values, double begin, double end, bool with_zero,
            bool may_be_logarithmic);

  double At(double value) const;
  bool logarithmic() const { return logarithmic_; }
  // Round numbers within the axis, about `count` of them.
  std::vector<double> Ticks(int count) const;

 private:
  double low_ = 0, high_ = 1, begin_, end_;
  bool logarithmic_ = false;
};

// A number of a tick or label, short: "1.5k", "20M", "0.25", with its unit: "$1.5k", "20 GB";
// counts go without.
std::string ShortNumber(double value, std::string_view unit);

}  // namespace fathom

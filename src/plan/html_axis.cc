#include "plan/html_axis.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace fathom {
namespace {

constexpr double kLogarithmicFrom = 100;

// The smallest of 1, 2, 5 times a power of ten that is at least `step`.
double RoundStep(double step) {
  const double power = std::pow(10, std::floor(std::log10(step)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= step * (1 - 1e-9)) return factor * power;
  }
  return 10 * power;
}

}  // namespace

ChartAxis::ChartAxis(std::span<const double> values, double begin, double end, bool with_zero,
                     bool may_be_logarithmic)
    : begin_(begin), end_(end) {
  bool any = false;
  for (const double value : values) {
    if (!std::isfinite(value)) continue;
    low_ = any ? std::min(low_, value) : value;
    high_ = any ? std::max(high_, value) : value;
    any = true;
  }
  logarithmic_ = may_be_logarithmic && any && low_ > 0 && high_ / low_ > kLogarithmicFrom;
  if (logarithmic_) return;
  if (with_zero) {
    low_ = std::min(low_, 0.0);
    high_ = std::max(high_, 0.0);
  }
  if (!(high_ > low_)) {
    const double around = high_ == 0 ? 1 : std::abs(high_) * 0.1;
    low_ -= around;
    high_ += around;
  }
}

double ChartAxis::At(double value) const {
  const double share = logarithmic_ ? std::log(value / low_) / std::log(high_ / low_)
                                    : (value - low_) / (high_ - low_);
  return begin_ + share * (end_ - begin_);
}

std::vector<double> ChartAxis::Ticks(int count) const {
  std::vector<double> ticks;
  if (logarithmic_) {
    const double first = std::ceil(std::log10(low_) - 1e-9);
    const double last = std::floor(std::log10(high_) + 1e-9);
    const double step = std::max(1.0, std::ceil((last - first + 1) / count));
    for (double power = first; power <= last; power += step) ticks.push_back(std::pow(10, power));
    return ticks;
  }
  const double step = RoundStep((high_ - low_) / count);
  for (double i = std::ceil(low_ / step - 1e-9); i * step <= high_ + 1e-9 * step; ++i) {
    ticks.push_back(i * step + 0.0);  // -0 becomes 0
  }
  return ticks;
}

std::string ShortNumber(double value, std::string_view unit) {
  static constexpr struct {
    double size;
    const char* letter;
  } kSteps[] = {{1e15, "P"}, {1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}};
  std::string number, letter;
  double scaled = value;
  if (unit == "s") {
    const double size = std::abs(value);
    if (size > 0 && size < 1e-3) return fmt::format("{:.3g} us", value * 1e6);
    if (size > 0 && size < 1) return fmt::format("{:.3g} ms", value * 1e3);
    if (size >= 86400 * 2) return fmt::format("{:.3g} d", value / 86400);
    if (size >= 7200) return fmt::format("{:.3g} h", value / 3600);
    return fmt::format("{:.3g} s", value);
  }
  for (const auto& step : kSteps) {
    if (std::abs(value) < step.size * 0.9995) continue;
    scaled = value / step.size;
    letter = unit == "USD" && step.size == 1e9 ? "B" : step.letter;
    break;
  }
  number = fmt::format("{:.3g}", scaled);
  if (unit == "USD") {
    // With cents; below a dollar with three digits, unless it is a round number of cents.
    const double size = std::abs(value);
    if (letter.empty() && (size >= 0.995 || std::abs(std::round(100 * size) - 100 * size) < 1e-6)) {
      number = fmt::format("{:.2f}", value);
    } else if (size >= 0.0995 && size < 0.995) {
      number = fmt::format("{:.3f}", value);
    }
    return value < 0 ? fmt::format("-${}{}", number.substr(1), letter)
                     : fmt::format("${}{}", number, letter);
  }
  if (unit == "1" || unit.empty()) return number + letter;
  if (unit == "%") return number + letter + " %";
  // What a count is of ("times", "nodes") the chart's title says.
  if (unit != "B" && unit.find('/') == std::string_view::npos) return number + letter;
  return fmt::format("{} {}{}", number, letter, unit);
}

}  // namespace fathom

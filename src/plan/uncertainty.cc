#include "plan/uncertainty.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/random.h"

namespace fathom {

double RangeQuantile(const SourcedValue& range, double uniform) {
  return uniform < 0.5 ? range.low + (range.likely - range.low) * std::sqrt(2 * uniform)
                       : range.high - (range.high - range.likely) * std::sqrt(2 * (1 - uniform));
}

Uncertainty Propagate(std::span<const SourcedValue> inputs,
                      const std::function<double(std::span<const double>)>& output, uint64_t seed,
                      int samples) {
  FATHOM_CHECK(samples > 0);
  std::vector<double> values(inputs.size());
  for (size_t j = 0; j < inputs.size(); ++j) values[j] = inputs[j].likely;
  Uncertainty result{.likely = output(values)};
  for (size_t j = 0; j < inputs.size(); ++j) {
    Swing swing{.input = j};
    values[j] = inputs[j].low;
    swing.at_low = output(values);
    values[j] = inputs[j].high;
    swing.at_high = output(values);
    values[j] = inputs[j].likely;
    if (swing.size() > 0) result.tornado.push_back(swing);
  }
  std::stable_sort(result.tornado.begin(), result.tornado.end(),
                   [](const Swing& a, const Swing& b) { return a.size() > b.size(); });

  std::vector<double> outputs(static_cast<size_t>(samples));
  for (size_t i = 0; i < outputs.size(); ++i) {
    for (size_t j = 0; j < inputs.size(); ++j) {
      values[j] = RangeQuantile(inputs[j], RandomStream(MixKey(seed, j), i).NextUniform());
    }
    outputs[i] = output(values);
  }
  std::sort(outputs.begin(), outputs.end());
  const auto at = [&](double share) {
    return outputs[static_cast<size_t>(
        std::lround(share * static_cast<double>(outputs.size() - 1)))];
  };
  result.p05 = at(0.05);
  result.p50 = at(0.5);
  result.p95 = at(0.95);
  return result;
}

}  // namespace fathom

#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "plan/sourced_value.h"

namespace fathom {

// How an output moves when one input goes over its range and the others stay likely.
struct Swing {
  size_t input = 0;
  double at_low = 0, at_high = 0;
  double size() const { return at_high > at_low ? at_high - at_low : at_low - at_high; }
};

struct Uncertainty {
  double likely = 0;                 // with every input at its likely value
  double p05 = 0, p50 = 0, p95 = 0;  // of samples
  std::vector<Swing> tornado;        // largest first, without inputs that do nothing
};

// Inputs are independent, each distributed as RangeQuantile says. Sample i of input j is a function
// of (seed, j, i) alone, so that more samples or inputs do not change the others.
Uncertainty Propagate(std::span<const SourcedValue> inputs,
                      const std::function<double(std::span<const double>)>& output, uint64_t seed,
                      int samples = 2000);

// The value at the share `uniform` of the mass. Half of it lies on either side of the likely value,
// so that this is the median however lopsided the range is, and falls off linearly to the range's
// ends.
double RangeQuantile(const SourcedValue& range, double uniform);

}  // namespace fathom

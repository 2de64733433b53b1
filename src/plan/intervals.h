#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "plan/report.h"
#include "plan/sourced_value.h"

namespace fathom {

// An input of a scenario that has a range. `value` points into the scenario that is evaluated.
struct UncertainInput {
  std::string name;
  SourcedValue* value = nullptr;
};

// A row whose drivers are shown.
struct Headline {
  std::string section, key;
};

// Gives every prediction of `report` the interval that 90 % of samples lie in, and every headline a
// tornado. `evaluate` makes the report from the scenario that the inputs point into, at their
// likely values; this sets those to each sample's, and puts them back. Inputs are independent and
// triangular. Where `evaluate` throws Error the plan does not work with that sample: how often that
// happened is said in a row of its own, and the intervals are those of the others.
void AddIntervals(std::span<const UncertainInput> inputs, const std::function<Report()>& evaluate,
                  std::span<const Headline> headlines, uint64_t seed, int samples, Report& report);

}  // namespace fathom

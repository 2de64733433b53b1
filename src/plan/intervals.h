#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "plan/report.h"
#include "plan/sourced_value.h"

namespace fathom {

// An input of a scenario that has a range. `value` points into the scenario that is evaluated, and
// so do others that are the same quantity (the price of electricity of every device): they move
// together.
struct UncertainInput {
  std::string name;
  SourcedValue* value = nullptr;
  std::vector<SourcedValue*> same = {};

  void Set(double likely) const {
    value->likely = likely;
    for (SourcedValue* other : same) other->likely = likely;
  }
};

// Gives every prediction of `report` the interval that 90 % of samples lie in and a tornado, the
// headlines' first. `evaluate` makes the report from the scenario that the inputs point into, at
// their likely values; this sets those to each sample's, and puts them back. Inputs are
// independent, distributed as RangeQuantile says. Where `evaluate` throws Error the plan does not
// work with that sample: how often that happened is said in a row of its own, and the intervals are
// those of the others.
void AddIntervals(std::span<const UncertainInput> inputs, const std::function<Report()>& evaluate,
                  std::span<const Headline> headlines, uint64_t seed, int samples, Report& report);

}  // namespace fathom

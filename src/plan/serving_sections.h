#pragma once

// The parts of what `fathom plan serve` prints.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "plan/demand.h"
#include "plan/scenarios.h"

namespace fathom {

void AddServingRates(const ServingScenario& s, const PrefillPlan& prefill, const DecodePlan& decode,
                     const DayOfNodes& nodes, Report& report);
void AddServingNodes(const ServingScenario& s, const DayOfNodes& nodes, Report& report);
void AddServingMoney(const ServingScenario& s, const PrefillPlan& prefill, const DecodePlan& decode,
                     const DayOfNodes& nodes, Report& report);
// What was published of a day, put together again.
void AddPublishedServing(const ServingScenario& s, Report& report);

// Tables: a day by the hour, and other contexts and batches. use: share of the decode nodes' time.
void AddServingHours(const DayOfNodes& nodes, Report& report);
void AddServingSweeps(const ServingScenario& s, const Architecture& architecture, double use,
                      Report& report);

// The same service with one thing of its design changed.
struct ServingVariant {
  std::string key, label;
  std::function<void(ServingScenario&)> change;
  std::optional<Architecture> architecture = {};  // if the model is another
};
std::vector<ServingVariant> ServingVariantsOf(const ServingScenario& s);
// What the variants change in a day's cost. The share of the nodes' time that is used stays, so
// that whole groups of nodes do not hide it.
void AddServingSavings(const ServingScenario& s, const Architecture& architecture,
                       const std::vector<ServingVariant>& variants, const PrefillPlan& prefill,
                       const DecodePlan& decode, const DayOfNodes& nodes, Report& report);

}  // namespace fathom

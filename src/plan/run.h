#pragma once

#include "plan/options.h"
#include "plan/report.h"

namespace fathom {

// The report that a scenario asks for. Throws UsageError naming the option, or Error naming the
// constraint that fails and the nearest that fits.
Report RunPlan(const PlanOptions& options);

}  // namespace fathom

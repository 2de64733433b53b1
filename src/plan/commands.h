#pragma once

#include "plan/options.h"

namespace fathom {

// What every `fathom plan` command can be told: tables for the command line, requests, links and
// sliders.
PlanCommand TrainCommand();
PlanCommand ServeCommand();
PlanCommand PriceCommand();
PlanCommand FleetCommand();
PlanCommand MarketCommand();

}  // namespace fathom

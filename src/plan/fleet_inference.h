#pragma once

#include <string>

#include "plan/scenarios.h"

namespace fathom {

// Whether a device could be bought on its day, for notes.
std::string ExportVerdict(const FleetScenario& scenario, const FleetScenario::Item& item);

// What the fleet's share for inference serves at the day's peak, as a queue: section and tables.
void AddFleetInference(const FleetScenario& scenario, const Architecture& architecture,
                       Report& report);

// What could serve the scenario's users instead, of every kind of device that the data has.
void AddDevicesNeeded(const FleetScenario& scenario, const Architecture& architecture,
                      Report& report);

}  // namespace fathom

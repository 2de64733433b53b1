#pragma once

#include <string>

#include "plan/scenarios.h"

namespace fathom {

// Sections: the same names for every model and demand, so that scenarios can be compared.
inline constexpr const char* kFleetInference = "inference at the day's peak";
inline constexpr const char* kDevicesNeeded = "devices that these users need, of one kind";

// Whether a device could be bought on its day, for notes.
std::string ExportVerdict(const FleetScenario& scenario, const FleetScenario::Item& item);

// What the fleet's share for inference serves at the day's peak, as a queue: section and tables.
void AddFleetInference(const FleetScenario& scenario, const Architecture& architecture,
                       Report& report);

// What could serve the scenario's users instead, of every kind of device that the data has, and
// under which rule it may be bought.
void AddDevicesNeeded(const FleetScenario& scenario, const Architecture& architecture,
                      Report& report);

}  // namespace fathom

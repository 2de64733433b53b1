#pragma once

#include <optional>

#include "plan/serving.h"

namespace fathom {

// Copies of a routed expert that a group holds, on average.
double ExpertReplicas(const ModelConfig& config, const Service& service);

// A group that shares experts waits for its fullest device: the speed that is left. placed: of a
// placement for known loads.
double ExpertBalance(const ModelConfig& config, const std::optional<double>& placed,
                     const Service& service, double group);

}  // namespace fathom

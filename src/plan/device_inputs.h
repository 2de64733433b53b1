#pragma once

#include <vector>

#include "plan/hardware.h"
#include "plan/intervals.h"

namespace fathom {

// The ranges of a device, and of what kernels reach on it: inputs of every plan that computes.
std::vector<UncertainInput> UncertainInputs(Accelerator& device);
std::vector<UncertainInput> UncertainInputs(Kernels& kernels);

}  // namespace fathom

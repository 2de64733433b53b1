#pragma once

#include <cstdint>

#include "model/config.h"
#include "plan/hardware.h"
#include "plan/units.h"

namespace fathom {

// Servers that a token's experts are on, of those that a group of `expert_parallel` devices fills:
// at most topk_group where routing is limited to groups (DeepSeek-V3's M = 4), otherwise the
// expectation for experts chosen at random.
double ServersReached(const ModelConfig& config, const Accelerator& device,
                      int64_t expert_parallel);

// Dispatch and combine of one token in one layer: a byte (FP8) or two an element out, two back. A
// token goes once to each server that it needs and from there to its experts, both at once, so the
// slower of the two networks counts:
//   max(servers x bytes / scale_out, top-k x bytes / scale_up)
// Bytes that stay on the own server are counted too, as DeepEP's bandwidths do. Nothing for one
// device.
SecondsPerToken ExpertExchange(const ModelConfig& config, const Accelerator& device,
                               int64_t expert_parallel, PlanPrecision precision);

}  // namespace fathom

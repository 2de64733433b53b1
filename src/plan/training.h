#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "plan/architecture.h"
#include "plan/hardware.h"
#include "plan/layer_work.h"
#include "plan/schedule.h"
#include "plan/units.h"

namespace fathom {

// How a training step is spread over devices. Defaults are DeepSeek-V3's.
struct TrainingLayout {
  int64_t devices = 2048;
  int64_t tensor = 1;
  int64_t pipeline = 16;
  int64_t expert =
      64;  // of the data-parallel ranks, each group of this many holds all experts once
  int64_t zero_stage = 1;  // 1: optimizer states, 2: and gradients, 3: and weights are shared out
  Schedule schedule = Schedule::kDualPipe;
  int64_t micro_batch = 1;     // sequences
  int64_t virtual_stages = 2;  // of a device, with the interleaved schedule

  int64_t data() const { return devices / (tensor * pipeline); }
};

struct TrainingRun {
  int64_t batch = 15360;  // sequences a step
  int64_t length = 4096;
  PlanPrecision precision = PlanPrecision::kFp8;
  bool mtp = true;
};

// Memory of the fullest device, by role.
struct TrainingMemory {
  Bytes weights, gradients, optimizer, activations;
  Bytes total() const { return weights + gradients + optimizer + activations; }
};

struct StepTime {
  WorkTime compute;           // of all micro-batches of a device
  Seconds exchange;           // dispatch and combine of experts, all of it
  Seconds exposed_exchange;   // what computing does not hide
  Seconds tensor_all_reduce;  // exposed
  Seconds weight_gathering;   // ZeRO-3: what computing does not hide
  Seconds bubble;
  Seconds gradient_reduction;  // among data-parallel ranks, exposed
  Seconds optimizer;
  int64_t micro_batches = 0;
  ChunkTimes chunk;
  Seconds total() const {
    return compute.total() + exposed_exchange + tensor_all_reduce + weight_gathering + bubble +
           gradient_reduction + optimizer;
  }
};

// Throws UsageError that names the sizes that do not divide and the nearest that do.
void CheckLayout(const Architecture& architecture, const TrainingRun& run,
                 const TrainingLayout& layout);

// bf16 or FP8 compute copies, f32 masters and gradients, bf16 moments (f32 in bf16 runs), and what
// backward needs (the recomputation of DeepSeek-V3's report). The layout is checked.
TrainingMemory PlanMemory(const Architecture& architecture, const TrainingRun& run,
                          const TrainingLayout& layout);

// Throws Error when the fullest device holds more than `capacity`: it names the largest role and
// the nearest layout on as many devices that fits (fewest sizes changed), if there is one.
void CheckMemory(const Architecture& architecture, const TrainingRun& run,
                 const TrainingLayout& layout, const Accelerator& device);

// The time of a step from kernel, communication and bubble models. The layout is checked. ZeRO-3
// gathers a stage's compute copies over the network in the forward and the backward pass of every
// micro-batch, hidden as far as computing takes as long.
StepTime PlanStep(const Architecture& architecture, const TrainingRun& run,
                  const TrainingLayout& layout, const Accelerator& device, const Kernels& kernels);

// Accelerator time of a run at a stated share of the peak (model FLOPs utilisation; causal
// attention).
Seconds DeviceTimeAtUtilisation(const Architecture& architecture, Tokens tokens, int64_t length,
                                FlopsPerSecond peak, double utilisation);

}  // namespace fathom

#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plan/sourced_value.h"
#include "plan/units.h"

namespace fathom {

// What matrix products compute in. FP8 is what INT8 is on devices that have no FP8 (W8A8).
enum class PlanPrecision : uint8_t { kBf16, kFp8 };

// One accelerator, as src/plan/data/hardware.toml describes it: peaks without sparsity.
struct Accelerator {
  std::string key, name;
  SourcedValue bf16_tflops;
  std::optional<SourcedValue> fp8_tflops, int8_tops;
  SourcedValue hbm_gb, hbm_gb_per_s;
  SourcedValue scale_up_gb_per_s;   // to a device of the same server, one direction
  SourcedValue scale_up_devices;    // how many are in such a group
  SourcedValue scale_out_gb_per_s;  // to another server, one direction, of one device
  SourcedValue watts;
  SourcedValue processors;  // SMs or AI cores

  // Likely values. kFp8 on a device with neither FP8 nor INT8 is bf16 (weights are still a byte).
  FlopsPerSecond Peak(PlanPrecision precision) const;
  Bytes memory() const { return Bytes(hbm_gb.likely * 1e9); }
  BytesPerSecond bandwidth() const { return Bytes(hbm_gb_per_s.likely * 1e9) / Seconds(1); }
  BytesPerSecond scale_up() const { return Bytes(scale_up_gb_per_s.likely * 1e9) / Seconds(1); }
  BytesPerSecond scale_out() const { return Bytes(scale_out_gb_per_s.likely * 1e9) / Seconds(1); }
  int64_t group_size() const { return static_cast<int64_t>(scale_up_devices.likely); }
};

// Measured kernels, as shares of the peak of the device that they were measured on.
struct Kernels {
  struct Gemm {
    bool grouped = false;
    int64_t n = 0, k = 0;
    double share = 0;  // of the FP8 peak, with many rows
  };
  std::vector<Gemm> gemms;
  double attention_compute = 0;  // of the bf16 peak
  double attention_memory = 0;   // of the memory's bandwidth, as the next two
  double elementwise_memory = 0;
  double gemm_memory = 0;
  // What kernels reach within a training step, of what they reach alone: they share memory, power
  // and clocks with communication, and are launched.
  SourcedValue in_run;
  double communication_processors = 0;  // share of processors that move data while others compute
  Seconds low_latency_dispatch, low_latency_combine;  // of 128 tokens a device
  BytesPerSecond low_latency_network;  // scale-out of the accelerator that those were measured on

  // Of the measured product that is nearest in log n and log k.
  double GemmShare(int64_t n, int64_t k, bool grouped) const;
};

struct Hardware {
  std::map<std::string, Accelerator, std::less<>> devices;
  Kernels kernels;

  // The built-in data, and over it what a file of the same form says (if one is given): it may
  // change single numbers of known devices and add whole ones. Throws Error naming file, key and
  // the nearest known key.
  static Hardware Load(const std::optional<std::filesystem::path>& over = {});
  // Throws UsageError with the nearest known name.
  const Accelerator& Get(std::string_view key) const;
};

}  // namespace fathom

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

// Measured kernels: what they reached on one device. On others the same share of the peak is
// assumed. Numbers are likely values; their ranges say how far sources are apart.
struct Kernels {
  struct Gemm {
    bool grouped = false;
    int64_t n = 0, k = 0;
    double share = 0;  // of the FP8 peak, with many rows
  };
  // Exchange of experts for decoding: 128 tokens a device, hidden size 7168, top 8.
  struct LowLatency {
    double devices = 0;
    Seconds dispatch, combine;  // FP8, bf16
  };
  std::vector<Gemm> gemms;
  std::vector<LowLatency> low_latency;  // ascending in devices
  SourcedValue gemm_speed;              // of all products, against the table
  SourcedValue attention_tflops;
  SourcedValue attention_gb_per_s, elementwise_gb_per_s, small_gemm_gb_per_s;
  SourcedValue communication_processors;  // that move data while others compute
  SourcedValue low_latency_time;          // against the table
  // What kernels reach within a training step, of what they reach alone: they share memory, power
  // and clocks with communication, and are launched.
  SourcedValue in_run;
  // Of the device that they were measured on.
  double measured_tflops = 0, measured_gb_per_s = 0, measured_processors = 0;
  FlopsPerSecond measured_fp8_peak;
  BytesPerSecond measured_network;  // scale-out

  // Shares of the bf16 peak and of the memory's bandwidth.
  double attention_compute() const { return attention_tflops.likely / measured_tflops; }
  double attention_memory() const { return attention_gb_per_s.likely / measured_gb_per_s; }
  double elementwise_memory() const { return elementwise_gb_per_s.likely / measured_gb_per_s; }
  double gemm_memory() const { return small_gemm_gb_per_s.likely / measured_gb_per_s; }
  // Share of the processors that compute while others move data.
  double free_processors() const {
    return 1 - communication_processors.likely / measured_processors;
  }
  // Share of the FP8 peak: of the measured product that is nearest in log n and log k.
  double GemmShare(int64_t n, int64_t k, bool grouped) const;
  // Between two measured groups by the logarithm of their size, outside them the nearest.
  LowLatency LowLatencyOf(double devices) const;
};

struct Hardware {
  std::map<std::string, Accelerator, std::less<>> devices;
  Kernels kernels;

  // The built-in data, and over it what a file of the same form says (if one is given): it may
  // change single numbers of known devices and of the kernels, and add whole devices. Throws Error
  // naming file, key and the nearest known key.
  static Hardware Load(const std::optional<std::filesystem::path>& over = {});
  // Throws UsageError with `field` and the nearest known name.
  const Accelerator& Get(std::string_view key, std::string_view field = "device") const;
};

}  // namespace fathom

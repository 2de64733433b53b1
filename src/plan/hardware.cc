#include "plan/hardware.h"

#include <fmt/ranges.h>

#include <cmath>
#include <limits>
#include <set>

#include "base/error.h"
#include "base/nearest.h"
#include "plan/sourced_file.h"

namespace fathom {
namespace {

void ReadDevice(TomlTable table, const Accelerator* base, Accelerator& device) {
  device.name = table.String("name", base ? base->name : device.key);
  const auto optional = [&](std::string_view key, std::optional<SourcedValue> Accelerator::*field,
                            double smallest, double largest) {
    device.*field = ReadSourced(table, key, smallest, largest,
                                base ? base->*field : std::optional<SourcedValue>());
  };
  const auto required = [&](std::string_view key, SourcedValue Accelerator::*field, double smallest,
                            double largest) {
    if (base == nullptr) table.Require(key);
    device.*field = *ReadSourced(table, key, smallest, largest,
                                 base ? std::optional<SourcedValue>(base->*field) : std::nullopt);
  };
  required("bf16_tflops", &Accelerator::bf16_tflops, 0.001, 1e6);
  optional("fp8_tflops", &Accelerator::fp8_tflops, 0.001, 1e6);
  optional("int8_tops", &Accelerator::int8_tops, 0.001, 1e6);
  required("hbm_gb", &Accelerator::hbm_gb, 0.01, 1e5);
  required("hbm_gb_per_s", &Accelerator::hbm_gb_per_s, 0.01, 1e6);
  required("scale_up_gb_per_s", &Accelerator::scale_up_gb_per_s, 0.01, 1e6);
  required("scale_up_devices", &Accelerator::scale_up_devices, 1, 1e5);
  required("scale_out_gb_per_s", &Accelerator::scale_out_gb_per_s, 0.01, 1e6);
  required("watts", &Accelerator::watts, 0.1, 1e5);
  required("processors", &Accelerator::processors, 1, 1e6);
  table.Finish();
}

void ReadDevices(TomlTable devices, Hardware& hardware) {
  for (const std::string& key : devices.Names()) {
    const auto known = hardware.devices.find(key);
    Accelerator device;
    device.key = key;
    ReadDevice(devices.Table(key), known == hardware.devices.end() ? nullptr : &known->second,
               device);
    hardware.devices.insert_or_assign(key, std::move(device));
  }
}

void ReadGemms(TomlTable& table, double peak, std::vector<Kernels::Gemm>& gemms) {
  gemms.clear();
  for (TomlTable& gemm : table.Tables("gemm")) {
    Kernels::Gemm entry{
        .grouped = gemm.Bool("grouped", false), .n = gemm.Int("n", 1, 1), .k = gemm.Int("k", 1, 1)};
    gemm.Require("tflops");
    entry.share = 1e12 * ReadSourced(gemm, "tflops", 1e-3, 1e6)->likely / peak;
    gemm.Finish();
    gemms.push_back(entry);
  }
  if (gemms.empty()) throw Error(table.PathOf("gemm"), "has no entry");
}

void ReadLowLatency(TomlTable& table, std::vector<Kernels::LowLatency>& measured) {
  measured.clear();
  for (TomlTable& group : table.Tables("low_latency")) {
    const auto number = [&](const char* key) {
      group.Require(key);
      return ReadSourced(group, key, 1e-3, 1e9)->likely;
    };
    measured.push_back({.devices = static_cast<double>(group.Int("devices", 1, 1)),
                        .dispatch = Seconds(1e-6 * number("dispatch_us")),
                        .combine = Seconds(1e-6 * number("combine_us"))});
    if (measured.size() > 1 && measured.back().devices <= measured[measured.size() - 2].devices) {
      throw Error(group.PathOf("devices"), "are not more than those of the entry before");
    }
    group.Finish();
  }
  if (measured.empty()) throw Error(table.PathOf("low_latency"), "has no entry");
}

// Single numbers over those that `kernels` has; all of them where another device is named.
void ReadKernels(TomlTable table, const Hardware& hardware, bool is_base, Kernels& kernels) {
  if (is_base) table.Require("measured_on");
  const bool all = table.Has("measured_on");
  if (all) {
    const Accelerator& device = hardware.Get(table.String("measured_on", ""));
    kernels.measured_tflops = device.bf16_tflops.likely;
    kernels.measured_fp8_peak = device.Peak(PlanPrecision::kFp8);
    kernels.measured_gb_per_s = device.hbm_gb_per_s.likely;
    kernels.measured_processors = device.processors.likely;
    kernels.measured_network = device.scale_out();
  }
  if (all || table.Has("gemm")) ReadGemms(table, kernels.measured_fp8_peak.value(), kernels.gemms);
  if (all || table.Has("low_latency")) ReadLowLatency(table, kernels.low_latency);
  ReadSourcedFields(std::move(table), all,
                    {{"gemm_speed", &kernels.gemm_speed, 0.01, 100},
                     {"attention_tflops", &kernels.attention_tflops, 1e-3, 1e6},
                     {"attention_gb_per_s", &kernels.attention_gb_per_s, 1e-3, 1e6},
                     {"elementwise_gb_per_s", &kernels.elementwise_gb_per_s, 1e-3, 1e6},
                     {"small_gemm_gb_per_s", &kernels.small_gemm_gb_per_s, 1e-3, 1e6},
                     {"communication_processors", &kernels.communication_processors, 0, 1e5},
                     {"low_latency_time", &kernels.low_latency_time, 0.01, 100},
                     {"in_run", &kernels.in_run, 0.01, 1}});
  if (kernels.communication_processors.high >= kernels.measured_processors) {
    throw Error("kernels.communication_processors",
                fmt::format("{} leave none of {} to compute", kernels.communication_processors.high,
                            kernels.measured_processors));
  }
}

}  // namespace

FlopsPerSecond Accelerator::Peak(PlanPrecision precision) const {
  double tera = bf16_tflops.likely;
  if (precision == PlanPrecision::kFp8) {
    if (fp8_tflops) {
      tera = fp8_tflops->likely;
    } else if (int8_tops) {
      tera = int8_tops->likely;
    }
  }
  return Flops(1e12 * tera) / Seconds(1);
}

double Kernels::GemmShare(int64_t n, int64_t k, bool grouped) const {
  const Gemm* nearest = nullptr;
  double least = std::numeric_limits<double>::infinity();
  for (const Gemm& gemm : gemms) {
    if (gemm.grouped != grouped) continue;
    const double distance =
        std::hypot(std::log(static_cast<double>(n) / static_cast<double>(gemm.n)),
                   std::log(static_cast<double>(k) / static_cast<double>(gemm.k)));
    if (distance < least) {
      least = distance;
      nearest = &gemm;
    }
  }
  if (nearest == nullptr) return GemmShare(n, k, !grouped);
  return nearest->share * gemm_speed.likely;
}

Kernels::LowLatency Kernels::LowLatencyOf(double devices) const {
  FATHOM_CHECK(!low_latency.empty());
  const auto scaled = [&](const LowLatency& below, const LowLatency& above, double share) {
    const auto between = [&](Seconds a, Seconds b) {
      return low_latency_time.likely * (a + share * (b - a));
    };
    return LowLatency{devices, between(below.dispatch, above.dispatch),
                      between(below.combine, above.combine)};
  };
  if (devices <= low_latency.front().devices) {
    return scaled(low_latency.front(), low_latency.front(), 0);
  }
  for (size_t i = 1; i < low_latency.size(); ++i) {
    const LowLatency &below = low_latency[i - 1], &above = low_latency[i];
    if (devices > above.devices) continue;
    return scaled(below, above,
                  std::log(devices / below.devices) / std::log(above.devices / below.devices));
  }
  return scaled(low_latency.back(), low_latency.back(), 0);
}

Hardware Hardware::Load(const std::optional<std::filesystem::path>& over) {
  Hardware hardware;
  ReadSourcedFiles("hardware", over, [&](TomlTable& file, bool is_base) {
    ReadDevices(file.Table("device"), hardware);
    if (is_base || file.Has("kernels")) {
      ReadKernels(file.Table("kernels"), hardware, is_base, hardware.kernels);
    }
  });
  return hardware;
}

const Accelerator& Hardware::Get(std::string_view key, std::string_view field) const {
  const auto found = devices.find(key);
  if (found != devices.end()) return found->second;
  std::set<std::string, std::less<>> names;
  for (const auto& [name, device] : devices) names.insert(name);
  throw UsageError(field, fmt::format("'{}' is not known", key),
                   NearestHint(key, names, fmt::format("known are {}", fmt::join(names, ", "))));
}

}  // namespace fathom

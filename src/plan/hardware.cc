#include "plan/hardware.h"

#include <fmt/ranges.h>

#include <cmath>
#include <limits>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/nearest.h"
#include "plan/built_in_data.h"

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

Kernels ReadKernels(TomlTable table, const Hardware& hardware) {
  table.Require("measured_on");
  const Accelerator& device = hardware.Get(table.String("measured_on", ""));
  const auto number = [&](std::string_view key) {
    table.Require(key);
    return ReadSourced(table, key, 1e-6, 1e6)->likely;
  };
  Kernels kernels;
  kernels.attention_compute = number("attention_tflops") / device.bf16_tflops.likely;
  kernels.attention_memory = number("attention_gb_per_s") / device.hbm_gb_per_s.likely;
  kernels.elementwise_memory = number("elementwise_gb_per_s") / device.hbm_gb_per_s.likely;
  kernels.gemm_memory = number("small_gemm_gb_per_s") / device.hbm_gb_per_s.likely;
  kernels.communication_processors = number("communication_processors") / device.processors.likely;
  table.Require("in_run");
  kernels.in_run = *ReadSourced(table, "in_run", 0.01, 1);
  kernels.low_latency_dispatch = Seconds(1e-6 * number("low_latency_dispatch_us"));
  kernels.low_latency_combine = Seconds(1e-6 * number("low_latency_combine_us"));
  kernels.low_latency_network = device.scale_out();
  const double peak = device.Peak(PlanPrecision::kFp8).value();
  for (TomlTable& gemm : table.Tables("gemm")) {
    Kernels::Gemm entry{
        .grouped = gemm.Bool("grouped", false), .n = gemm.Int("n", 1, 1), .k = gemm.Int("k", 1, 1)};
    gemm.Require("tflops");
    entry.share = 1e12 * ReadSourced(gemm, "tflops", 1e-3, 1e6)->likely / peak;
    gemm.Finish();
    kernels.gemms.push_back(entry);
  }
  if (kernels.gemms.empty()) throw Error(table.PathOf("gemm"), "has no entry");
  table.Finish();
  return kernels;
}

void Read(std::string_view text, const std::string& where, Hardware& hardware) {
  const toml::table parsed = ParseToml(text, where, {});
  TomlTable table(&parsed, where);
  ReadDevices(table.Table("device"), hardware);
  if (table.Has("kernels")) hardware.kernels = ReadKernels(table.Table("kernels"), hardware);
  table.Finish();
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
  return nearest->share;
}

Hardware Hardware::Load(const std::optional<std::filesystem::path>& over) {
  Hardware hardware;
  Read(BuiltInData("hardware"), "built-in hardware.toml", hardware);
  if (over) Read(ReadFile(*over), over->string(), hardware);
  return hardware;
}

const Accelerator& Hardware::Get(std::string_view key, std::string_view field) const {
  const auto found = devices.find(key);
  if (found != devices.end()) return found->second;
  std::set<std::string, std::less<>> names;
  for (const auto& [name, device] : devices) names.insert(name);
  const auto nearest = Nearest(key, names);
  throw UsageError(field, fmt::format("'{}' is not known", key),
                   nearest ? fmt::format("did you mean '{}'?", *nearest)
                           : fmt::format("known are {}", fmt::join(names, ", ")));
}

}  // namespace fathom

#include "backend/profiling/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

namespace fathom {
namespace {

// What takes less than this share of a step has no line of its own.
constexpr double kLeastShare = 0.002;

}  // namespace

void Profile::Add(std::string_view name, std::string shape, double seconds, double flops,
                  double bytes) {
  auto& operation = operations_[{std::string(name), std::move(shape)}];
  ++operation.calls;
  operation.seconds += seconds;
  operation.flops += flops;
  operation.bytes += bytes;
}

std::vector<OperationProfile> Profile::Operations() const {
  std::vector<OperationProfile> operations;
  for (const auto& [key, operation] : operations_) {
    operations.push_back(operation);
    operations.back().name = key.first;
    operations.back().shape = key.second;
  }
  std::stable_sort(operations.begin(), operations.end(),
                   [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
  return operations;
}

double Profile::Seconds() const {
  double seconds = 0;
  for (const auto& [key, operation] : operations_) seconds += operation.seconds;
  return seconds;
}

std::string Profile::ToTable(double seconds, int64_t steps, double peak_flops) const {
  const auto count = static_cast<double>(std::max<int64_t>(1, steps));
  std::string table =
      fmt::format("{:<22} {:<26} {:>8} {:>10} {:>7} {:>9} {:>6} {:>7}\n", "operation", "shape",
                  "calls", "ms", "share", "GFLOP/s", "peak", "GB/s");
  const auto line = [&](const std::string& name, const std::string& shape, double calls,
                        double taken, double flops, double bytes) {
    table += fmt::format("{:<22} {:<26} {:>8.0f} {:>10.2f} {:>6.1f}%", name, shape, calls / count,
                         1e3 * taken / count, seconds > 0 ? 100 * taken / seconds : 0);
    const double speed = taken > 0 ? flops / taken : 0;
    table += flops > 0 ? fmt::format(" {:>9.1f}", 1e-9 * speed) : fmt::format(" {:>9}", "");
    table += flops > 0 && peak_flops > 0 ? fmt::format(" {:>5.0f}%", 100 * speed / peak_flops)
                                         : fmt::format(" {:>6}", "");
    if (bytes > 0 && taken > 0) table += fmt::format(" {:>7.1f}", 1e-9 * bytes / taken);
    while (table.back() == ' ') table.pop_back();
    table += '\n';
  };
  double small = 0, small_calls = 0;
  for (const OperationProfile& operation : Operations()) {
    if (operation.seconds < kLeastShare * seconds) {
      small += operation.seconds;
      small_calls += static_cast<double>(operation.calls);
      continue;
    }
    line(operation.name, operation.shape, static_cast<double>(operation.calls), operation.seconds,
         operation.flops, operation.bytes);
  }
  if (small > 0) line("the rest, each small", "", small_calls, small, 0, 0);
  table += fmt::format("{:<22} {:<26} {:>8} {:>10.2f} {:>6.1f}%\n", "outside operations", "", "",
                       1e3 * (seconds - Seconds()) / count,
                       seconds > 0 ? 100 * (seconds - Seconds()) / seconds : 0);
  table += fmt::format("{:<22} {:<26} {:>8} {:>10.2f}\n", "a step", "", "", 1e3 * seconds / count);
  return table;
}

}  // namespace fathom

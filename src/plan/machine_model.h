#pragma once

#include <string>
#include <vector>

#include "plan/architecture.h"
#include "plan/report.h"

namespace fathom {

// What a machine reached in the same minute, with all of its threads.
struct MachineRates {
  FlopsPerSecond bf16_peak, f32_peak;
  BytesPerSecond bandwidth;  // of memory that no cache holds
  BytesPerSecond cache;      // of memory that the last cache holds
  Bytes cache_size;
};

// One piece of work on this machine.
struct MachineWork {
  enum class Kind : uint8_t { kPrefill, kDecode, kTraining };
  Kind kind = Kind::kPrefill;
  bool bf16 = true;    // what products and attention compute in
  double tokens = 0;   // computed at a time
  double keys = 0;     // that a token meets on average
  double batch = 1;    // sequences that share those tokens
  double repeats = 1;  // steps, or chunks
};

// The parts of a piece of work, each in seconds at the machine's measured rates: products with
// dense matrices, with routed experts, the attention core, elementwise traffic, and (a count of ten
// microseconds each) operations that are started. A matrix product takes max(operations / peak,
// bytes / rate of where its weights lie); experts are those that tokens choose at random.
// The time of the work is the sum of its parts, each divided by its efficiency.
constexpr size_t kWorkParts = 5;
std::vector<double> PartsOf(const Architecture& architecture, const MachineRates& rates,
                            const MachineWork& work);
const char* WorkPartName(size_t part);

// A piece of work and how long it took.
struct Calibrated {
  std::string name;
  MachineWork::Kind kind = MachineWork::Kind::kPrefill;
  std::vector<double> parts;
  double tokens = 0;  // in all
  Seconds measured;
  bool fitted = false;  // used to find the efficiencies; the others are predicted
};
// Factors >= 0 (1 / efficiency) that make the least sum of squared relative errors over the cases.
std::vector<double> FitFactors(const std::vector<Calibrated>& cases);

// Memory that a run really took, and what the planner said before.
struct CalibratedMemory {
  std::string name;
  Bytes predicted, measured;
};

// Fits each kind on its fitted cases and predicts the others; every single error is a row, then
// their medians.
Report ReportCalibration(const MachineRates& rates, const std::vector<Calibrated>& cases,
                         const std::vector<CalibratedMemory>& memory);

}  // namespace fathom

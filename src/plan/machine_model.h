#pragma once

#include <string>
#include <vector>

#include "plan/architecture.h"
#include "plan/report.h"

namespace fathom {

// What a machine reached in the same minute, with all of its threads.
struct MachineRates {
  FlopsPerSecond bf16_peak, f32_peak;
  // Reading memory again and again, by how much of it; ascending. Where caches end shows in it.
  struct Reading {
    Bytes size;
    BytesPerSecond rate;
  };
  std::vector<Reading> reading;

  // The rate of a piece of work that reads so much in turn: between two measured sizes by the
  // logarithm, outside them the nearest.
  BytesPerSecond RateOf(Bytes size) const;
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

// The parts of a piece of work, each in seconds at the machine's measured rates: operations of
// dense matrices and of routed experts, reading the weights of both (experts are those that tokens
// choose at random) at the rate of as many bytes, the attention core, elementwise traffic, and (a
// count of ten microseconds a layer) operations that are started. The time of the work is the sum
// of its parts, each divided by its efficiency: with few rows a product's operations do not hide
// behind the reading of its weights.
constexpr size_t kWorkParts = 6;
std::vector<double> PartsOf(const Architecture& architecture, const MachineRates& rates,
                            const MachineWork& work);
const char* WorkPartName(size_t part);

// A piece of work and how long it took.
struct Calibrated {
  std::string name;
  MachineWork::Kind kind = MachineWork::Kind::kPrefill;
  std::vector<double> parts;
  double tokens = 0;    // in all
  Seconds measured;     // the median of what was measured at several times
  double spread = 0;    // (longest - shortest) / median of those
  bool fitted = false;  // used to find the efficiencies; the others are predicted
};
// Factors >= 0 (1 / efficiency) that make the least sum of squared relative errors over the cases.
std::vector<double> FitFactors(const std::vector<Calibrated>& cases);

// Memory that a run really took, and what the planner said before: the peaks of its arenas, or
// (process) the most that a process had resident, which is predicted as what one that does nothing
// has, and the arenas' plan.
struct CalibratedMemory {
  std::string name;
  Bytes predicted, measured;
  bool process = false;
};

// Fits each kind on its fitted cases and predicts the others; every single error is a row, then
// their medians. again: how often a piece of work was measured again because the machine drifted.
Report ReportCalibration(const MachineRates& rates, const std::vector<Calibrated>& cases,
                         const std::vector<CalibratedMemory>& memory, int again = 0);

}  // namespace fathom

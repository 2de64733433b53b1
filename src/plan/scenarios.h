#pragma once

#include <optional>
#include <string>

#include "plan/money.h"
#include "plan/report.h"
#include "plan/serving.h"
#include "plan/training.h"

namespace fathom {

// What `fathom plan train` is asked.
struct TrainingScenario {
  std::string model;  // for the title
  ModelConfig config;
  Accelerator device;
  Kernels kernels;
  SourcedValue rent;  // dollars a device and hour
  TrainingRun run;
  TrainingLayout layout;
  Tokens tokens;
  // Instead of kernels, communication and schedule: a share of the bf16 peak (model FLOPs
  // utilisation, causal).
  std::optional<double> utilisation;
  bool compare_with_v3 = false;  // the defaults: shows the published numbers beside
};
// Throws UsageError and Error as CheckLayout and CheckMemory do.
Report ReportTraining(const TrainingScenario& scenario);

// What `fathom plan serve` is asked.
struct ServingScenario {
  std::string model;
  ModelConfig config;
  Accelerator device;
  Kernels kernels;
  SourcedValue rent;
  Service service;
  ApiPrice price;
  uint64_t seed = 1;  // of the samples
  bool compare_with_published = false;
};
Report ReportServing(const ServingScenario& scenario);

// What `fathom plan price` prints: an hour of a device, owned and rented, and every API price that
// the data has.
struct PriceScenario {
  Accelerator device;
  SourcedValue rent;
  Money money;
  Prices prices;
  uint64_t seed = 1;
};
Report ReportPrices(const PriceScenario& scenario);

}  // namespace fathom

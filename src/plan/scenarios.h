#pragma once

#include <optional>
#include <string>
#include <vector>

#include "plan/export_rules.h"
#include "plan/fleet.h"
#include "plan/market.h"
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
  int samples = 0;               // for intervals; 0: none
  uint64_t seed = 1;
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
  std::optional<Money> money;  // what owning costs; nothing where no price of the device is known
  std::vector<double> loads;   // of the routed experts; empty: expert_balance stands for them
  bool compare_with_published = false;
  int samples = 0;
  uint64_t seed = 1;
};
Report ReportServing(const ServingScenario& scenario);

// What `fathom plan price` prints: an hour of a device, owned and rented, and every API price that
// the data has.
struct PriceScenario {
  Accelerator device;
  SourcedValue rent;
  Money money;
  Prices prices;
  int samples = 0;
  uint64_t seed = 1;
};
Report ReportPrices(const PriceScenario& scenario);

// What `fathom plan fleet` is asked.
struct FleetScenario {
  struct Item {
    Accelerator device;
    double count = 0;
    std::string day;  // of purchase; empty: not known, not checked
    std::optional<Money> money;
  };
  struct Site {
    std::string name;
    double share = 0;
  };
  std::vector<Item> items;
  std::vector<Site> sites;
  ExportRules rules;
  bool china = true;    // where devices are bought
  bool refuse = false;  // what could not be bought is an Error, not a note
  std::string model;    // that inference serves
  ModelConfig config;
  Kernels kernels;
  Service service;
  Fleet fleet;
  SourcedValue users;  // of a day
  bool compare_with_published = false;
  int samples = 0;
  uint64_t seed = 1;
};
Report ReportFleet(const FleetScenario& scenario);
// "h800=10000@2023-06-30,a100=10000": devices, how many, and when they were bought.
std::vector<FleetScenario::Item> ParseInventory(std::string_view text, const Hardware& hardware);
// "hangzhou=0.6,ningxia=0.4": shares that sum to 1.
std::vector<FleetScenario::Site> ParseSites(std::string_view text);

// What `fathom plan market` is asked.
struct MarketScenario {
  Market market;
  SourcedValue price;  // of a capability today, dollars a million output tokens
  SourcedValue cost;   // what the follower's tokens cost
  double years = 3;
  int samples = 0;
  uint64_t seed = 1;
};
Report ReportMarket(const MarketScenario& scenario);

}  // namespace fathom

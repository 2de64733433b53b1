#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "plan/intervals.h"
#include "plan/report.h"
#include "plan/sourced_value.h"
#include "plan/units.h"

namespace fathom {

// What a model costs beside its last pre-training run, as src/plan/data/programme.toml describes
// it. Shares are of that run's device-hours.
struct Programme {
  SourcedValue restarts;        // share lost to failures and rollbacks
  SourcedValue later_training;  // context extension, supervised fine-tuning
  SourcedValue reinforcement;
  SourcedValue experiments;  // ablations, small runs, models that were not released
  SourcedValue data;         // dollars
  SourcedValue people;
  SourcedValue person_year;  // dollars
  SourcedValue years;        // that they work on it

  static Programme Load(const std::optional<std::filesystem::path>& over = {});
};

struct ProgrammeCost {
  Seconds restarts, later_training, reinforcement, experiments, all;  // device time; all: with the
                                                                      // run itself
  Dollars compute, data, people;
  Dollars total() const { return compute + data + people; }
};
ProgrammeCost CostOf(const Programme& programme, Seconds run, DollarsPerSecond rent);

// The section "the whole programme", and what its interval is made of.
void AddProgramme(const Programme& programme, Seconds run, DollarsPerSecond rent,
                  bool compare_with_v3, Report& report);
std::vector<UncertainInput> UncertainInputs(Programme& programme);

}  // namespace fathom

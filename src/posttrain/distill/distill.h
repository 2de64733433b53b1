#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "posttrain/distill/distill_config.h"
#include "posttrain/distill/trace_filter.h"
#include "train/trainer.h"

namespace fathom {

struct DistillOptions {
  bool resume = false, quiet = false;
  std::string version;  // of this program, for the traces
};

// What a run has to do.
struct DistillPlan {
  int64_t questions = 0, repeated = 0;  // repeated ones are asked once
  int64_t traces = 0, missing = 0;      // wanted; not there yet
  int64_t most_tokens = 0;              // that the missing answers can take
  // What an endpoint's limits make it last at least; 0: there are none.
  double least_seconds = 0;
};

struct DistillSummary {
  bool interrupted = false;  // by Ctrl-C while traces were collected
  int64_t asked = 0;         // answers that came in this run
  int64_t refused = 0;       // that will not come
  std::string first_refusal;
  int64_t missing = 0;  // traces that are not there
  std::optional<FilterCounts> filter;
  std::optional<TrainSummary> student;
};

// Questions and traces counted; asks nobody.
DistillPlan PlanDistillation(const DistillConfig& config);

// Traces of the teacher, what is kept of them, and the student's tuning (docs/distillation.md).
// Without `resume` the output has to be new; with it, only what is missing is asked for. Throws
// Error when the teacher is lost or refuses everything, when nothing is kept for the student, and
// as its parts do: traces that were collected stay.
DistillSummary RunDistillation(Context& context, const DistillConfig& config,
                               const DistillOptions& options);

}  // namespace fathom

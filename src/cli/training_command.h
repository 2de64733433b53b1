#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli/options/command.h"
#include "cli/run_arguments.h"
#include "train/estimate.h"
#include "train/trainer.h"

namespace fathom {

// The options of a command that runs a training run from a TOML file.
struct TrainingArguments : RunArguments {
  bool profile = false;

  void AddTo(Command command, const Help& help);
  TrainOptions Options() const { return {.resume = resume, .quiet = common.quiet}; }
};

// Times the operations of a run's steps, all but the first: that one touches its memory for the
// first time.
class StepProfiler {
 public:
  // options: of the run; it has to outlive them.
  StepProfiler(Device& device, TrainOptions& options);

  void Print(Context& context, DType dtype) const;
  nlohmann::ordered_json ToJson() const;

 private:
  ProfilingBackend& backend_;
  int64_t begun_ = 0, steps_ = 0;
  double seconds_ = 0;
};

// What the model goes on with behind the prompt, with the ids of the prompt's last `shown` tokens
// before it, as text.
std::string WriteSample(Context& context, Transformer& transformer, const Tokenizer& tokenizer,
                        std::vector<int32_t> prompt, size_t shown,
                        const TrainingSettings::Sample& sample, uint64_t seed);

// The summary as JSON, what every kind of run has of it.
nlohmann::ordered_json SummaryJson(const TrainSummary& summary, const StepProfiler* profiler);
// On stderr: how long it took and where the model is.
void LogSummary(const TrainSummary& summary);

// Bytes by role, together, and available.
nlohmann::ordered_json MemoryJson(const MemoryPlan& plan, double available);

// Says what the run would take, and refuses it when it does not fit.
void ShowEstimate(Context& context, const TrainingSettings& settings, const RunEstimate& estimate,
                  bool json);

}  // namespace fathom

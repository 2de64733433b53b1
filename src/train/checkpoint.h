#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "model/parameters.h"
#include "text/tokenizer.h"
#include "train/optimizer.h"
#include "train/trained_model.h"

namespace fathom {

// Where a run stands, apart from tensors.
struct TrainingProgress {
  int64_t step = 0;        // steps done, over all stages
  int64_t stage = 0;       // the stage of the next step ...
  int64_t stage_step = 0;  // ... and how many of its steps are done
  uint64_t tokens = 0;     // inputs seen
  double seconds = 0;      // spent training
  double loss = 0;         // of the last steps, smoothed
  // Where the run looks for the best weights (TrainingSettings::Checkpoints::best): the validation
  // of the model that it began with, and the best one so far.
  double start_score = 0;
  int64_t best_step = -1;  // -1: there was none
  double best_score = 0;
  uint64_t draws = 0;  // problems drawn, of reinforcement learning
  // Of the weights that the run began with (TrainedModel); empty: random ones.
  std::string base_fingerprint;
  // What the bits of the rest of the run depend on.
  int64_t micro_batch_tokens = 0;
  uint64_t data_fingerprint = 0;                    // of the rows of this stage
  std::map<std::string, std::string> row_settings;  // the keys that decide them, by value
};

// An exponential moving average of the parameters, in their type.
class ParameterAverage {
 public:
  ParameterAverage(double decay, ParameterStore& store, Allocator& allocator);
  void Reset(Context& context);   // to the parameters
  void Update(Context& context);  // average += (1 - decay) (parameter - average)
  // Exchanges averages and parameters; twice puts everything back.
  void Swap(Context& context);
  const std::vector<std::pair<const Parameter*, Tensor>>& averages() const { return averages_; }
  size_t bytes() const { return arena_.used(); }

 private:
  double decay_;
  ParameterStore* store_;
  Arena arena_;
  std::vector<std::pair<const Parameter*, Tensor>> averages_;
};

// What stands beside the weights of a model directory: its tokenizer, and small files by name that
// came with the model that a run goes on from. Without tokenizer_config.json among them, it is
// DeepSeek's (text/chat/fathom_format.h).
struct ModelCompanions {
  const Tokenizer* tokenizer;
  std::map<std::string, std::string> files;
  // Of a run that trains adapters alone: its directories have these in the model's place.
  std::optional<AdapterDescription> adapter{};
};

// A checkpoint is a model directory with f32 weights (the masters), or an adapter directory as PEFT
// has it, and trainer/ beside them:
// state.json, optimizer.safetensors and, with an average, average.safetensors. Written beside its
// place and renamed into it. Unless quiet, shows its progress.
void SaveCheckpoint(const std::filesystem::path& directory, const ModelConfig& config,
                    const ParameterStore& store, const Optimizer& optimizer,
                    const ParameterAverage* average, const ModelCompanions& companions,
                    const TrainingProgress& progress, bool quiet = true);

// Throws Error when something is missing or does not fit.
TrainingProgress LoadCheckpoint(const std::filesystem::path& directory, const ModelConfig& config,
                                TrainedModel& model, const Optimizer& optimizer,
                                const ParameterAverage* average);
// The masters alone, from a checkpoint or from what ExportModel wrote in f32.
void LoadTrained(const std::filesystem::path& directory, const ModelConfig& config,
                 TrainedModel& model);
// state.json alone.
TrainingProgress ReadProgress(const std::filesystem::path& directory);

// OUTPUT/checkpoints/step-N with the largest N.
std::optional<std::filesystem::path> NewestCheckpoint(const std::filesystem::path& output);
// The smallest N of them.
std::optional<int64_t> OldestCheckpointStep(const std::filesystem::path& output);
// Removes all but the newest `keep`.
void PruneCheckpoints(const std::filesystem::path& output, int64_t keep);

// A model directory for others to use: weights in `dtype`, configuration, companions; of adapters,
// these as they are.
void ExportModel(const std::filesystem::path& directory, const ModelConfig& config,
                 const ParameterStore& store, const ModelCompanions& companions, DType dtype,
                 bool quiet = true);

}  // namespace fathom

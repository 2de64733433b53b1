#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "data/token_corpus.h"
#include "data/training_rows.h"
#include "model/config.h"
#include "text/tokenizer.h"
#include "train/checkpoint.h"
#include "train/run_config.h"

namespace fathom {

// What a run works on, made from its configuration: everything but the state that training changes.
struct RunInputs {
  std::shared_ptr<const Tokenizer> tokenizer;
  ModelCompanions companions;
  ModelConfig model;
  std::vector<TokenCorpus> corpora;  // one a source

  int32_t end_token = 0;
};

// The companions of a model that a run goes on from with its tokenizer: what it came with, but for
// what the run writes anew.
ModelCompanions CompanionsOf(const std::filesystem::path& model, const Tokenizer& tokenizer);

// Reads or trains the tokenizer (kept in OUTPUT/tokenizer.json and in every checkpoint; a run with
// a checkpoint goes on with that), tokenises the sources (kept in OUTPUT/data) and settles the
// model's configuration. Errors as in its parts; a tokenizer larger than the model's vocabulary is
// one too.
RunInputs PrepareRun(const RunConfig& config, ThreadPool& pool, bool quiet);

// The model's configuration alone, without touching data (for --dry-run); vocab_size is the model's
// own.
ModelConfig RunModelConfig(const RunConfig& config);

// The configuration in an extension stage: YaRN by `factor` over the main stage's sequence length.
ModelConfig ExtendedConfig(const ModelConfig& base, const RunConfig& config,
                           const RunConfig::Extension& extension);

// The main stage and the extensions.
std::vector<TrainingStage> RunStages(const RunConfig& config, const ModelConfig& model);

// The rows of one stage. stage 0 is the main one, stage i the i-th extension.
TrainingRows MakeTrainingRows(const RunConfig& config, const RunInputs& inputs, int stage);

// The keys of the configuration that decide which rows a step of that stage reads, with their
// values; the texts and the tokenizer decide it too.
std::map<std::string, std::string> RowSettings(const RunConfig& config, int stage);

}  // namespace fathom

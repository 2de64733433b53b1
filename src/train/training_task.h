#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "data/row_source.h"
#include "model/language_model_loss.h"
#include "model/transformer.h"
#include "train/checkpoint.h"
#include "train/row_objective.h"
#include "train/training_settings.h"

namespace fathom {

// What a run trains on and how it is judged; the trainer does the rest.
class TrainingTask {
 public:
  virtual ~TrainingTask() = default;

  // The model as it starts, and the stages it goes through, one after the other.
  virtual const ModelConfig& model() const = 0;
  virtual const std::vector<TrainingStage>& stages() const = 0;
  virtual const ModelCompanions& companions() const = 0;

  // The model directory that a run begins with; empty: it begins with random values.
  virtual std::filesystem::path init_from() const = 0;

  // The rows of a stage, as often as they are asked for.
  virtual std::unique_ptr<RowSource> Rows(size_t stage) const = 0;
  // The keys of the configuration that decide which rows a step of that stage reads, with their
  // values; the texts and the tokenizer decide it too.
  virtual std::map<std::string, std::string> RowSettings(size_t stage) const = 0;
  // All of the configuration, as TOML.
  virtual std::string ConfigToml() const = 0;

  // A teacher whose probabilities are learnt from besides the rows' targets; null: none.
  virtual const SoftTargets* soft_targets() const { return nullptr; }

  // What is learnt in place of the rows' next tokens; null: these.
  virtual const RowObjective* objective() const { return nullptr; }

  // Adds what the run reads to the line of the log that a start leaves, and says it.
  virtual void Describe(nlohmann::ordered_json& line) const = 0;

  struct Judgement {
    double score = 0;             // less is better
    std::string text;             // "held out 1.234 bits per byte"
    nlohmann::ordered_json line;  // what the log keeps
  };
  // How good the model is, on a part of what is held out of at most `tokens` tokens (0: on all of
  // it). Nothing when nothing is held out. The transformer is packed for the run's form of
  // attention.
  virtual std::optional<Judgement> Judge(Context& context, const Transformer& transformer,
                                         const TrainingStage& stage, uint64_t tokens) = 0;
  // The run has ended with this judgement on all that is held out, whose line goes into the log.
  virtual void Finish(const std::optional<Judgement>& judgement, nlohmann::ordered_json& line) = 0;
};

}  // namespace fathom

#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "formats/adapter_directory.h"
#include "formats/mapped_model.h"
#include "model/parameters.h"
#include "train/training_settings.h"

namespace fathom {

// The parameters of a run: masters and gradients of all there are, or, with settings.lora, a model
// frozen in its files with adapters that are trained beside it.
class TrainedModel {
 public:
  // Values undefined, but for what is frozen. init_from: the model directory that the run begins
  // with (settings.lora.base, with adapters); empty: it begins with random values. allocator:
  // outlives this. Throws Error when a target of the adapters is unknown, and when the frozen model
  // cannot be opened.
  TrainedModel(const TrainingSettings& settings, const ModelConfig& model,
               std::filesystem::path init_from, Allocator& allocator);

  ParameterStore& store() { return frozen_ ? frozen_->store() : *whole_; }
  bool adapters() const { return frozen_ != nullptr; }
  // Numbers that training changes by gradients.
  int64_t trained_parameters();
  // Bytes in memory of the model's own weights and adapters; not what is mapped.
  size_t weight_bytes();
  // Of the weights at init_from (WeightsFingerprint); empty without.
  const std::string& base_fingerprint();
  // Throws Error when a checkpoint was made of another kind (with adapters, or without) or in a run
  // that began with other weights.
  void CheckBase(bool had_adapters, const std::string& fingerprint);

  // Values of a run that begins: random ones, those of the model at init_from, or adapters that
  // change nothing yet. A model that scores and goes on from a language model gets a head of random
  // values. Unless quiet, shows its progress.
  void Begin(const ModelConfig& model, ThreadPool& pool, bool quiet = true);

 private:
  const TrainingSettings& settings_;
  const std::filesystem::path init_from_;
  std::unique_ptr<ParameterStore> whole_;
  std::unique_ptr<MappedModel> frozen_;
  std::optional<std::string> fingerprint_;
};

// The adapters of a run, for who writes them; nothing without.
std::optional<AdapterDescription> DescribeAdapters(const TrainingSettings& settings);

}  // namespace fathom

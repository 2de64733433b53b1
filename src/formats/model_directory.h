#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "formats/safetensors.h"
#include "model/config.h"
#include "model/parameters.h"

namespace fathom {

// All tensors of a Hugging Face model directory: model.safetensors, or the shards that
// model.safetensors.index.json lists. Tensors are views into the mapped files.
class WeightFiles {
 public:
  explicit WeightFiles(const std::filesystem::path& directory);

  bool Has(std::string_view name) const { return file_of_.contains(name); }
  ConstTensor Get(std::string_view name) const;
  // As its file describes it; Error when there is none.
  const SafetensorsEntry& entry(std::string_view name) const;
  std::vector<std::string> names() const;
  uint64_t bytes() const;  // of all tensors

 private:
  const SafetensorsFile& FileOf(std::string_view name) const;

  std::filesystem::path directory_;
  std::vector<std::unique_ptr<SafetensorsFile>> files_;
  std::map<std::string, const SafetensorsFile*, std::less<>> file_of_;
};

// config.json of the directory. When it announces MTP modules whose weights are not there
// (transformers leaves them out when it saves), they are taken out of the configuration, with a
// warning.
ModelConfig ReadModelConfig(const std::filesystem::path& directory);

// A model for inference, computed with the values in the mapped files.
class MappedModel {
 public:
  // Throws Error when a tensor is missing, has another shape, or is not known to the architecture.
  explicit MappedModel(const std::filesystem::path& directory);

  const ModelConfig& config() const { return config_; }
  ParameterStore& store() { return store_; }
  const WeightFiles& files() const { return files_; }

 private:
  ModelConfig config_;
  WeightFiles files_;
  ParameterStore store_;
};

// Copies the directory's weights into the masters of a store of the same configuration (host
// memory); same errors.
void LoadMasters(const std::filesystem::path& directory, const ModelConfig& config,
                 ParameterStore& store);

// Writes config.json, generation_config.json and the weights (f32 or bf16; router biases always
// f32), sharded above 5 GB, with the copies of embedding and head that MTP layers have in released
// checkpoints. The directory exists.
void SaveModel(const std::filesystem::path& directory, const ModelConfig& config,
               const ParameterStore& store, DType dtype);

}  // namespace fathom

#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "formats/model_source.h"
#include "formats/safetensors.h"
#include "formats/safetensors_tensor.h"
#include "model/parameters.h"

namespace fathom {

inline constexpr const char* kConfigFile = "config.json";
inline constexpr const char* kSingleFile = "model.safetensors";
inline constexpr const char* kIndexFile = "model.safetensors.index.json";

// All tensors of a Hugging Face model directory: model.safetensors, or the shards that
// model.safetensors.index.json lists. Tensors are views into the mapped files.
class WeightFiles {
 public:
  explicit WeightFiles(const std::filesystem::path& directory);

  bool Has(std::string_view name) const { return file_of_.contains(name); }
  ConstTensor Get(std::string_view name) const;
  // With its bytes, whatever its type; Error when there is none.
  SafetensorsTensor::Part Part(std::string_view name) const;
  std::vector<std::string> names() const;

 private:
  const SafetensorsFile& FileOf(std::string_view name) const;

  std::filesystem::path directory_;
  std::vector<std::unique_ptr<SafetensorsFile>> files_;
  std::map<std::string, const SafetensorsFile*, std::less<>> file_of_;
};

// A model directory in Hugging Face's layout. An FP8 weight and its scales are one tensor, of type
// "F8_E4M3" and the weight's name; scales without codes, codes without scales, and scales of
// another shape than quantization_config's blocks ask for are errors. When config.json announces
// MTP modules whose weights are not there (transformers leaves them out when it saves), they are
// taken out of the configuration, with a warning.
class HuggingFaceDirectory : public ModelSource {
 public:
  explicit HuggingFaceDirectory(const std::filesystem::path& directory);

  std::vector<std::string> names() const override;
  const StoredTensor* Find(std::string_view name) const override;
  std::optional<Tokenizer> LoadTokenizer() const override;
  std::optional<std::string> SideFile(std::string_view name) const override;

 private:
  std::unique_ptr<StoredTensor> MakeTensor(const std::string& name) const;

  WeightFiles files_;
  std::map<std::string, std::unique_ptr<StoredTensor>, std::less<>> tensors_;
};

// Writes config.json, generation_config.json and the weights (f32 or bf16; router biases always
// f32), sharded above 5 GB, with the copies of embedding and head that MTP layers have in released
// checkpoints. The directory exists. Unless quiet, shows its progress.
void SaveModel(const std::filesystem::path& directory, const ModelConfig& config,
               const ParameterStore& store, DType dtype, bool quiet = true);

}  // namespace fathom

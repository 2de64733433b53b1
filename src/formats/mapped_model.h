#pragma once

#include <filesystem>
#include <memory>

#include "formats/model_source.h"
#include "model/parameters.h"

namespace fathom {

// A model for inference, or one that adapters are trained beside, computed with the values in the
// mapped files. What is not a matrix that is packed or looked up has to have a value in a type that
// backends take, and gets one by DecodeSmallTensors.
class MappedModel {
 public:
  // Throws Error when a tensor is missing, has another shape, or is not known to the architecture.
  // allocator: of adapters (ParameterStore).
  explicit MappedModel(const std::filesystem::path& path, Allocator& allocator = HostAllocator());

  const ModelConfig& config() const { return source_->config(); }
  const ModelSource& source() const { return *source_; }
  ParameterStore& store() { return store_; }

  // Norms, biases and router biases get a value in a type that backends take where the files have
  // another: router biases f32, the rest `act`.
  void DecodeSmallTensors(DType act);
  size_t decoded_bytes() const { return decoded_.used(); }

 private:
  std::unique_ptr<ModelSource> source_;
  ParameterStore store_;
  Arena decoded_{MemoryRole::kWeights};
};

// Copies the weights of a directory or file into the masters of a store of the same configuration
// (host memory), or of one with fewer MTP modules; same errors.
void LoadMasters(const std::filesystem::path& path, const ModelConfig& config,
                 ParameterStore& store);
// The same of a model that scores from a language model: all but the head, which stays as it is;
// what the language model has beyond that (its head, MTP modules) is passed over.
void LoadTrunk(const std::filesystem::path& path, const ModelConfig& config, ParameterStore& store);

}  // namespace fathom

#pragma once

#include <filesystem>
#include <memory>

#include "formats/model_source.h"
#include "model/parameters.h"

namespace fathom {

// A model for inference, computed with the values in the mapped files. What is not a matrix that is
// packed before use (embedding, norms, biases) has to have a value in a type that backends take;
// LoadedModel decodes those that do not.
class MappedModel {
 public:
  // Throws Error when a tensor is missing, has another shape, or is not known to the architecture.
  explicit MappedModel(const std::filesystem::path& path);

  const ModelConfig& config() const { return source_->config(); }
  const ModelSource& source() const { return *source_; }
  ParameterStore& store() { return store_; }

 private:
  std::unique_ptr<ModelSource> source_;
  ParameterStore store_;
};

// Copies the weights of a directory or file into the masters of a store of the same configuration
// (host memory); same errors.
void LoadMasters(const std::filesystem::path& path, const ModelConfig& config,
                 ParameterStore& store);

}  // namespace fathom

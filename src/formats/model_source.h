#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/config.h"
#include "tensor/stored_tensor.h"
#include "text/tokenizer.h"

namespace fathom {

// A model as files hold it, whatever the format: what all commands open. Tensors have the names and
// shapes that the architecture has in a Hugging Face directory; a format that stores them otherwise
// presents them so.
class ModelSource {
 public:
  // A Hugging Face directory, or a GGUF file whatever it is called. Throws Error when files are
  // missing, truncated or inconsistent; that the tensors are those of the configuration is checked
  // by who binds them (mapped_model.h).
  static std::unique_ptr<ModelSource> Open(const std::filesystem::path& path);

  virtual ~ModelSource() = default;
  ModelSource(const ModelSource&) = delete;
  ModelSource& operator=(const ModelSource&) = delete;

  const std::filesystem::path& path() const { return path_; }
  const ModelConfig& config() const { return config_; }

  // Of all tensors, those that the architecture does not know included.
  virtual std::vector<std::string> names() const = 0;
  // Null when there is none of that name. Lives as long as this object.
  virtual const StoredTensor* Find(std::string_view name) const = 0;
  // Bytes of all tensors in the files.
  uint64_t bytes() const;

  // Nothing when the model comes without a tokenizer.
  virtual std::optional<Tokenizer> LoadTokenizer() const = 0;
  // The text of one of the small files beside the weights, as Hugging Face has them
  // (tokenizer_config.json, generation_config.json, chat_template.jinja), or what another format
  // says in its place in the same form. Nothing when there is none.
  virtual std::optional<std::string> SideFile(std::string_view name) const = 0;

 protected:
  ModelSource(std::filesystem::path path, ModelConfig config)
      : path_(std::move(path)), config_(std::move(config)) {}

  std::filesystem::path path_;
  ModelConfig config_;
};

// The configuration alone.
ModelConfig ReadModelConfig(const std::filesystem::path& path);

}  // namespace fathom

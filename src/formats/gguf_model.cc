#include "formats/gguf_model.h"

#include "formats/gguf_config.h"
#include "formats/gguf_tokenizer.h"

namespace fathom {

GgufModel::GgufModel(const std::filesystem::path& path) : GgufModel(GgufFile(path)) {}

GgufModel::GgufModel(GgufFile file)
    : ModelSource(file.path(), GgufConfig(file.metadata(), file.tensors())),
      file_(std::move(file)),
      tensors_(MapGgufTensors(config_, file_.tensors())) {}

std::vector<std::string> GgufModel::names() const {
  std::vector<std::string> names;
  names.reserve(tensors_.size());
  for (const auto& [name, tensor] : tensors_) names.push_back(name);
  return names;
}

const StoredTensor* GgufModel::Find(std::string_view name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : found->second.get();
}

std::optional<Tokenizer> GgufModel::LoadTokenizer() const {
  return GgufTokenizer(file_.metadata());
}

std::optional<std::string> GgufModel::SideFile(std::string_view name) const {
  if (name == "tokenizer_config.json") return GgufTokenizerConfig(file_.metadata());
  if (name == "generation_config.json") return GgufGenerationConfig(file_.metadata());
  return std::nullopt;
}

}  // namespace fathom

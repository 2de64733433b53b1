#include "formats/model_source.h"

#include "formats/gguf_model.h"
#include "formats/model_directory.h"

namespace fathom {

std::unique_ptr<ModelSource> ModelSource::Open(const std::filesystem::path& path) {
  if (IsGguf(path)) return std::make_unique<GgufModel>(path);
  return std::make_unique<HuggingFaceDirectory>(path);
}

uint64_t ModelSource::bytes() const {
  uint64_t sum = 0;
  for (const std::string& name : names()) sum += Find(name)->bytes();
  return sum;
}

ModelConfig ReadModelConfig(const std::filesystem::path& path) {
  return ModelSource::Open(path)->config();
}

}  // namespace fathom

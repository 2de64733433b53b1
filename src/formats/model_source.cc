#include "formats/model_source.h"

#include "base/error.h"
#include "formats/gguf_model.h"
#include "formats/model_directory.h"

namespace fathom {

namespace {

namespace fs = std::filesystem;

// Says what else a path is that holds no model.
void CheckIsModelDirectory(const fs::path& path) {
  if (!fs::exists(path)) throw Error(path.string(), "is not there", "check the path");
  if (!fs::is_directory(path)) {
    throw Error(path.string(), "is neither a model directory nor a GGUF file",
                "a model is a folder with config.json and safetensors, or a .gguf file");
  }
  if (fs::exists(path / kConfigFile)) return;
  // What `fathom train` makes holds models, and is none.
  if (fs::exists(path / "model" / kConfigFile)) {
    throw Error(path.string(), fmt::format("holds no {}", kConfigFile),
                fmt::format("did you mean {}?", (path / "model").string()));
  }
  if (fs::is_directory(path / "checkpoints")) {
    throw Error(path.string(), fmt::format("holds no {}", kConfigFile),
                fmt::format("a run's models are in {}", (path / "checkpoints").string()));
  }
  throw Error(path.string(), fmt::format("holds no {}", kConfigFile),
              "a model is a folder with config.json and safetensors, or a .gguf file");
}

}  // namespace

std::unique_ptr<ModelSource> ModelSource::Open(const std::filesystem::path& path) {
  if (IsGguf(path)) return std::make_unique<GgufModel>(path);
  CheckIsModelDirectory(path);
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

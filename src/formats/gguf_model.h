#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "formats/gguf_file.h"
#include "formats/gguf_tensors.h"
#include "formats/model_source.h"

namespace fathom {

// A GGUF file as a model. Its tensors are decoded from the mapped file; tokenizer_config.json and
// generation_config.json are made from its metadata.
class GgufModel : public ModelSource {
 public:
  explicit GgufModel(const std::filesystem::path& path);

  const GgufFile& file() const { return file_; }

  std::vector<std::string> names() const override;
  const StoredTensor* Find(std::string_view name) const override;
  std::optional<Tokenizer> LoadTokenizer() const override;
  std::optional<std::string> SideFile(std::string_view name) const override;

 private:
  explicit GgufModel(GgufFile file);

  GgufFile file_;
  StoredTensors tensors_;
};

}  // namespace fathom

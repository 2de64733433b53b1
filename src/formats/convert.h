#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "base/function_ref.h"
#include "base/thread_pool.h"
#include "formats/model_source.h"
#include "formats/weights_writer.h"

namespace fathom {

// What weights are converted to. Router biases keep their type, or become f32.
enum class WeightType : uint8_t {
  kF32,
  kBF16,
  kF16,
  // As DeepSeek-V3's release: the projections of attention, MLPs and experts are F8_E4M3 in blocks
  // of 128 x 128 with a scale each; embedding, head, norms, router and eh_proj are bf16.
  kFp8,
};

struct ConversionOptions {
  std::optional<WeightType> type;  // nothing: every tensor stays as it is
  int64_t shard_bytes = WeightsWriter::kDefaultShardBytes;
};

// A model on its way into a Hugging Face directory, one piece of a tensor at a time: memory does
// not grow with the model. A tensor that has its type already is copied byte for byte.
class Conversion {
 public:
  // Throws Error when the source holds a tensor that the target cannot have as it is. The source
  // has to outlive this object.
  Conversion(const ModelSource& source, const ConversionOptions& options);

  // Of the target: scales are tensors of their own.
  size_t tensors() const { return declarations_.size(); }
  // Of all weights that will be written.
  uint64_t bytes() const { return bytes_; }

  // Fills a fresh directory: weights, config.json (the source's, with the types adjusted), and the
  // tokenizer and other small files of the source. progress: bytes of weights written so far; what
  // it throws is passed on. Throws Error when a value cannot be had in the target's type.
  void Write(const std::filesystem::path& directory, ThreadPool& pool,
             FunctionRef<void(uint64_t written)> progress) const;

 private:
  struct Item {
    std::string name;
    const StoredTensor* tensor;
    std::string type;  // in the target
    bool copied;
    size_t first;  // of the declarations: the tensor, and its scales after it
  };

  std::string TargetType(const std::string& name, const StoredTensor& tensor) const;
  std::string ConfigText() const;
  void CopySideFiles(const std::filesystem::path& directory) const;

  const ModelSource* source_;
  ConversionOptions options_;
  std::vector<Item> items_;
  std::vector<SafetensorsDeclaration> declarations_;
  uint64_t bytes_ = 0;
};

}  // namespace fathom

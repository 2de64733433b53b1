#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "formats/safetensors_writer.h"

namespace fathom {

// The weights of a model directory being written: model.safetensors, or shards with
// model.safetensors.index.json. All tensors are declared first; then their bytes arrive, those of
// one shard before those of the next, in whatever order within a shard. The directory exists.
class WeightsWriter {
 public:
  static constexpr int64_t kDefaultShardBytes = 5'000'000'000;

  // A new shard begins where the next tensor would make one larger than shard_bytes; an FP8 weight
  // and the scales that follow it stay together.
  WeightsWriter(std::filesystem::path directory, std::vector<SafetensorsDeclaration> tensors,
                int64_t shard_bytes = kDefaultShardBytes);

  // The next bytes of tensors[tensor].
  void Append(size_t tensor, const void* data, size_t size);
  // Puts what is left in place. Fatal when bytes are missing.
  void Commit();

 private:
  struct Shard {
    size_t begin, end;  // tensors
    uint64_t bytes;     // of tensor data
  };
  std::string FileName(size_t shard) const;
  // Puts the current shard in place and begins the next one.
  void NextShard();

  std::filesystem::path directory_;
  std::vector<SafetensorsDeclaration> tensors_;
  std::vector<Shard> shards_;
  uint64_t total_bytes_ = 0;
  size_t current_ = 0;
  std::unique_ptr<SafetensorsWriter> file_;  // of the current shard
};

}  // namespace fathom

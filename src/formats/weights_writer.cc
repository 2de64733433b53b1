#include "formats/weights_writer.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "formats/model_directory.h"
#include "formats/safetensors_tensor.h"

namespace fathom {

WeightsWriter::WeightsWriter(std::filesystem::path directory,
                             std::vector<SafetensorsDeclaration> tensors, int64_t shard_bytes)
    : directory_(std::move(directory)), tensors_(std::move(tensors)) {
  shards_.push_back({0, 0, 0});
  for (size_t i = 0; i < tensors_.size();) {
    uint64_t bytes = tensors_[i].bytes();
    size_t next = i + 1;
    if (next < tensors_.size() &&
        tensors_[next].name == tensors_[i].name + std::string(kScaleSuffix)) {
      bytes += tensors_[next++].bytes();
    }
    if (shards_.back().bytes > 0 &&
        shards_.back().bytes + bytes > static_cast<uint64_t>(shard_bytes)) {
      shards_.push_back({i, i, 0});
    }
    shards_.back().end = next;
    shards_.back().bytes += bytes;
    total_bytes_ += bytes;
    i = next;
  }
  NextShard();
}

std::string WeightsWriter::FileName(size_t shard) const {
  if (shards_.size() == 1) return kSingleFile;
  return fmt::format("model-{:05}-of-{:05}.safetensors", shard + 1, shards_.size());
}

void WeightsWriter::NextShard() {
  if (file_) {
    file_->Commit();
    ++current_;
  }
  FATHOM_CHECK(current_ < shards_.size());
  const Shard& shard = shards_[current_];
  const auto begin = tensors_.begin();
  file_ = std::make_unique<SafetensorsWriter>(
      directory_ / FileName(current_),
      std::vector<SafetensorsDeclaration>(begin + static_cast<ptrdiff_t>(shard.begin),
                                          begin + static_cast<ptrdiff_t>(shard.end)),
      std::map<std::string, std::string>{{"format", "pt"}});
}

void WeightsWriter::Append(size_t tensor, const void* data, size_t size) {
  FATHOM_CHECK(tensor >= shards_[current_].begin && tensor < tensors_.size());
  while (tensor >= shards_[current_].end) NextShard();
  file_->Append(tensor - shards_[current_].begin, data, size);
}

void WeightsWriter::Commit() {
  while (current_ + 1 < shards_.size()) NextShard();
  file_->Commit();
  if (shards_.size() == 1) return;
  nlohmann::ordered_json::object_t map;
  for (size_t i = 0; i < shards_.size(); ++i) {
    for (size_t t = shards_[i].begin; t < shards_[i].end; ++t)
      map.push_back({tensors_[t].name, FileName(i)});
  }
  nlohmann::ordered_json index;
  index["metadata"]["total_size"] = total_bytes_;
  index["weight_map"] = std::move(map);
  WriteFileAtomically(directory_ / kIndexFile, index.dump(2) + "\n");
}

}  // namespace fathom

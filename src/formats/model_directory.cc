#include "formats/model_directory.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"

namespace fathom {
namespace fs = std::filesystem;
namespace {

constexpr const char* kSingleFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";
constexpr int64_t kLargestShard = 5'000'000'000;

std::string MtpPrefix(const ModelConfig& config, int64_t index) {
  return fmt::format("model.layers.{}.", config.num_hidden_layers + index);
}

ModelConfig ReadConfig(const fs::path& path) {
  return ModelConfig::FromJson(ReadFile(path), path.string());
}

// A tensor of a type that backends compute with.
class PlainTensor : public StoredTensor {
 public:
  PlainTensor(const SafetensorsEntry& entry, ConstTensor value)
      : StoredTensor(value.shape(), entry.type, entry.end - entry.begin), value_(value) {}

  ConstTensor View() const override { return value_; }
  void Read(int64_t begin, Tensor y) const override {
    ConvertElements(value_.Rows(begin, begin + y.dim(0)), y);
  }

 private:
  ConstTensor value_;
};

}  // namespace

WeightFiles::WeightFiles(const fs::path& directory) : directory_(directory) {
  if (!fs::is_directory(directory))
    throw Error(directory.string(), "is not a directory", "give a model directory");
  const auto open = [&](const fs::path& path) {
    files_.push_back(std::make_unique<SafetensorsFile>(path));
    return files_.back().get();
  };
  if (fs::exists(directory / kIndexFile)) {
    const fs::path index_path = directory / kIndexFile;
    const std::string text = ReadFile(index_path);
    const JsonDocument index(text, index_path.string());
    std::map<std::string, const SafetensorsFile*, std::less<>> opened;
    for (const auto& [name, value] : index.root().At("weight_map").Object()) {
      const std::string file(value.String());
      if (fs::path(file).filename() != file || file.empty() || file == "..") {
        throw Error(value.path(), fmt::format("'{}' is not a file name", file));
      }
      const SafetensorsFile*& shard = opened[file];
      if (shard == nullptr) shard = open(directory / file);
      if (!shard->entries().contains(name)) {
        throw Error(value.path(), fmt::format("{} has no such tensor", file));
      }
      file_of_.emplace(std::string(name), shard);
    }
  } else if (fs::exists(directory / kSingleFile)) {
    const SafetensorsFile* file = open(directory / kSingleFile);
    for (const auto& [name, entry] : file->entries()) file_of_.emplace(name, file);
  } else {
    throw Error(directory.string(), fmt::format("has neither {} nor {}", kSingleFile, kIndexFile),
                "give a model directory in Hugging Face's layout");
  }
}

const SafetensorsFile& WeightFiles::FileOf(std::string_view name) const {
  const auto found = file_of_.find(name);
  if (found == file_of_.end())
    throw Error(directory_.string(), fmt::format("has no tensor '{}'", name));
  return *found->second;
}

ConstTensor WeightFiles::Get(std::string_view name) const { return FileOf(name).Get(name); }

const SafetensorsEntry& WeightFiles::entry(std::string_view name) const {
  return FileOf(name).entries().find(name)->second;
}

std::vector<std::string> WeightFiles::names() const {
  std::vector<std::string> names;
  for (const auto& [name, file] : file_of_) names.push_back(name);
  return names;
}

HuggingFaceDirectory::HuggingFaceDirectory(const fs::path& directory)
    : ModelSource(directory, ReadConfig(directory / "config.json")), files_(directory) {
  if (config_.num_nextn_predict_layers > 0 &&
      !files_.Has(MtpPrefix(config_, 0) + "eh_proj.weight")) {
    spdlog::warn("{}: the weights of {} MTP module(s) are not there; going on without",
                 directory.string(), config_.num_nextn_predict_layers);
    config_.num_nextn_predict_layers = 0;
  }
  for (const std::string& name : files_.names()) {
    const ConstTensor value = files_.Get(name);
    if (value.dtype() == DType::kI32)
      throw Error(directory.string(), fmt::format("tensor '{}' holds integers", name));
    tensors_.emplace(name, std::make_unique<PlainTensor>(files_.entry(name), value));
  }
}

std::vector<std::string> HuggingFaceDirectory::names() const { return files_.names(); }

const StoredTensor* HuggingFaceDirectory::Find(std::string_view name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : found->second.get();
}

std::optional<Tokenizer> HuggingFaceDirectory::LoadTokenizer() const {
  if (!fs::exists(path() / "tokenizer.json")) return std::nullopt;
  return Tokenizer::Load(path());
}

std::optional<std::string> HuggingFaceDirectory::SideFile(std::string_view name) const {
  const fs::path file = path() / name;
  if (!fs::exists(file)) return std::nullopt;
  return ReadFile(file);
}

void SaveModel(const fs::path& directory, const ModelConfig& config, const ParameterStore& store,
               DType dtype, bool quiet) {
  WriteFileAtomically(directory / "config.json",
                      config.ToJson(dtype == DType::kBF16 ? "bfloat16" : "float32"));
  nlohmann::ordered_json generation = {{"_from_model_config", true}};
  if (config.bos_token_id >= 0) generation["bos_token_id"] = config.bos_token_id;
  if (config.eos_token_ids.size() == 1) {
    generation["eos_token_id"] = config.eos_token_ids[0];
  } else if (!config.eos_token_ids.empty()) {
    generation["eos_token_id"] = config.eos_token_ids;
  }
  WriteFileAtomically(directory / "generation_config.json", generation.dump(2) + "\n");

  std::vector<SafetensorsItem> items;
  for (const auto& parameter : store.all()) {
    const bool bias = parameter->spec.kind == ParameterKind::kRouterBias;
    items.push_back({parameter->spec.name, parameter->value, bias ? DType::kF32 : dtype});
  }
  for (int64_t k = 0; k < config.num_nextn_predict_layers; ++k) {
    const std::string prefix = MtpPrefix(config, k);
    items.push_back(
        {prefix + "embed_tokens.weight", store.Get("model.embed_tokens.weight").value, dtype});
    items.push_back({prefix + "shared_head.head.weight", store.Get("lm_head.weight").value, dtype});
  }
  std::vector<std::vector<SafetensorsItem>> shards(1);
  int64_t shard_bytes = 0, total_bytes = 0;
  for (SafetensorsItem& item : items) {
    const int64_t bytes = item.value.elements() * static_cast<int64_t>(SizeOf(item.type));
    if (shard_bytes > 0 && shard_bytes + bytes > kLargestShard) {
      shards.emplace_back();
      shard_bytes = 0;
    }
    shard_bytes += bytes;
    total_bytes += bytes;
    shards.back().push_back(std::move(item));
  }
  const std::map<std::string, std::string> metadata = {{"format", "pt"}};
  if (shards.size() == 1) {
    WriteSafetensors(directory / kSingleFile, shards[0], metadata, quiet);
    return;
  }
  nlohmann::ordered_json index;
  index["metadata"]["total_size"] = total_bytes;
  for (size_t i = 0; i < shards.size(); ++i) {
    const std::string file = fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards.size());
    WriteSafetensors(directory / file, shards[i], metadata, quiet);
    for (const SafetensorsItem& item : shards[i]) index["weight_map"][item.name] = file;
  }
  WriteFileAtomically(directory / kIndexFile, index.dump(2) + "\n");
}

}  // namespace fathom

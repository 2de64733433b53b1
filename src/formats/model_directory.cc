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

// What a checkpoint may hold beside the parameters: the shared tensors' copies in MTP layers, and
// tables that some programs save.
bool IsKnownExtra(const ModelConfig& config, std::string_view name) {
  if (name.ends_with("rotary_emb.inv_freq")) return true;
  for (int64_t k = 0; k < config.num_nextn_predict_layers; ++k) {
    const std::string prefix = MtpPrefix(config, k);
    if (name == prefix + "embed_tokens.weight" || name == prefix + "shared_head.head.weight")
      return true;
  }
  return false;
}

// Calls use(parameter, value) for every parameter after checking names and shapes.
template <typename Use>
void ForEachWeight(const fs::path& directory, const ModelConfig& config, const WeightFiles& files,
                   const ParameterStore& store, Use use) {
  const std::string where = directory.string();
  for (const auto& parameter : store.all()) {
    const std::string& name = parameter->spec.name;
    if (!files.Has(name)) {
      throw Error(where, fmt::format("tensor '{}' is missing", name),
                  "config.json and the weights do not belong together");
    }
    const ConstTensor value = files.Get(name);
    if (!(value.shape() == parameter->spec.shape)) {
      throw Error(where, fmt::format("tensor '{}' has shape {}, config.json asks for {}", name,
                                     value.shape().ToString(), parameter->spec.shape.ToString()));
    }
    if (value.dtype() == DType::kI32)
      throw Error(where, fmt::format("tensor '{}' holds integers", name));
    use(*parameter, value);
  }
  for (const std::string& name : files.names()) {
    if (store.Find(name) == nullptr && !IsKnownExtra(config, name)) {
      throw Error(where, fmt::format("tensor '{}' is not part of this architecture", name),
                  "config.json and the weights do not belong together");
    }
  }
}

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

uint64_t WeightFiles::bytes() const {
  uint64_t sum = 0;
  for (const auto& [name, file] : file_of_) sum += entry(name).end - entry(name).begin;
  return sum;
}

ModelConfig ReadModelConfig(const fs::path& directory) {
  const fs::path path = directory / "config.json";
  ModelConfig config = ModelConfig::FromJson(ReadFile(path), path.string());
  if (config.num_nextn_predict_layers > 0) {
    const WeightFiles files(directory);
    if (!files.Has(MtpPrefix(config, 0) + "eh_proj.weight")) {
      spdlog::warn("{}: the weights of {} MTP module(s) are not there; going on without",
                   directory.string(), config.num_nextn_predict_layers);
      config.num_nextn_predict_layers = 0;
    }
  }
  return config;
}

MappedModel::MappedModel(const fs::path& directory)
    : config_(ReadModelConfig(directory)), files_(directory), store_(config_) {
  ForEachWeight(directory, config_, files_, store_,
                [&](const Parameter& parameter, ConstTensor value) {
                  store_.SetValue(parameter.spec.name, value);
                });
}

void LoadMasters(const fs::path& directory, const ModelConfig& config, ParameterStore& store) {
  const WeightFiles files(directory);
  ForEachWeight(directory, config, files, store, [](const Parameter& parameter, ConstTensor value) {
    ConvertElements(value, parameter.master);
  });
  store.MarkChanged();
}

void SaveModel(const fs::path& directory, const ModelConfig& config, const ParameterStore& store,
               DType dtype) {
  WriteFileAtomically(directory / "config.json",
                      config.ToJson(dtype == DType::kBF16 ? "bfloat16" : "float32"));
  const nlohmann::ordered_json generation = {{"_from_model_config", true},
                                             {"bos_token_id", config.bos_token_id},
                                             {"eos_token_id", config.eos_token_id}};
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
    WriteSafetensors(directory / kSingleFile, shards[0], metadata);
    return;
  }
  nlohmann::ordered_json index;
  index["metadata"]["total_size"] = total_bytes;
  for (size_t i = 0; i < shards.size(); ++i) {
    const std::string file = fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards.size());
    WriteSafetensors(directory / file, shards[i], metadata);
    for (const SafetensorsItem& item : shards[i]) index["weight_map"][item.name] = file;
  }
  WriteFileAtomically(directory / kIndexFile, index.dump(2) + "\n");
}

}  // namespace fathom

#include "formats/model_directory.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "formats/safetensors_writer.h"
#include "formats/weights_writer.h"

namespace fathom {
namespace fs = std::filesystem;
namespace {

std::string MtpPrefix(const ModelConfig& config, int64_t index) {
  return fmt::format("model.layers.{}.", config.num_hidden_layers + index);
}

ModelConfig ReadConfig(const fs::path& path) {
  return ModelConfig::FromJson(ReadFile(path), path.string());
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

SafetensorsTensor::Part WeightFiles::Part(std::string_view name) const {
  const SafetensorsFile& file = FileOf(name);
  const auto found = file.entries().find(name);
  return {fmt::format("{}: {}", file.path().string(), name), std::string(name), &found->second,
          file.Bytes(name)};
}

std::vector<std::string> WeightFiles::names() const {
  std::vector<std::string> names;
  for (const auto& [name, file] : file_of_) names.push_back(name);
  return names;
}

HuggingFaceDirectory::HuggingFaceDirectory(const fs::path& directory)
    : ModelSource(directory, ReadConfig(directory / kConfigFile)), files_(directory) {
  if (config_.num_nextn_predict_layers > 0 &&
      !files_.Has(MtpPrefix(config_, 0) + "eh_proj.weight")) {
    spdlog::warn("{}: the weights of {} MTP module(s) are not there; going on without",
                 directory.string(), config_.num_nextn_predict_layers);
    config_.num_nextn_predict_layers = 0;
  }
  for (const std::string& name : files_.names()) {
    if (auto tensor = MakeTensor(name)) tensors_.emplace(name, std::move(tensor));
  }
}

// Nothing for scales, which belong to their weight.
std::unique_ptr<StoredTensor> HuggingFaceDirectory::MakeTensor(const std::string& name) const {
  SafetensorsTensor::Part part = files_.Part(name);
  if (name.ends_with(kScaleSuffix)) {
    const std::string weight = name.substr(0, name.size() - kScaleSuffix.size());
    if (!files_.Has(weight))
      throw Error(part.where, fmt::format("is there without '{}', which it scales", weight));
    const SafetensorsTensor::Part scaled = files_.Part(weight);
    if (scaled.entry->type != kFp8Type) {
      throw Error(part.where, fmt::format("is there, but '{}' is {} and not {}", weight,
                                          scaled.entry->type, kFp8Type));
    }
    return nullptr;
  }
  if (part.entry->type != kFp8Type) return MakeSafetensorsTensor(std::move(part));

  const std::string scales = name + std::string(kScaleSuffix);
  if (!files_.Has(scales)) {
    throw Error(part.where, fmt::format("is {}, but '{}' is not there", kFp8Type, scales),
                files_.Has(name + "_scale")
                    ? "scales of whole tensors are not supported, those of 128 x 128 blocks are"
                    : "the checkpoint is not complete");
  }
  if (!config_.fp8_blocks) {
    throw Error(part.where,
                fmt::format("is {}, but config.json has no quantization_config", kFp8Type),
                "take the config.json that belongs to these weights");
  }
  return MakeFp8BlockTensor(std::move(part), files_.Part(scales), Fp8Blocks::kRows,
                            Fp8Blocks::kColumns);
}

std::vector<std::string> HuggingFaceDirectory::names() const {
  std::vector<std::string> names;
  names.reserve(tensors_.size());
  for (const auto& [name, tensor] : tensors_) names.push_back(name);
  return names;
}

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
  WriteFileAtomically(directory / kConfigFile,
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
  std::vector<SafetensorsDeclaration> tensors;
  for (const SafetensorsItem& item : items) tensors.push_back(item.Declare());
  WeightsWriter writer(directory, std::move(tensors));
  ForEachPiece(items, "writing weights", quiet, [&](size_t index, const void* data, size_t size) {
    writer.Append(index, data, size);
  });
  writer.Commit();
}

}  // namespace fathom

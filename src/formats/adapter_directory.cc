#include "formats/adapter_directory.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "formats/safetensors_tensor.h"
#include "formats/safetensors_writer.h"

namespace fathom {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kPrefix = "base_model.model.";
constexpr std::string_view kWeight = ".weight";
constexpr std::string_view kSuffixes[] = {".lora_A.weight", ".lora_B.weight"};

std::string_view ModuleOf(std::string_view weight) {
  return weight.substr(0, weight.size() - kWeight.size());
}

// Whether PEFT takes a module for one that `target` names.
bool IsTarget(std::string_view module, std::string_view target) {
  return module == target || (module.ends_with(target) &&
                              module.substr(0, module.size() - target.size()).ends_with('.'));
}

// What PEFT calls the targets. It takes every module whose name ends so: with routed experts that
// have none, "gate_proj" alone would be too much.
std::vector<std::string> TargetModules(const ModelConfig& config, const ParameterStore& store,
                                       const AdapterOptions& options) {
  std::set<std::string> targets;
  for (const auto& parameter : store.all()) {
    if (!parameter->adapter) continue;
    const std::string_view module = ModuleOf(parameter->spec.name);
    size_t begin = module.rfind('.');
    const bool ambiguous = config.n_routed_experts > 0 && !options.routed_experts &&
                           module.find(".mlp.") != std::string_view::npos;
    if (ambiguous) begin = module.rfind('.', begin - 1);
    targets.emplace(module.substr(begin + 1));
  }
  return {targets.begin(), targets.end()};
}

[[noreturn]] void Refuse(const JsonValue& field, std::string_view why) {
  throw Error(field.path(), fmt::format("is {}, which is not supported", field.Minified()), why);
}

bool IsSet(const JsonValue& value) {
  if (value.IsBool()) return value.Bool();
  if (value.IsArray()) return !value.Array().empty();
  if (value.IsObject()) return !value.Object().empty();
  return true;
}

}  // namespace

void SaveAdapter(const fs::path& directory, const ModelConfig& config, const ParameterStore& store,
                 const AdapterDescription& description) {
  const AdapterOptions& options = description.options;
  nlohmann::ordered_json json = {
      {"peft_type", "LORA"},
      {"task_type", "CAUSAL_LM"},
      {"base_model_name_or_path", fs::absolute(description.base).lexically_normal().string()},
      {"revision", nullptr},
      {"inference_mode", true},
      {"r", options.rank},
      {"lora_alpha", options.alpha},
      {"lora_dropout", 0.0},
      {"use_rslora", options.rslora},
      {"use_dora", false},
      {"bias", "none"},
      {"fan_in_fan_out", false},
      {"init_lora_weights", true},
      {"target_modules", TargetModules(config, store, options)},
      {"modules_to_save", nullptr},
      {"layers_to_transform", nullptr},
      {"layers_pattern", nullptr},
      {"rank_pattern", nlohmann::ordered_json::object()},
      {"alpha_pattern", nlohmann::ordered_json::object()}};
  // PEFT's own files have an integer.
  if (options.alpha == std::floor(options.alpha))
    json["lora_alpha"] = static_cast<int64_t>(options.alpha);
  // Paths are the user's and may be any bytes.
  constexpr auto kReplace = nlohmann::ordered_json::error_handler_t::replace;
  WriteFileAtomically(directory / kAdapterConfigFile, json.dump(2, ' ', false, kReplace) + "\n");
  std::vector<SafetensorsItem> items;
  for (const auto& adapter : store.adapters()) {
    items.push_back(
        {fmt::format("{}{}", kPrefix, adapter->spec.name), adapter->value, DType::kF32});
  }
  WriteSafetensors(directory / kAdapterWeightsFile, items, {{"format", "pt"}});
}

AdapterDirectory::AdapterDirectory(const fs::path& directory)
    : file_([&] {
        if (!fs::exists(directory / kAdapterConfigFile)) {
          throw Error(directory.string(), fmt::format("has no {}", kAdapterConfigFile),
                      "give a directory as PEFT's save_pretrained makes it");
        }
        if (!fs::exists(directory / kAdapterWeightsFile)) {
          throw Error(directory.string(), fmt::format("has no {}", kAdapterWeightsFile),
                      "save it with safe_serialization=True");
        }
        return directory / kAdapterWeightsFile;
      }()),
      config_path_((directory / kAdapterConfigFile).string()) {
  ReadConfig(directory / kAdapterConfigFile);
  ReadWeights();
}

void AdapterDirectory::ReadConfig(const fs::path& path) {
  const std::string text = ReadFile(path);
  const JsonDocument document(text, path.string());
  const JsonValue& root = document.root();
  if (const JsonValue type = root.At("peft_type"); type.String() != "LORA")
    Refuse(type, "adapters of type \"LORA\" are");
  for (const auto& [key, why] :
       {std::pair{"use_dora", "merge it into the model with PEFT"},
        {"use_qalora", "merge it into the model with PEFT"},
        {"fan_in_fan_out", "this model's weights are [out, in]"},
        {"lora_bias", "merge it into the model with PEFT"},
        {"modules_to_save", "train it without, or merge it into the model with PEFT"},
        {"trainable_token_indices", "train it without, or merge it into the model with PEFT"},
        {"target_parameters", "train it without, or merge it into the model with PEFT"},
        {"layer_replication", "merge it into the model with PEFT"},
        {"rank_pattern", "give all modules one rank"},
        {"alpha_pattern", "give all modules one lora_alpha"}}) {
    if (const auto field = root.Find(key); field && IsSet(*field)) Refuse(*field, why);
  }
  if (const auto bias = root.Find("bias"); bias && bias->String() != "none")
    Refuse(*bias, "train it with bias=\"none\"");
  // These start from a changed base model, which the adapter alone says nothing of.
  if (const auto init = root.Find("init_lora_weights"); init && init->IsString()) {
    const std::string_view name = init->String();
    if (name.starts_with("pissa") || name == "olora" || name == "corda" || name == "loftq")
      Refuse(*init, "convert it to LoRA with PEFT's path_initial_model_for_weight_conversion");
  }
  const JsonValue r = root.At("r");
  rank_ = r.Int();
  if (rank_ < 1) throw Error(r.path(), fmt::format("is {}", rank_), "a rank is at least 1");
  const JsonValue alpha = root.At("lora_alpha");
  const AdapterOptions options{
      .rank = rank_, .alpha = alpha.Number(), .rslora = root.BoolOr("use_rslora", false)};
  scale_ = options.scale();
  if (!std::isfinite(scale_)) throw Error(alpha.path(), "is not finite");
  // A regular expression, or a choice of layers, is PEFT's to understand.
  const auto targets = root.Find("target_modules");
  if (targets && targets->IsArray() && !root.Find("layers_to_transform") &&
      !root.Find("exclude_modules")) {
    for (const JsonValue& target : targets->Array()) targets_.emplace_back(target.String());
  }
}

void AdapterDirectory::ReadWeights() {
  for (const auto& [name, entry] : file_.entries()) {
    const std::string where = fmt::format("{}: {}", file_.path().string(), name);
    std::string_view module = name;
    const bool is_a = module.ends_with(kSuffixes[0]);
    if (!module.starts_with(kPrefix) || (!is_a && !module.ends_with(kSuffixes[1]))) {
      throw Error(where, "is not part of a LoRA adapter that can be used",
                  "tensors are base_model.model.MODULE.lora_A.weight and .lora_B.weight");
    }
    module.remove_prefix(kPrefix.size());
    module.remove_suffix(kSuffixes[0].size());
    auto tensor = MakeSafetensorsTensor({where, name, &entry, file_.Bytes(name)});
    const Shape& shape = tensor->shape();
    if (shape.rank() != 2 || shape[is_a ? 0 : 1] != rank_) {
      throw Error(where, fmt::format("has shape {}, and r is {} in {}", shape.ToString(), rank_,
                                     kAdapterConfigFile));
    }
    Matrices& matrices = matrices_[std::string(module) + std::string(kWeight)];
    (is_a ? matrices.a : matrices.b) = std::move(tensor);
  }
  for (const auto& [weight, matrices] : matrices_) {
    if (matrices.a && matrices.b) continue;
    throw Error(file_.path().string(),
                fmt::format("tensor '{}{}{}' is missing", kPrefix, ModuleOf(weight),
                            kSuffixes[matrices.a ? 1 : 0]),
                "the file is not complete");
  }
  if (matrices_.empty()) throw Error(file_.path().string(), "has no tensors");
}

void AdapterDirectory::Check(const ModelConfig& config, const ParameterStore& store) const {
  const auto name_of = [](std::string_view weight, size_t which) {
    return fmt::format("{}{}{}", kPrefix, ModuleOf(weight), kSuffixes[which]);
  };
  for (const auto& [weight, matrices] : matrices_) {
    const Parameter* parameter = store.Find(weight);
    if (parameter == nullptr || parameter->spec.kind != ParameterKind::kMatrix ||
        weight == "model.embed_tokens.weight") {
      throw Error(fmt::format("{}: {}", file_.path().string(), name_of(weight, 0)),
                  fmt::format("the model has no projection '{}'", ModuleOf(weight)),
                  "the adapter was made for another model");
    }
    const Shape& shape = parameter->spec.shape;
    const std::pair<const StoredTensor*, Shape> parts[] = {
        {matrices.a.get(), Shape({rank_, shape[1]})}, {matrices.b.get(), Shape({shape[0], rank_})}};
    for (size_t which = 0; which < 2; ++which) {
      const auto& [tensor, expected] = parts[which];
      if (tensor->shape() == expected) continue;
      throw Error(fmt::format("{}: {}", file_.path().string(), name_of(weight, which)),
                  fmt::format("has shape {}, the model asks for {}", tensor->shape().ToString(),
                              expected.ToString()),
                  "the adapter was made for another model");
    }
  }
  for (const auto& parameter : store.all()) {
    const std::string& weight = parameter->spec.name;
    if (ProjectionOf(config, parameter->spec).empty() || matrices_.contains(weight)) continue;
    // In some versions of transformers, routed experts are no modules that PEFT sees.
    if (parameter->spec.expert >= 0) continue;
    for (const std::string& target : targets_) {
      if (!IsTarget(ModuleOf(weight), target)) continue;
      throw Error(file_.path().string(),
                  fmt::format("tensor '{}' is missing, and target_modules in {} has '{}'",
                              name_of(weight, 0), config_path_, target),
                  "the file is not complete, or the adapter was made for another model");
    }
  }
}

void AdapterDirectory::AddTo(const ModelConfig& config, ParameterStore& store) const {
  Check(config, store);
  for (const auto& parameter : store.all()) {
    const auto found = matrices_.find(parameter->spec.name);
    if (found == matrices_.end()) continue;
    const Adapter& adapter =
        store.AddAdapter(*parameter, rank_, scale_, DType::kF32, /*trained=*/false);
    found->second.a->Read(0, adapter.a->master);
    found->second.b->Read(0, adapter.b->master);
  }
}

void AdapterDirectory::ReadInto(ParameterStore& store) const {
  const std::string hint = "resume with the configuration that the checkpoint was made with";
  size_t count = 0;
  for (const auto& parameter : store.all()) {
    if (!parameter->adapter) continue;
    const Adapter& adapter = *parameter->adapter;
    const auto found = matrices_.find(parameter->spec.name);
    if (found == matrices_.end()) {
      throw Error(file_.path().string(),
                  fmt::format("has no adapter of '{}', and the run has", parameter->spec.name),
                  hint);
    }
    const auto& [a, b] = found->second;
    if (!(a->shape() == adapter.a->spec.shape && b->shape() == adapter.b->spec.shape) ||
        scale_ != adapter.scale) {
      throw Error(config_path_,
                  fmt::format("has rank {} and scale {:g}, the run has rank {} and scale {:g}",
                              rank_, scale_, adapter.rank(), adapter.scale),
                  hint);
    }
    a->Read(0, adapter.a->master);
    b->Read(0, adapter.b->master);
    ++count;
  }
  if (count != matrices_.size()) {
    throw Error(file_.path().string(),
                fmt::format("has adapters of {} matrices, the run of {}", matrices_.size(), count),
                hint);
  }
  store.MarkChanged();
}

}  // namespace fathom

#include "formats/mapped_model.h"

#include <set>
#include <string>

#include "base/error.h"

namespace fathom {
namespace {

// What a checkpoint may hold beside the parameters: the shared tensors' copies in MTP layers, a
// tied head's, and tables that some programs save.
bool IsKnownExtra(const ModelConfig& config, std::string_view name) {
  if (name.ends_with("rotary_emb.inv_freq")) return true;
  if (config.tie_word_embeddings && name == "lm_head.weight") return true;
  for (int64_t layer = config.num_hidden_layers; layer < config.total_layers(); ++layer) {
    const std::string prefix = fmt::format("model.layers.{}.", layer);
    if (name == prefix + "embed_tokens.weight" || name == prefix + "shared_head.head.weight")
      return true;
  }
  return false;
}

// Which of the parameters a source has to have: all of them, or all but the head.
enum class Wanted { kAll, kTrunk };

// MTP modules that the source has and `config` does not.
bool IsOfModuleLeftOut(const ModelConfig& config, const ModelConfig& source,
                       std::string_view name) {
  if (source.num_hidden_layers != config.num_hidden_layers) return false;
  for (int64_t layer = config.total_layers(); layer < source.total_layers(); ++layer) {
    if (name.starts_with(fmt::format("model.layers.{}.", layer))) return true;
  }
  return false;
}

// Calls use(parameter, tensor) for every wanted parameter after checking names and shapes. The
// source's configuration is `config`, which may have fewer MTP modules; where only the trunk is
// wanted its head may be another.
template <typename Use>
void ForEachWeight(const ModelSource& source, const ModelConfig& config,
                   const ParameterStore& store, Wanted wanted, Use use) {
  const std::string where = source.path().string();
  std::set<std::string> passed_over;  // of a language model
  if (wanted == Wanted::kTrunk) {
    for (ParameterSpec& spec : ParameterSpecs(source.config()))
      passed_over.insert(std::move(spec.name));
  }
  for (const auto& parameter : store.all()) {
    const std::string& name = parameter->spec.name;
    if (wanted == Wanted::kTrunk && name == config.head_parameter()) continue;
    const StoredTensor* tensor = source.Find(name);
    if (tensor == nullptr) {
      throw Error(where, fmt::format("tensor '{}' is missing", name),
                  "the configuration and the weights do not belong together");
    }
    if (!(tensor->shape() == parameter->spec.shape)) {
      throw Error(where,
                  fmt::format("tensor '{}' has shape {}, the configuration asks for {}", name,
                              tensor->shape().ToString(), parameter->spec.shape.ToString()));
    }
    use(*parameter, *tensor);
  }
  for (const std::string& name : source.names()) {
    const bool known = store.Find(name) != nullptr || IsKnownExtra(config, name) ||
                       IsOfModuleLeftOut(config, source.config(), name) ||
                       (wanted == Wanted::kTrunk &&
                        (passed_over.contains(name) || IsKnownExtra(source.config(), name)));
    if (!known) {
      throw Error(where, fmt::format("tensor '{}' is not part of this architecture", name),
                  "the configuration and the weights do not belong together");
    }
  }
}

}  // namespace

MappedModel::MappedModel(const std::filesystem::path& path, Allocator& allocator)
    : source_(ModelSource::Open(path)), store_(source_->config(), allocator) {
  ForEachWeight(*source_, config(), store_, Wanted::kAll,
                [&](const Parameter& parameter, const StoredTensor& tensor) {
                  store_.SetStored(parameter.spec.name, tensor);
                });
}

void MappedModel::DecodeSmallTensors(DType act) {
  for (const auto& parameter : store_.all()) {
    const DType dtype = parameter->value.dtype();
    const bool usable =
        !parameter->value.empty() && (dtype == DType::kF32 || dtype == DType::kBF16);
    const bool bias = parameter->spec.kind == ParameterKind::kRouterBias;
    if (usable && (!bias || dtype == DType::kF32)) continue;
    const std::string& name = parameter->spec.name;
    if (parameter->spec.kind == ParameterKind::kMatrix) {
      store_.SetValue(name, {});  // read when it is packed or looked up
      continue;
    }
    const Tensor value = decoded_.New(bias ? DType::kF32 : act, parameter->spec.shape);
    parameter->stored->Read(0, value);
    store_.SetValue(name, value);
  }
}

namespace {

void Load(const std::filesystem::path& path, const ModelConfig& config, Wanted wanted,
          ParameterStore& store) {
  const auto source = ModelSource::Open(path);
  ForEachWeight(*source, config, store, wanted,
                [&](const Parameter& parameter, const StoredTensor& tensor) {
                  tensor.Read(0, parameter.master);
                  tensor.Release();
                });
  store.MarkChanged();
}

}  // namespace

void LoadMasters(const std::filesystem::path& path, const ModelConfig& config,
                 ParameterStore& store) {
  Load(path, config, Wanted::kAll, store);
}

void LoadTrunk(const std::filesystem::path& path, const ModelConfig& config,
               ParameterStore& store) {
  Load(path, config, Wanted::kTrunk, store);
}

}  // namespace fathom

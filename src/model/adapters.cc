#include "model/adapters.h"

#include <cmath>
#include <set>

#include "base/error.h"
#include "base/nearest.h"
#include "base/random.h"

namespace fathom {

double AdapterOptions::scale() const {
  const auto r = static_cast<double>(rank);
  return alpha / (rslora ? std::sqrt(r) : r);
}

std::string_view ProjectionOf(const ModelConfig& config, const ParameterSpec& spec) {
  constexpr std::string_view kSuffix = ".weight";
  std::string_view name = spec.name;
  if (spec.kind != ParameterKind::kMatrix || spec.layer < 0 ||
      spec.layer >= config.num_hidden_layers || !name.ends_with(kSuffix))
    return {};
  name.remove_suffix(kSuffix.size());
  // A router's choice has no gradient.
  if (name.ends_with("mlp.gate")) return {};
  return name.substr(name.rfind('.') + 1);
}

std::vector<std::string> AdaptedMatrices(const ModelConfig& config, const AdapterOptions& options) {
  const std::vector<ParameterSpec> specs = ParameterSpecs(config);
  std::set<std::string, std::less<>> known, usual;
  const bool attention_alone = config.n_routed_experts > 0 && !options.routed_experts;
  for (const ParameterSpec& spec : specs) {
    const std::string_view projection = ProjectionOf(config, spec);
    if (projection.empty()) continue;
    known.emplace(projection);
    if (!attention_alone || spec.name.find(".self_attn.") != std::string::npos)
      usual.emplace(projection);
  }
  std::set<std::string, std::less<>> wanted(options.targets.begin(), options.targets.end());
  if (wanted.empty()) wanted = usual;
  for (const std::string& target : wanted) {
    if (known.contains(target)) continue;
    std::string all;
    for (const std::string& name : known) all += fmt::format("{}{}", all.empty() ? "" : ", ", name);
    throw Error("lora.targets", fmt::format("the model has no projection '{}'", target),
                NearestHint(target, known, fmt::format("it has {}", all)));
  }
  std::vector<std::string> names;
  for (const ParameterSpec& spec : specs) {
    if (spec.expert >= 0 && !options.routed_experts) continue;
    if (wanted.contains(ProjectionOf(config, spec))) names.push_back(spec.name);
  }
  if (names.empty()) {
    throw Error("lora.targets", "only routed experts have them",
                "lora.routed_experts = true gives these adapters, too");
  }
  return names;
}

void InitializeAdapters(uint64_t seed, ParameterStore& store) {
  for (const auto& parameter : store.adapters()) {
    const Tensor& master = parameter->master;
    const bool is_a = parameter->spec.name.ends_with(".lora_A.weight");
    const double bound = is_a ? 1 / std::sqrt(static_cast<double>(master.dim(1))) : 0;
    const uint64_t key = ParameterKey(seed, parameter->spec.name);
    for (int64_t i = 0; i < master.elements(); ++i) {
      RandomStream random(key, static_cast<uint64_t>(i));
      const double value = bound * (2 * random.NextUniform() - 1);
      if (master.dtype() == DType::kF64) {
        master.data<double>()[i] = value;
      } else {
        master.data<float>()[i] = static_cast<float>(value);
      }
    }
  }
  store.MarkChanged();
}

}  // namespace fathom

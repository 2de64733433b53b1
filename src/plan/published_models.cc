#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"
#include "plan/architecture.h"

namespace fathom {
namespace {

// Dense models with grouped-query attention. Sources: LLaMA (arXiv 2302.13971, Table 2; widths of
// the MLP from the released weights), Llama 3.1 (arXiv 2407.21783, Table 3), DeepSeek LLM (arXiv
// 2401.02954) and Qwen2.5-72B (its config.json).
struct DenseModel {
  const char* name;
  int64_t hidden, layers, heads, kv_heads, intermediate, vocabulary;
  bool bias;
};
constexpr DenseModel kDenseModels[] = {
    {"llama-1-7b", 4096, 32, 32, 32, 11008, 32000, false},
    {"llama-1-13b", 5120, 40, 40, 40, 13824, 32000, false},
    {"llama-1-33b", 6656, 60, 52, 52, 17920, 32000, false},
    {"llama-1-65b", 8192, 80, 64, 64, 22016, 32000, false},
    {"llama-3.1-405b", 16384, 126, 128, 8, 53248, 128256, false},
    {"deepseek-67b", 8192, 95, 64, 8, 22016, 102400, false},
    {"qwen2.5-72b", 8192, 80, 64, 8, 29568, 152064, true},
};

}  // namespace

ModelConfig PublishedConfig(std::string_view name) {
  for (const DenseModel& model : kDenseModels) {
    if (name != model.name) continue;
    ModelConfig config;
    config.family = model.bias ? Family::kQwen2 : Family::kLlama;
    config.vocab_size = model.vocabulary;
    config.hidden_size = model.hidden;
    config.num_hidden_layers = model.layers;
    config.num_attention_heads = model.heads;
    config.num_key_value_heads = model.kv_heads;
    config.head_dim = model.hidden / model.heads;
    config.attention_bias = model.bias;
    config.intermediate_size = model.intermediate;
    config.n_routed_experts = 0;
    config.n_shared_experts = 0;
    config.num_experts_per_tok = 0;
    config.num_nextn_predict_layers = 0;
    return config;
  }
  const std::vector<std::string> known = PublishedNames();
  const std::vector<std::string> presets = PresetNames();
  if (std::find(presets.begin(), presets.end(), name) != presets.end()) return PresetConfig(name);
  throw UsageError("model", fmt::format("'{}' is neither a file nor a known name", name),
                   fmt::format("known are {}", fmt::join(known, ", ")));
}

std::vector<std::string> PublishedNames() {
  std::vector<std::string> names = PresetNames();
  for (const DenseModel& model : kDenseModels) names.emplace_back(model.name);
  return names;
}

}  // namespace fathom

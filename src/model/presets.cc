#include <fmt/ranges.h>

#include "base/error.h"
#include "model/config.h"

namespace fathom {
namespace {

struct Preset {
  const char* name;
  int64_t hidden, layers, heads;
  int64_t q_lora, kv_lora;
  int64_t nope, rope, v;
  int64_t experts, top_k, expert_inter;
  int64_t dense_inter, vocabulary, mtp;
};

// One dense layer, one shared expert of the routed size, sigmoid gate with bias, no groups, no
// YaRN.
constexpr Preset kPresets[] = {
    {"nano", 256, 6, 4, 96, 64, 32, 16, 32, 16, 2, 128, 704, 4096, 1},
    {"small", 384, 8, 6, 192, 128, 64, 32, 64, 16, 4, 192, 1024, 8192, 1},
    {"base", 768, 12, 12, 384, 256, 64, 32, 64, 32, 6, 256, 2048, 16384, 1},
    {"tiny8", 512, 8, 8, 0, 128, 64, 32, 64, 32, 4, 256, 1408, 8192, 0},
    {"lite8", 2048, 8, 16, 0, 512, 128, 64, 128, 64, 6, 1408, 10944, 102400, 0},
};

}  // namespace

std::vector<std::string> PresetNames() {
  std::vector<std::string> names;
  for (const Preset& preset : kPresets) names.emplace_back(preset.name);
  names.emplace_back("v3");
  return names;
}

ModelConfig PresetConfig(std::string_view name) {
  if (name == "v3") {
    ModelConfig config;
    config.yarn = YarnScaling{};
    return config;
  }
  for (const Preset& preset : kPresets) {
    if (name != preset.name) continue;
    ModelConfig config;
    config.vocab_size = preset.vocabulary;
    config.hidden_size = preset.hidden;
    config.num_hidden_layers = preset.layers;
    config.num_attention_heads = preset.heads;
    config.intermediate_size = preset.dense_inter;
    config.moe_intermediate_size = preset.expert_inter;
    config.first_k_dense_replace = 1;
    config.n_routed_experts = preset.experts;
    config.n_shared_experts = name == "lite8" ? 2 : 1;
    config.num_experts_per_tok = preset.top_k;
    config.n_group = 1;
    config.topk_group = 1;
    config.norm_topk_prob = true;
    config.routed_scaling_factor = 1.0;
    config.q_lora_rank = preset.q_lora;
    config.kv_lora_rank = preset.kv_lora;
    config.qk_nope_head_dim = preset.nope;
    config.qk_rope_head_dim = preset.rope;
    config.v_head_dim = preset.v;
    config.num_nextn_predict_layers = preset.mtp;
    config.max_position_embeddings = 4096;
    return config;
  }
  throw UsageError("preset", fmt::format("'{}' is not known", name),
                   fmt::format("the presets are {}", fmt::join(PresetNames(), ", ")));
}

}  // namespace fathom

#include <fmt/ranges.h>

#include "base/error.h"
#include "base/nearest.h"
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

// DeepSeek-V3's architecture at other sizes: one dense layer, one shared expert of the routed size,
// sigmoid gate with bias, no groups, no YaRN. lite8 has the shape of V2-Lite's first 8 layers (two
// shared experts, direct queries) with V3's gate.
constexpr Preset kPresets[] = {
    {"nano", 256, 6, 4, 96, 64, 32, 16, 32, 16, 2, 128, 704, 4096, 1},
    {"small", 384, 8, 6, 192, 128, 64, 32, 64, 16, 4, 192, 1024, 8192, 1},
    {"base", 768, 12, 12, 384, 256, 64, 32, 64, 32, 6, 256, 2048, 16384, 1},
    {"tiny8", 512, 8, 8, 0, 128, 64, 32, 64, 32, 4, 256, 1408, 8192, 0},
    {"lite8", 2048, 8, 16, 0, 512, 128, 64, 128, 64, 6, 1408, 10944, 102400, 0},
};

ModelConfig DeepseekV3() {
  ModelConfig config;
  config.rope_scaling = YarnScaling{};
  return config;
}

// What V2 and V2-Lite have in common.
ModelConfig DeepseekV2() {
  ModelConfig config;
  config.family = Family::kDeepseekV2;
  config.vocab_size = 102400;
  config.first_k_dense_replace = 1;
  config.n_shared_experts = 2;
  config.num_experts_per_tok = 6;
  config.norm_topk_prob = false;
  config.num_nextn_predict_layers = 0;
  config.rope_scaling = YarnScaling{.mscale = 0.707, .mscale_all_dim = 0.707};
  config.bos_token_id = 100000;
  config.eos_token_ids = {100001};
  return config;
}

ModelConfig DeepseekV2Full() {
  ModelConfig config = DeepseekV2();
  config.hidden_size = 5120;
  config.num_hidden_layers = 60;
  config.intermediate_size = 12288;
  config.moe_intermediate_size = 1536;
  config.n_routed_experts = 160;
  config.topk_group = 3;
  config.routed_scaling_factor = 16;
  return config;
}

ModelConfig DeepseekV2Lite() {
  ModelConfig config = DeepseekV2();
  config.hidden_size = 2048;
  config.num_hidden_layers = 27;
  config.num_attention_heads = 16;
  config.intermediate_size = 10944;
  config.moe_intermediate_size = 1408;
  config.n_routed_experts = 64;
  config.n_group = 1;
  config.topk_group = 1;
  config.routed_scaling_factor = 1;
  config.q_lora_rank = 0;
  return config;
}

}  // namespace

std::vector<std::string> PresetNames() {
  std::vector<std::string> names;
  for (const Preset& preset : kPresets) names.emplace_back(preset.name);
  for (const char* published : {"v2-lite", "v2", "v3"}) names.emplace_back(published);
  return names;
}

ModelConfig PresetConfig(std::string_view name) {
  if (name == "v3") return DeepseekV3();
  if (name == "v2") return DeepseekV2Full();
  if (name == "v2-lite") return DeepseekV2Lite();
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
  const std::vector<std::string> names = PresetNames();
  throw UsageError("preset", fmt::format("'{}' is not known", name),
                   NearestHint(name, {names.begin(), names.end()},
                               fmt::format("the presets are {}", fmt::join(names, ", "))));
}

}  // namespace fathom

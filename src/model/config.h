#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fathom {

// YaRN (Peng et al., arXiv 2309.00071) as DeepSeek-V3's config.json writes it under "rope_scaling".
struct YarnScaling {
  double factor = 40;
  double beta_fast = 32;
  double beta_slow = 1;
  int64_t original_max_position_embeddings = 4096;
  double mscale = 1;
  double mscale_all_dim = 1;
};

// The architecture, field by field as in the Hugging Face config.json of DeepSeek-V3; defaults are
// that file's.
struct ModelConfig {
  int64_t vocab_size = 129280;
  int64_t hidden_size = 7168;
  int64_t num_hidden_layers = 61;
  int64_t num_attention_heads = 128;
  int64_t intermediate_size = 18432;     // of the leading dense layers
  int64_t moe_intermediate_size = 2048;  // of one routed expert
  int64_t first_k_dense_replace = 3;
  int64_t n_routed_experts = 256;
  int64_t n_shared_experts = 1;  // one MLP of width n_shared_experts * moe_intermediate_size
  int64_t num_experts_per_tok = 8;
  int64_t n_group = 8;
  int64_t topk_group = 4;
  bool norm_topk_prob = true;
  double routed_scaling_factor = 2.5;
  int64_t q_lora_rank = 1536;  // 0 (null in the file): one q_proj
  int64_t kv_lora_rank = 512;
  int64_t qk_nope_head_dim = 128;
  int64_t qk_rope_head_dim = 64;
  int64_t v_head_dim = 128;
  int64_t num_nextn_predict_layers = 1;  // MTP modules
  double rms_norm_eps = 1e-6;
  int64_t max_position_embeddings = 163840;
  double rope_theta = 10000;
  std::optional<YarnScaling> yarn;
  double initializer_range = 0.02;
  int64_t bos_token_id = 0;
  int64_t eos_token_id = 1;

  // Reads a config.json with model_type "deepseek_v3". Throws Error when a field is missing or
  // impossible, or asks for mathematics that is not supported; `where` names the file.
  static ModelConfig FromJson(std::string_view text, std::string_view where);
  // The config.json of this model, as transformers reads it; dtype is "float32" or "bfloat16", the
  // weights' type.
  std::string ToJson(std::string_view dtype) const;
  // Throws Error when the fields contradict each other.
  void Validate(std::string_view where) const;

  int64_t qk_head_dim() const { return qk_nope_head_dim + qk_rope_head_dim; }
  // One row of the cache: the latent and the shared rotary key.
  int64_t latent_dim() const { return kv_lora_rank + qk_rope_head_dim; }
  bool IsMoeLayer(int64_t layer) const {
    return n_routed_experts > 0 && layer >= first_k_dense_replace;
  }
  // Layers with MTP modules counted in: module k is layer num_hidden_layers + k, as the released
  // weights name it.
  int64_t total_layers() const { return num_hidden_layers + num_nextn_predict_layers; }
};

// nano, small, base, tiny8 and v3 (docs/architecture.md). Throws UsageError that lists them for
// another name.
ModelConfig PresetConfig(std::string_view name);
std::vector<std::string> PresetNames();

}  // namespace fathom

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "ops/rope_layout.h"

namespace fathom {

// Architectures, by model_type of config.json. The DeepSeek families have latent attention and
// experts, the others grouped-query attention and dense layers.
enum class Family : uint8_t {
  kDeepseekV3,  // "deepseek_v3": sigmoid gate with a selection bias; V3, R1
  kDeepseekV2,  // "deepseek_v2": softmax gate; V2, V2-Lite, V2.5
  kQwen2,       // "qwen2": bias on queries, keys and values; Qwen2.5, R1-Distill-Qwen
  kLlama,       // "llama": Llama 3, R1-Distill-Llama
};
// As model_type spells it.
std::string_view Name(Family family);

// What a model says of a text: which token comes next, or one number (a reward model's score).
enum class ModelHead : uint8_t { kLanguage, kScore };

// YaRN (Peng et al., arXiv 2309.00071) as config.json writes it under "rope_scaling".
struct YarnScaling {
  double factor = 40;
  double beta_fast = 32;
  double beta_slow = 1;
  int64_t original_max_position_embeddings = 4096;
  double mscale = 1;
  double mscale_all_dim = 1;               // 0: as if neither of the two were given
  std::optional<double> attention_factor;  // multiplies cosines and sines instead of what follows
                                           // from the others
};

// Llama 3.1's: frequencies whose wavelength does not fit low_freq_factor times into the original
// context are divided by `factor`, those that fit high_freq_factor times are kept, and those
// between are blended.
struct Llama3Scaling {
  double factor = 8;
  double low_freq_factor = 1;
  double high_freq_factor = 4;
  int64_t original_max_position_embeddings = 8192;
};

// std::monostate: plain rotary embedding.
using RopeScaling = std::variant<std::monostate, YarnScaling, Llama3Scaling>;

// Weights in blocks of 128 x 128 e4m3 numbers with one scale each, as quantization_config of
// DeepSeek-V3 says (quant_method fp8, fmt e4m3, activation_scheme dynamic).
struct Fp8Blocks {
  static constexpr int64_t kRows = 128, kColumns = 128;
  bool power_of_two_scales = false;  // scale_fmt "ue8m0"
};

// The architecture. Fields are named as in the Hugging Face config.json; defaults are those of
// DeepSeek-V3.
struct ModelConfig {
  Family family = Family::kDeepseekV3;
  int64_t vocab_size = 129280;
  int64_t hidden_size = 7168;
  int64_t num_hidden_layers = 61;
  int64_t num_attention_heads = 128;
  int64_t intermediate_size = 18432;  // of dense layers
  double rms_norm_eps = 1e-6;
  int64_t max_position_embeddings = 163840;
  double rope_theta = 10000;
  RopeScaling rope_scaling;
  RopeLayout rope_layout = RopeLayout::kInterleaved;
  bool tie_word_embeddings = false;  // the head's matrix is the embedding
  double initializer_range = 0.02;
  int64_t bos_token_id = 0;                  // -1: none
  std::vector<int64_t> eos_token_ids = {1};  // a text ends at any of them
  std::optional<Fp8Blocks> fp8_blocks;       // how the file at hand stores its weights
  // Of transformers' ...ForSequenceClassification: how many numbers the head `score` [num_labels,
  // hidden], in place of lm_head, makes of a text's last token. 0: a language model. Else 1.
  int64_t num_labels = 0;

  // Experts (DeepSeek).
  int64_t moe_intermediate_size = 2048;  // of one routed expert
  int64_t first_k_dense_replace = 3;     // leading dense layers
  int64_t n_routed_experts = 256;
  int64_t n_shared_experts = 1;  // one MLP of width n_shared_experts * moe_intermediate_size
  int64_t num_experts_per_tok = 8;
  int64_t n_group = 8;
  int64_t topk_group = 4;
  bool norm_topk_prob = true;
  double routed_scaling_factor = 2.5;
  int64_t num_nextn_predict_layers = 1;  // MTP modules

  // Latent attention (DeepSeek).
  int64_t q_lora_rank = 1536;  // 0 (null in the file): one q_proj
  int64_t kv_lora_rank = 512;
  int64_t qk_nope_head_dim = 128;
  int64_t qk_rope_head_dim = 64;
  int64_t v_head_dim = 128;

  // Grouped-query attention (Qwen2, Llama).
  int64_t num_key_value_heads = 0;
  int64_t head_dim = 0;
  bool attention_bias = false;  // of the query, key and value projections

  // Reads a config.json of any family above. Throws Error when a field is missing or impossible, or
  // asks for mathematics that is not supported; `where` names the file.
  static ModelConfig FromJson(std::string_view text, std::string_view where);
  // The config.json of this model, as transformers reads it. dtype is the weights' type, "float32"
  // or "bfloat16"; fp8_blocks is not written (a directory's writer knows what it wrote).
  std::string ToJson(std::string_view dtype) const;
  // Throws Error when the fields contradict each other.
  void Validate(std::string_view where) const;

  ModelHead head() const { return num_labels > 0 ? ModelHead::kScore : ModelHead::kLanguage; }
  // Throws Error when it has another head; `where` names the model.
  void RequireHead(ModelHead wanted, std::string_view where) const;
  // What the head multiplies with; the embedding where the two are tied.
  std::string_view head_parameter() const {
    return num_labels > 0        ? "score.weight"
           : tie_word_embeddings ? "model.embed_tokens.weight"
                                 : "lm_head.weight";
  }

  bool latent_attention() const {
    return family == Family::kDeepseekV3 || family == Family::kDeepseekV2;
  }
  // Whether routers choose with a bias that balancing moves (e_score_correction_bias).
  bool has_router_bias() const { return family == Family::kDeepseekV3; }

  // Of one head: what a query is multiplied with, what attention returns, and what is rotated.
  int64_t qk_dim() const {
    return latent_attention() ? qk_nope_head_dim + qk_rope_head_dim : head_dim;
  }
  int64_t v_dim() const { return latent_attention() ? v_head_dim : head_dim; }
  int64_t rope_dim() const { return latent_attention() ? qk_rope_head_dim : head_dim; }
  // Latent attention: the latent and the shared rotary key.
  int64_t latent_dim() const { return kv_lora_rank + qk_rope_head_dim; }
  // One token's row of a layer's cache: a latent row, or keys and values of every kv head.
  int64_t cache_row_dim() const {
    return latent_attention() ? latent_dim() : 2 * num_key_value_heads * head_dim;
  }
  bool IsMoeLayer(int64_t layer) const {
    return n_routed_experts > 0 && layer >= first_k_dense_replace;
  }
  // Layers with MTP modules counted in: module k is layer num_hidden_layers + k, as the released
  // weights name it.
  int64_t total_layers() const { return num_hidden_layers + num_nextn_predict_layers; }
};

// nano, small, base, tiny8, lite8 (their sizes: presets.cc), v2-lite, v2 and v3 (as published).
// Throws UsageError that lists them for another name.
ModelConfig PresetConfig(std::string_view name);
std::vector<std::string> PresetNames();

}  // namespace fathom

#pragma once

// Released checkpoints as their files describe themselves: configuration, and the name, shape and
// type of every tensor. Written from what was published about them, not from what Fathom expects.

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

namespace fathom::test {

struct PublishedTensor {
  std::string name, type;
  std::vector<int64_t> shape;
};

struct PublishedCheckpoint {
  std::string name;
  std::string config;  // config.json
  int shards;
  std::vector<PublishedTensor> tensors;
};

// Collects the tensors of one checkpoint.
class TensorList {
 public:
  void Add(const std::string& name, const std::string& type, std::vector<int64_t> shape) {
    tensors_.push_back({name, type, std::move(shape)});
  }
  void Bf16(const std::string& name, std::vector<int64_t> shape) {
    Add(name, "BF16", std::move(shape));
  }
  // A projection: bf16, or FP8 with its scales.
  void Projection(const std::string& name, int64_t rows, int64_t columns, bool fp8) {
    if (!fp8) {
      Bf16(name + ".weight", {rows, columns});
      return;
    }
    Add(name + ".weight", "F8_E4M3", {rows, columns});
    Add(name + ".weight_scale_inv", "F32", {(rows + 127) / 128, (columns + 127) / 128});
  }
  void Mlp(const std::string& prefix, int64_t hidden, int64_t width, bool fp8) {
    Projection(prefix + "gate_proj", width, hidden, fp8);
    Projection(prefix + "up_proj", width, hidden, fp8);
    Projection(prefix + "down_proj", hidden, width, fp8);
  }
  std::vector<PublishedTensor> Take() { return std::move(tensors_); }

 private:
  std::vector<PublishedTensor> tensors_;
};

// Sizes of the DeepSeek-V2 and -V3 families.
struct DeepSeekSizes {
  int64_t hidden, heads, q_lora;  // q_lora 0: one q_proj
  int64_t dense_layers, layers, dense_width;
  int64_t experts, expert_width, shared_width, vocabulary;
  bool v3;  // FP8, router biases, an MTP layer
};

inline std::vector<PublishedTensor> DeepSeekTensors(const DeepSeekSizes& s) {
  TensorList list;
  list.Bf16("model.embed_tokens.weight", {s.vocabulary, s.hidden});
  const auto layer = [&](int64_t index) {
    const std::string prefix = "model.layers." + std::to_string(index) + ".";
    const std::string attention = prefix + "self_attn.";
    if (s.q_lora > 0) {
      list.Projection(attention + "q_a_proj", s.q_lora, s.hidden, s.v3);
      list.Bf16(attention + "q_a_layernorm.weight", {s.q_lora});
      list.Projection(attention + "q_b_proj", s.heads * 192, s.q_lora, s.v3);
    } else {
      list.Projection(attention + "q_proj", s.heads * 192, s.hidden, s.v3);
    }
    list.Projection(attention + "kv_a_proj_with_mqa", 576, s.hidden, s.v3);
    list.Bf16(attention + "kv_a_layernorm.weight", {512});
    list.Projection(attention + "kv_b_proj", s.heads * 256, 512, s.v3);
    list.Projection(attention + "o_proj", s.hidden, s.heads * 128, s.v3);
    list.Bf16(prefix + "input_layernorm.weight", {s.hidden});
    list.Bf16(prefix + "post_attention_layernorm.weight", {s.hidden});
    if (index < s.dense_layers) {
      list.Mlp(prefix + "mlp.", s.hidden, s.dense_width, s.v3);
      return;
    }
    list.Bf16(prefix + "mlp.gate.weight", {s.experts, s.hidden});
    if (s.v3) list.Add(prefix + "mlp.gate.e_score_correction_bias", "F32", {s.experts});
    for (int64_t e = 0; e < s.experts; ++e) {
      list.Mlp(prefix + "mlp.experts." + std::to_string(e) + ".", s.hidden, s.expert_width, s.v3);
    }
    list.Mlp(prefix + "mlp.shared_experts.", s.hidden, s.shared_width, s.v3);
  };
  for (int64_t index = 0; index < s.layers; ++index) layer(index);
  list.Bf16("model.norm.weight", {s.hidden});
  list.Bf16("lm_head.weight", {s.vocabulary, s.hidden});
  if (s.v3) {
    layer(s.layers);
    const std::string prefix = "model.layers." + std::to_string(s.layers) + ".";
    list.Bf16(prefix + "embed_tokens.weight", {s.vocabulary, s.hidden});
    list.Bf16(prefix + "enorm.weight", {s.hidden});
    list.Bf16(prefix + "hnorm.weight", {s.hidden});
    list.Bf16(prefix + "eh_proj.weight", {s.hidden, 2 * s.hidden});
    list.Bf16(prefix + "shared_head.norm.weight", {s.hidden});
    list.Bf16(prefix + "shared_head.head.weight", {s.vocabulary, s.hidden});
  }
  return list.Take();
}

// Qwen2 (bias on queries, keys and values) and Llama.
struct GroupedSizes {
  int64_t hidden, width, layers, heads, kv_heads, head_dim, vocabulary;
  bool bias, tied;
};

inline std::vector<PublishedTensor> GroupedTensors(const GroupedSizes& s) {
  TensorList list;
  list.Bf16("model.embed_tokens.weight", {s.vocabulary, s.hidden});
  for (int64_t index = 0; index < s.layers; ++index) {
    const std::string prefix = "model.layers." + std::to_string(index) + ".";
    for (const auto& [name, heads] :
         {std::pair{"q_proj", s.heads}, {"k_proj", s.kv_heads}, {"v_proj", s.kv_heads}}) {
      list.Bf16(prefix + "self_attn." + name + ".weight", {heads * s.head_dim, s.hidden});
      if (s.bias) list.Bf16(prefix + "self_attn." + name + ".bias", {heads * s.head_dim});
    }
    list.Bf16(prefix + "self_attn.o_proj.weight", {s.hidden, s.heads * s.head_dim});
    list.Mlp(prefix + "mlp.", s.hidden, s.width, false);
    list.Bf16(prefix + "input_layernorm.weight", {s.hidden});
    list.Bf16(prefix + "post_attention_layernorm.weight", {s.hidden});
  }
  list.Bf16("model.norm.weight", {s.hidden});
  if (!s.tied) list.Bf16("lm_head.weight", {s.vocabulary, s.hidden});
  return list.Take();
}

inline PublishedCheckpoint DeepSeekV3() {
  return {"DeepSeek-V3", R"({"architectures": ["DeepseekV3ForCausalLM"], "attention_bias": false,
"attention_dropout": 0.0, "auto_map": {"AutoConfig": "configuration_deepseek.DeepseekV3Config"},
"bos_token_id": 0, "eos_token_id": 1, "ep_size": 1, "first_k_dense_replace": 3, "hidden_act": "silu",
"hidden_size": 7168, "initializer_range": 0.02, "intermediate_size": 18432, "kv_lora_rank": 512,
"max_position_embeddings": 163840, "model_type": "deepseek_v3", "moe_intermediate_size": 2048,
"moe_layer_freq": 1, "n_group": 8, "n_routed_experts": 256, "n_shared_experts": 1,
"norm_topk_prob": true, "num_attention_heads": 128, "num_experts_per_tok": 8,
"num_hidden_layers": 61, "num_key_value_heads": 128, "num_nextn_predict_layers": 1,
"q_lora_rank": 1536, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64,
"quantization_config": {"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8",
"weight_block_size": [128, 128]}, "rms_norm_eps": 1e-06, "rope_scaling": {"beta_fast": 32,
"beta_slow": 1, "factor": 40, "mscale": 1.0, "mscale_all_dim": 1.0,
"original_max_position_embeddings": 4096, "type": "yarn"}, "rope_theta": 10000,
"routed_scaling_factor": 2.5, "scoring_func": "sigmoid", "tie_word_embeddings": false,
"topk_group": 4, "topk_method": "noaux_tc", "torch_dtype": "bfloat16", "use_cache": true,
"v_head_dim": 128, "vocab_size": 129280})",
          163, DeepSeekTensors({7168, 128, 1536, 3, 61, 18432, 256, 2048, 2048, 129280, true})};
}

inline PublishedCheckpoint DeepSeekV2Lite() {
  return {"DeepSeek-V2-Lite", R"({"architectures": ["DeepseekV2ForCausalLM"],
"attention_bias": false, "attention_dropout": 0.0, "aux_loss_alpha": 0.001, "bos_token_id": 100000,
"eos_token_id": 100001, "first_k_dense_replace": 1, "hidden_act": "silu", "hidden_size": 2048,
"initializer_range": 0.02, "intermediate_size": 10944, "kv_lora_rank": 512,
"max_position_embeddings": 163840, "model_type": "deepseek_v2", "moe_intermediate_size": 1408,
"moe_layer_freq": 1, "n_group": 1, "n_routed_experts": 64, "n_shared_experts": 2,
"norm_topk_prob": false, "num_attention_heads": 16, "num_experts_per_tok": 6,
"num_hidden_layers": 27, "num_key_value_heads": 16, "pretraining_tp": 1, "q_lora_rank": null,
"qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "rms_norm_eps": 1e-06, "rope_scaling": {
"beta_fast": 32, "beta_slow": 1, "factor": 40, "mscale": 0.707, "mscale_all_dim": 0.707,
"original_max_position_embeddings": 4096, "type": "yarn"}, "rope_theta": 10000,
"routed_scaling_factor": 1.0, "scoring_func": "softmax", "seq_aux": true,
"tie_word_embeddings": false, "topk_group": 1, "topk_method": "greedy", "torch_dtype": "bfloat16",
"use_cache": true, "v_head_dim": 128, "vocab_size": 102400})",
          4, DeepSeekTensors({2048, 16, 0, 1, 27, 10944, 64, 1408, 2816, 102400, false})};
}

inline PublishedCheckpoint DeepSeekV2() {
  return {"DeepSeek-V2", R"({"architectures": ["DeepseekV2ForCausalLM"], "attention_bias": false,
"attention_dropout": 0.0, "aux_loss_alpha": 0.001, "bos_token_id": 100000, "eos_token_id": 100001,
"ep_size": 1, "first_k_dense_replace": 1, "hidden_act": "silu", "hidden_size": 5120,
"initializer_range": 0.02, "intermediate_size": 12288, "kv_lora_rank": 512,
"max_position_embeddings": 163840, "model_type": "deepseek_v2", "moe_intermediate_size": 1536,
"moe_layer_freq": 1, "n_group": 8, "n_routed_experts": 160, "n_shared_experts": 2,
"norm_topk_prob": false, "num_attention_heads": 128, "num_experts_per_tok": 6,
"num_hidden_layers": 60, "num_key_value_heads": 128, "pretraining_tp": 1, "q_lora_rank": 1536,
"qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "rms_norm_eps": 1e-06, "rope_scaling": {
"beta_fast": 32, "beta_slow": 1, "factor": 40, "mscale": 0.707, "mscale_all_dim": 0.707,
"original_max_position_embeddings": 4096, "type": "yarn"}, "rope_theta": 10000,
"routed_scaling_factor": 16.0, "scoring_func": "softmax", "seq_aux": true,
"tie_word_embeddings": false, "topk_group": 3, "topk_method": "group_limited_greedy",
"torch_dtype": "bfloat16", "use_cache": true, "v_head_dim": 128, "vocab_size": 102400})",
          55, DeepSeekTensors({5120, 128, 1536, 1, 60, 12288, 160, 1536, 3072, 102400, false})};
}

inline std::string Number(int64_t value) { return std::to_string(value); }

inline PublishedCheckpoint Qwen2(const std::string& name, const GroupedSizes& s, int shards,
                                 const std::string& rope_theta) {
  const std::string config =
      R"({"architectures": ["Qwen2ForCausalLM"], "attention_dropout": 0.0, "bos_token_id": 151643,
"eos_token_id": 151643, "hidden_act": "silu", "hidden_size": )" +
      Number(s.hidden) + R"(, "initializer_range": 0.02, "intermediate_size": )" + Number(s.width) +
      R"(, "max_position_embeddings": 131072, "max_window_layers": )" + Number(s.layers) +
      R"(, "model_type": "qwen2", "num_attention_heads": )" + Number(s.heads) +
      R"(, "num_hidden_layers": )" + Number(s.layers) + R"(, "num_key_value_heads": )" +
      Number(s.kv_heads) + R"(, "rms_norm_eps": 1e-06, "rope_theta": )" + rope_theta +
      R"(, "sliding_window": 4096, "tie_word_embeddings": )" + (s.tied ? "true" : "false") +
      R"(, "torch_dtype": "bfloat16", "use_cache": true, "use_mrope": false,
"use_sliding_window": false, "vocab_size": )" +
      Number(s.vocabulary) + "}";
  return {name, config, shards, GroupedTensors(s)};
}

inline PublishedCheckpoint Llama3(const std::string& name, const GroupedSizes& s, int shards,
                                  const std::string& rope_factor) {
  const std::string config =
      R"({"architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
"bos_token_id": 128000, "eos_token_id": 128001, "head_dim": )" +
      Number(s.head_dim) + R"(, "hidden_act": "silu", "hidden_size": )" + Number(s.hidden) +
      R"(, "initializer_range": 0.02, "intermediate_size": )" + Number(s.width) +
      R"(, "max_position_embeddings": 131072, "mlp_bias": false, "model_type": "llama",
"num_attention_heads": )" +
      Number(s.heads) + R"(, "num_hidden_layers": )" + Number(s.layers) +
      R"(, "num_key_value_heads": )" + Number(s.kv_heads) +
      R"(, "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_scaling": {"factor": )" + rope_factor +
      R"(, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
"original_max_position_embeddings": 8192, "rope_type": "llama3"}, "rope_theta": 500000.0,
"tie_word_embeddings": )" +
      (s.tied ? "true" : "false") +
      R"(, "torch_dtype": "bfloat16", "use_cache": true, "vocab_size": )" + Number(s.vocabulary) +
      "}";
  return {name, config, shards, GroupedTensors(s)};
}

// Writes config.json, the headers and, where there are several files, the index; the weights are
// holes of the right size, which take no disk.
inline void WriteHeaders(const PublishedCheckpoint& checkpoint,
                         const std::filesystem::path& directory) {
  std::ofstream(directory / "config.json") << checkpoint.config;
  std::string index = R"({"metadata": {"total_size": 0}, "weight_map": {)";
  const auto count = checkpoint.tensors.size();
  const auto shards = static_cast<size_t>(checkpoint.shards);
  for (size_t shard = 0; shard < shards; ++shard) {
    char file_name[64];
    std::snprintf(file_name, sizeof(file_name), "model-%05zu-of-%06zu.safetensors", shard + 1,
                  shards);
    if (shards == 1) std::snprintf(file_name, sizeof(file_name), "model.safetensors");
    std::string header = R"({"__metadata__":{"format":"pt"})";
    uint64_t offset = 0;
    for (size_t i = count * shard / shards; i < count * (shard + 1) / shards; ++i) {
      const PublishedTensor& tensor = checkpoint.tensors[i];
      uint64_t bytes = tensor.type == "F32" ? 4 : tensor.type == "BF16" ? 2 : 1;
      std::string shape;
      for (const int64_t dim : tensor.shape) {
        bytes *= static_cast<uint64_t>(dim);
        shape += (shape.empty() ? "" : ",") + Number(dim);
      }
      header += ",\"" + tensor.name + R"(":{"dtype":")" + tensor.type + R"(","shape":[)" + shape +
                R"(],"data_offsets":[)" + std::to_string(offset) + "," +
                std::to_string(offset + bytes) + "]}";
      offset += bytes;
      index += (i == 0 ? "\"" : ",\"") + tensor.name + "\":\"" + file_name + "\"";
    }
    header += "}";
    header.resize((header.size() + 7) / 8 * 8, ' ');
    const uint64_t length = header.size();
    std::ofstream file(directory / file_name, std::ios::binary);
    file.write(reinterpret_cast<const char*>(&length), sizeof(length));
    file << header;
    file.close();
    std::filesystem::resize_file(directory / file_name, sizeof(length) + length + offset);
  }
  if (shards > 1) std::ofstream(directory / "model.safetensors.index.json") << index << "}}";
}

}  // namespace fathom::test

#include "infer/roofline.h"

#include <cmath>
#include <map>

#include "model/kv_cache.h"

namespace fathom {

double ForwardFloor::WeightBytes(int64_t tokens) const {
  double read = dense_bytes + head_bytes;
  if (experts > 0) {
    read += expert_bytes * (1 - std::pow(1 - chosen / experts, static_cast<double>(tokens)));
  }
  return read;
}

double ForwardFloor::CacheBytes(int64_t depth) const {
  return cache_row_bytes * static_cast<double>(depth);
}

double ForwardFloor::PromptFlops(int64_t depth) const {
  return weight_flops + attention_flops_per_key * static_cast<double>(depth);
}

ForwardFloor FloorOf(const ModelConfig& config, Precision precision, CacheFormat format,
                     const ParameterStore& store) {
  ForwardFloor floor;
  std::map<DType, double> bytes_in;
  const std::string head =
      config.tie_word_embeddings ? "model.embed_tokens.weight" : "lm_head.weight";
  floor.experts = static_cast<double>(config.n_routed_experts);
  floor.chosen = static_cast<double>(config.num_experts_per_tok);
  for (const auto& parameter : store.all()) {
    const ParameterSpec& spec = parameter->spec;
    if (spec.kind != ParameterKind::kMatrix || spec.layer >= config.num_hidden_layers) continue;
    const bool is_head = spec.name == head;
    if (spec.name == "model.embed_tokens.weight" && !is_head) continue;
    const auto elements = static_cast<double>(spec.shape.elements());
    DType type = precision.projection;
    double bytes = elements * static_cast<double>(SizeOf(precision.act));
    if (type == DType::kBF16 && parameter->value.empty() && parameter->stored != nullptr) {
      if (const auto code = parameter->stored->CodeType(0, spec.shape[0], false)) {
        type = *code;
        bytes = static_cast<double>(parameter->stored->bytes());
      } else if (spec.name.ends_with("kv_b_proj.weight")) {
        bytes = static_cast<double>(parameter->stored->bytes());  // of its halves
      }
    }
    (is_head            ? floor.head_bytes
     : spec.expert >= 0 ? floor.expert_bytes
                        : floor.dense_bytes) += bytes;
    const double used = spec.expert >= 0 ? floor.chosen / floor.experts : 1;
    bytes_in[type] += bytes * used;
    if (!is_head) floor.weight_flops += 2 * elements * used;
  }
  for (const auto& [type, bytes] : bytes_in) {
    if (bytes > bytes_in[floor.weights]) floor.weights = type;
  }
  const auto layers = static_cast<double>(config.num_hidden_layers);
  floor.cache_row_bytes = static_cast<double>(KvCache::BytesPerToken(config, precision, format));
  const auto keys = static_cast<double>(
      config.latent_attention() ? config.latent_dim() + config.kv_lora_rank : 2 * config.head_dim);
  floor.attention_flops_per_key =
      2 * layers * static_cast<double>(config.num_attention_heads) * keys;
  return floor;
}

}  // namespace fathom

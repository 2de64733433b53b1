#include "infer/roofline.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "model/kv_cache.h"

namespace fathom {

double ForwardFloor::ShareOfExperts(int64_t tokens) const {
  return experts > 0 ? 1 - std::pow(1 - chosen / experts, static_cast<double>(tokens)) : 0;
}

double ForwardFloor::WeightBytes(int64_t tokens) const {
  return dense_bytes + head_bytes + expert_bytes * ShareOfExperts(tokens);
}

double ForwardFloor::MtpBytes(int64_t tokens) const {
  return mtp_dense_bytes + head_bytes + mtp_expert_bytes * ShareOfExperts(tokens);
}

double ForwardFloor::DraftedOverPlainBytes(int64_t sequences, int64_t drafts, int64_t depth) const {
  const auto guesses = static_cast<double>(drafts);
  const double cached = static_cast<double>(sequences) * static_cast<double>(depth);
  const double plain = WeightBytes(sequences) + cached * cache_row_bytes;
  // The module runs over what was drawn (at least a token a sequence), then over each guess but the
  // last one.
  const double drafted = WeightBytes(sequences * (1 + drafts)) + cached * cache_row_bytes +
                         guesses * (MtpBytes(sequences) + cached * mtp_row_bytes);
  return drafted / plain;
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
  const std::string head(config.head_parameter());
  floor.experts = static_cast<double>(config.n_routed_experts);
  floor.chosen = static_cast<double>(config.num_experts_per_tok);
  for (const auto& parameter : store.all()) {
    const ParameterSpec& spec = parameter->spec;
    const int64_t modules = std::min<int64_t>(1, config.num_nextn_predict_layers);
    if (spec.kind != ParameterKind::kMatrix || spec.layer >= config.num_hidden_layers + modules) {
      continue;
    }
    const bool mtp = spec.layer >= config.num_hidden_layers;
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
    if (mtp) {
      (spec.expert >= 0 ? floor.mtp_expert_bytes : floor.mtp_dense_bytes) += bytes;
      continue;
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
  floor.mtp_row_bytes = static_cast<double>(KvCache::BytesPerToken(config, precision, format)) /
                        static_cast<double>(config.total_layers());
  floor.cache_row_bytes = layers * floor.mtp_row_bytes;
  const auto keys = static_cast<double>(
      config.latent_attention() ? config.latent_dim() + config.kv_lora_rank : 2 * config.head_dim);
  floor.attention_flops_per_key =
      2 * layers * static_cast<double>(config.num_attention_heads) * keys;
  return floor;
}

}  // namespace fathom

#include "plan/architecture.h"

#include <algorithm>

#include "base/error.h"
#include "plan/divisors.h"

namespace fathom {
namespace {

// "model.layers.3.mlp.experts.17.up_proj.weight" -> "mlp.experts.up_proj"
std::string NameInLayer(const ParameterSpec& spec) {
  std::string name = spec.name;
  const auto cut = [&](const std::string& part, const std::string& by) {
    const size_t at = name.find(part);
    if (at != std::string::npos) name.replace(at, part.size(), by);
  };
  cut(fmt::format("model.layers.{}.", spec.layer), "");
  if (spec.expert >= 0) cut(fmt::format(".{}.", spec.expert), ".");
  cut(".weight", "");
  return name;
}

void AddToLayer(const ParameterSpec& spec, const ModelConfig& config, LayerShape& layer) {
  const int64_t size = spec.shape.elements();
  layer.parameters += size;
  if (spec.expert >= 0) {
    layer.moe = true;
    layer.routed_parameters += size;
  }
  // Experts are all of one shape: the first stands for them.
  if (spec.kind != ParameterKind::kMatrix || spec.expert > 0) return;
  const bool routed = spec.expert == 0;
  layer.products.push_back({.name = NameInLayer(spec),
                            .rows = spec.shape[0],
                            .columns = spec.shape[1],
                            .copies = routed ? config.n_routed_experts : 1,
                            .uses_per_token = routed ? config.num_experts_per_tok : 1});
}

Flops ProductFlops(const LayerShape& layer) {
  Flops flops;
  for (const MatrixProduct& product : layer.products) flops += product.forward_flops();
  return flops;
}

}  // namespace

Flops MatrixProduct::forward_flops() const {
  return Flops(2.0 * static_cast<double>(rows) * static_cast<double>(columns) *
               static_cast<double>(uses_per_token));
}

Architecture DescribeArchitecture(const ModelConfig& config) {
  Architecture architecture{.config = config, .counts = CountParameters(config)};
  architecture.layers.resize(static_cast<size_t>(config.num_hidden_layers));
  architecture.mtp.resize(static_cast<size_t>(config.num_nextn_predict_layers));
  for (const ParameterSpec& spec : ParameterSpecs(config)) {
    if (spec.layer < 0) continue;
    LayerShape& layer =
        spec.layer < config.num_hidden_layers
            ? architecture.layers[static_cast<size_t>(spec.layer)]
            : architecture.mtp[static_cast<size_t>(spec.layer - config.num_hidden_layers)];
    AddToLayer(spec, config, layer);
  }
  for (size_t i = 0; i < architecture.layers.size(); ++i) {
    const LayerShape& layer = architecture.layers[i];
    const auto alike = [&](const auto& group) {
      const LayerShape& first = architecture.layers[group.first];
      return first.moe == layer.moe && first.parameters == layer.parameters &&
             first.products.size() == layer.products.size();
    };
    const auto found = std::find_if(architecture.groups.begin(), architecture.groups.end(), alike);
    if (found == architecture.groups.end()) {
      architecture.groups.emplace_back(i, 1);
    } else {
      ++found->second;
    }
  }
  architecture.head = {.name = "lm_head",
                       .rows = config.num_labels > 0 ? config.num_labels : config.vocab_size,
                       .columns = config.hidden_size};
  return architecture;
}

Flops AttentionFlopsPerKey(const ModelConfig& config, AttentionForm form) {
  const int64_t width = form == AttentionForm::kAbsorbed && config.latent_attention()
                            ? config.latent_dim() + config.kv_lora_rank
                            : config.qk_dim() + config.v_dim();
  return Flops(2.0 * static_cast<double>(config.num_attention_heads * width));
}

TokenFlops ForwardFlops(const Architecture& architecture, int64_t length, Masking masking,
                        AttentionForm form, bool with_mtp) {
  Flops products = architecture.head.forward_flops();
  for (const LayerShape& layer : architecture.layers) products += ProductFlops(layer);
  size_t layers = architecture.layers.size();
  if (with_mtp) {
    layers += architecture.mtp.size();
    for (const LayerShape& layer : architecture.mtp) {
      // A module runs the head once more.
      products += ProductFlops(layer) + architecture.head.forward_flops();
    }
  }
  const double keys = masking == Masking::kCausal ? static_cast<double>(length + 1) / 2
                                                  : static_cast<double>(length);
  const Flops attention =
      AttentionFlopsPerKey(architecture.config, form) * (keys * static_cast<double>(layers));
  return {.products = products / Tokens(1), .attention = attention / Tokens(1)};
}

TokenFlops TrainingFlops(const Architecture& architecture, int64_t length, Masking masking,
                         bool with_mtp) {
  const TokenFlops forward =
      ForwardFlops(architecture, length, masking, AttentionForm::kExpanded, with_mtp);
  return {.products = 3 * forward.products, .attention = 3 * forward.attention};
}

BytesPerToken CacheBytes(const ModelConfig& config, double bits) {
  return Bytes(static_cast<double>(config.num_hidden_layers * config.cache_row_dim()) * bits / 8) /
         Tokens(1);
}

ModelConfig WithGroupedQueryAttention(const ModelConfig& config, int64_t kv_heads) {
  if (kv_heads < 1 || config.num_attention_heads % kv_heads != 0) {
    throw UsageError("kv-heads",
                     fmt::format("{} heads cannot share {} key and value heads",
                                 config.num_attention_heads, kv_heads),
                     fmt::format("the nearest that fits is {}",
                                 NearestDivisor(config.num_attention_heads, kv_heads)));
  }
  ModelConfig variant = config;
  variant.head_dim = config.v_dim();
  variant.family = Family::kLlama;
  variant.num_key_value_heads = kv_heads;
  if (!config.latent_attention() && config.family == Family::kQwen2)
    variant.family = Family::kQwen2;
  return variant;
}

}  // namespace fathom

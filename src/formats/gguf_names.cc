#include "formats/gguf_names.h"

#include <fmt/format.h>

#include <charconv>
#include <span>

namespace fathom {
namespace {

struct Pair {
  std::string_view gguf, hugging_face;
};

constexpr Pair kModel[] = {
    {"token_embd.weight", "model.embed_tokens.weight"},
    {"output_norm.weight", "model.norm.weight"},
    {"output.weight", "lm_head.weight"},
};

constexpr Pair kLayer[] = {
    {"attn_norm.weight", "input_layernorm.weight"},
    {"ffn_norm.weight", "post_attention_layernorm.weight"},
    {"attn_q.weight", "self_attn.q_proj.weight"},
    {"attn_k.weight", "self_attn.k_proj.weight"},
    {"attn_v.weight", "self_attn.v_proj.weight"},
    {"attn_q.bias", "self_attn.q_proj.bias"},
    {"attn_k.bias", "self_attn.k_proj.bias"},
    {"attn_v.bias", "self_attn.v_proj.bias"},
    {"attn_output.weight", "self_attn.o_proj.weight"},
    {"attn_q_a.weight", "self_attn.q_a_proj.weight"},
    {"attn_q_a_norm.weight", "self_attn.q_a_layernorm.weight"},
    {"attn_q_b.weight", "self_attn.q_b_proj.weight"},
    {"attn_kv_a_mqa.weight", "self_attn.kv_a_proj_with_mqa.weight"},
    {"attn_kv_a_norm.weight", "self_attn.kv_a_layernorm.weight"},
    {"attn_kv_b.weight", "self_attn.kv_b_proj.weight"},
    {"ffn_gate.weight", "mlp.gate_proj.weight"},
    {"ffn_up.weight", "mlp.up_proj.weight"},
    {"ffn_down.weight", "mlp.down_proj.weight"},
    {"ffn_gate_inp.weight", "mlp.gate.weight"},
    {"exp_probs_b.bias", "mlp.gate.e_score_correction_bias"},
    {"ffn_gate_shexp.weight", "mlp.shared_experts.gate_proj.weight"},
    {"ffn_up_shexp.weight", "mlp.shared_experts.up_proj.weight"},
    {"ffn_down_shexp.weight", "mlp.shared_experts.down_proj.weight"},
    {"nextn.eh_proj.weight", "eh_proj.weight"},
    {"nextn.enorm.weight", "enorm.weight"},
    {"nextn.hnorm.weight", "hnorm.weight"},
    {"nextn.shared_head_norm.weight", "shared_head.norm.weight"},
    {"nextn.embed_tokens.weight", "embed_tokens.weight"},
    {"nextn.shared_head_head.weight", "shared_head.head.weight"},
};

constexpr std::string_view kGgufPrefix = "blk.";
constexpr std::string_view kHuggingFacePrefix = "model.layers.";

std::optional<LayerName> SplitLayer(std::string_view prefix, std::string_view name) {
  if (!name.starts_with(prefix)) return std::nullopt;
  name.remove_prefix(prefix.size());
  LayerName split{};
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), split.layer);
  const auto digits = static_cast<size_t>(end - name.data());
  if (error != std::errc() || split.layer < 0 || digits == name.size() || name[digits] != '.')
    return std::nullopt;
  split.rest = name.substr(digits + 1);
  // One spelling a number: no sign, no leading zeros.
  if (fmt::formatted_size("{}", split.layer) != digits) return std::nullopt;
  return split;
}

std::optional<std::string> Translate(std::string_view name, std::string_view Pair::*from,
                                     std::string_view Pair::*to, std::string_view from_prefix,
                                     std::string_view to_prefix) {
  for (const Pair& pair : kModel) {
    if (pair.*from == name) return std::string(pair.*to);
  }
  const auto split = SplitLayer(from_prefix, name);
  if (!split) return std::nullopt;
  for (const Pair& pair : kLayer) {
    if (pair.*from == split->rest) return fmt::format("{}{}.{}", to_prefix, split->layer, pair.*to);
  }
  return std::nullopt;
}

}  // namespace

std::optional<LayerName> SplitGgufLayer(std::string_view name) {
  return SplitLayer(kGgufPrefix, name);
}

std::optional<LayerName> SplitHuggingFaceLayer(std::string_view name) {
  return SplitLayer(kHuggingFacePrefix, name);
}

std::optional<std::string> HuggingFaceName(std::string_view gguf_name) {
  return Translate(gguf_name, &Pair::gguf, &Pair::hugging_face, kGgufPrefix, kHuggingFacePrefix);
}

std::optional<std::string> GgufName(std::string_view hugging_face_name) {
  return Translate(hugging_face_name, &Pair::hugging_face, &Pair::gguf, kHuggingFacePrefix,
                   kGgufPrefix);
}

}  // namespace fathom

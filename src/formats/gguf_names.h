#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fathom {

// How GGUF files name the tensors that they hold as Hugging Face's directories do, one for one:
// "blk.3.attn_q.weight" is "model.layers.3.self_attn.q_proj.weight". Nothing for a name without a
// counterpart: experts, which GGUF stacks, and what belongs to no supported architecture.
std::optional<std::string> HuggingFaceName(std::string_view gguf_name);
std::optional<std::string> GgufName(std::string_view hugging_face_name);

// A name taken apart: "blk.3." or "model.layers.3." and the rest.
struct LayerName {
  int64_t layer;
  std::string_view rest;
};
std::optional<LayerName> SplitGgufLayer(std::string_view name);
std::optional<LayerName> SplitHuggingFaceLayer(std::string_view name);

}  // namespace fathom

#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "formats/gguf_file.h"
#include "model/config.h"

namespace fathom {

// The configuration that the metadata and the tensors of a GGUF file describe: architectures
// deepseek2 (DeepSeek-V2, V3, R1; the gate says which), qwen2 and llama. What the file leaves to
// its tensors (tied embeddings, Llama 3's frequency factors, whether MTP layers are there) is taken
// from them. Throws Error naming the key that is missing, out of range or not supported.
ModelConfig GgufConfig(const GgufMetadata& metadata, const std::vector<GgufTensor>& tensors);

// Where a file has the ids at which a text ends, in the order of their rank.
inline constexpr std::array kGgufEndTokenKeys = {
    "tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"};

}  // namespace fathom

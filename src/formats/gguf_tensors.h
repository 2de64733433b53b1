#pragma once

#include <map>
#include <memory>
#include <string>

#include "formats/gguf_file.h"
#include "model/config.h"
#include "tensor/stored_tensor.h"

namespace fathom {

using StoredTensors = std::map<std::string, std::unique_ptr<StoredTensor>, std::less<>>;

// The tensors of a GGUF file as a Hugging Face directory would name, shape and order them:
// - stacked experts [E, out, in] are one matrix an expert;
// - kv_b_proj [heads (nope + v), latent] is read from k_b [heads, latent, nope] and v_b [heads, v,
//   latent];
// - the rows of q and k of architecture llama, which files interleave for rotation in adjacent
//   pairs, are in the order of rotated halves again;
// - frequency factors, which the configuration has, are left out.
// Tensors with names that mean nothing keep them. Reads nothing of the data. Throws Error when a
// tensor's shape does not fit the configuration.
StoredTensors MapGgufTensors(const ModelConfig& config, const std::vector<GgufTensor>& tensors);

}  // namespace fathom

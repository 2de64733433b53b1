#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/parameters.h"

namespace fathom {

// Which matrices of a model get an adapter (LoRA, Hu et al., arXiv 2106.09685), and of what kind.
struct AdapterOptions {
  int64_t rank = 16;
  double alpha = 32;
  bool rslora = false;  // scale alpha / sqrt(rank) (Kalajdzievski, arXiv 2312.03732)
  // Names of projections ("q_proj"). Empty: all there are, but only those of attention in a model
  // with routed experts that get none: PEFT, beside transformers 5, takes the names of MLPs for
  // experts there, and leaves dense and shared ones out.
  std::vector<std::string> targets;
  bool routed_experts = false;  // those of the targets that routed experts have, too

  // Of B A: alpha / rank, or alpha / sqrt(rank).
  double scale() const;
};

// "q_proj" of "model.layers.0.self_attn.q_proj.weight"; empty where that is no projection that an
// adapter can be put beside: of attention, MLPs and experts in the main model's layers.
std::string_view ProjectionOf(const ModelConfig& config, const ParameterSpec& spec);

// The matrices that get one, in the order of the model. Throws Error for a target that the model
// has not, with the nearest that it has.
std::vector<std::string> AdaptedMatrices(const ModelConfig& config, const AdapterOptions& options);

// As PEFT does: A uniform in +-1 / sqrt(in) (Kaiming's with a = sqrt(5)), B zero, so that the model
// is what it was. A value depends on the seed, the tensor's name and the element's index alone.
// Host memory.
void InitializeAdapters(uint64_t seed, ParameterStore& store);

}  // namespace fathom

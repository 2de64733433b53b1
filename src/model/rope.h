#pragma once

#include <cstdint>
#include <vector>

#include "model/config.h"

namespace fathom {

// The rotation of position p turns pair j by p * inv_freq[j]; cosines and sines are multiplied by
// table_scale; scores by softmax_scale.
struct RopeParameters {
  std::vector<double> inv_freq;  // [rope_dim / 2]
  RopeLayout layout = RopeLayout::kInterleaved;
  double table_scale = 1;
  double softmax_scale = 1;
};

// Plain RoPE: inv_freq[j] = theta^(-2j / d); the softmax scale is (dimension of a query)^-0.5.
//
// With YaRN, frequencies are interpolated by 1 / factor where a whole turn does not fit beta_slow
// times into the original context, kept where it fits beta_fast times, and blended in between. With
// m(s) = 0.1 s ln(factor) + 1, the tables are scaled by attention_factor where that is given, else
// by m(mscale) / m(mscale_all_dim) where both are, else by m(1); in latent attention the softmax
// scale is multiplied by m(mscale_all_dim)^2 where that is given.
//
// With Llama 3's scaling and n_j = original context * inv_freq[j] / 2 pi turns of pair j in it,
// inv_freq[j] is multiplied by (1 - s) / factor + s, s = clamp((n_j - low) / (high - low), 0, 1).
RopeParameters MakeRopeParameters(const ModelConfig& config);

}  // namespace fathom

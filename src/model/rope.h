#pragma once

#include <cstdint>
#include <vector>

#include "model/config.h"

namespace fathom {

// The rotation of position p turns pair j by p * inv_freq[j]; cosines and sines are multiplied by
// table_scale; scores by softmax_scale.
struct RopeParameters {
  std::vector<double> inv_freq;  // [qk_rope_head_dim / 2]
  double table_scale = 1;
  double softmax_scale = 1;
};

// Plain RoPE: inv_freq[j] = theta^(-2j / d). With YaRN, frequencies are interpolated by 1 / factor
// where a whole turn does not fit beta_slow times into the original context, kept where it fits
// beta_fast times, and blended in between; with m(s) = 0.1 s ln(factor) + 1, the tables are scaled
// by m(mscale) / m(mscale_all_dim) and the softmax scale (nope + rope)^-0.5 by m(mscale_all_dim)^2
// (where mscale_all_dim is 0, as transformers has it: the tables by m(1), the softmax scale by 1).
RopeParameters MakeRopeParameters(const ModelConfig& config);

}  // namespace fathom

#pragma once

#include "tensor/tensor.h"

namespace fathom {

// One AdamW step of one parameter (Loshchilov and Hutter, arXiv 1711.05101, with decoupled decay as
// in PyTorch):
//   g = grad_scale * grad
//   param -= lr * weight_decay * param
//   m = beta1 m + (1 - beta1) g;   v = beta2 v + (1 - beta2) g^2
//   param -= lr * (m / bias1) / (sqrt(v / bias2) + eps),   bias_i = 1 - beta_i^step
struct AdamWArgs {
  Tensor param;      // f32 or f64, any shape, contiguous
  ConstTensor grad;  // the type of param
  Tensor m, v;       // the type of param, or bf16 (rounded to nearest once they are used)
  double lr = 0, beta1 = 0.9, beta2 = 0.95, eps = 1e-8, weight_decay = 0;
  double bias1 = 1, bias2 = 1;
  double grad_scale = 1;
};

}  // namespace fathom

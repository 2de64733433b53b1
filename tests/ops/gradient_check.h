#pragma once

// Checks a backward against central differences of the forward, for any operation or block of
// operations: the loss is the sum of its outputs times fixed random directions, so that the
// gradients that go into the backward are those directions.

#include <utility>
#include <vector>

#include "base/function_ref.h"
#include "ops/test_tensors.h"

namespace fathom::test {

// An output of the forward and the gradient that arrives at it, both of the same shape.
struct Probe {
  ConstTensor output;
  ConstTensor direction;
};

inline double Loss(std::span<const Probe> probes) {
  double loss = 0;
  for (const Probe& probe : probes) {
    const std::vector<double> out = LoadAll(probe.output), direction = LoadAll(probe.direction);
    for (size_t i = 0; i < out.size(); ++i) loss += out[i] * direction[i];
  }
  return loss;
}

// dLoss / dx, one element of x (f64) at a time, by the five-point rule, whose error is of order
// eps^4: (8 (L(x + e) - L(x - e)) - (L(x + 2e) - L(x - 2e))) / 12 e. `forward` computes the outputs
// again from x, which is as it was when this returns.
inline TestTensor NumericGradient(const Tensor& x, std::span<const Probe> probes,
                                  FunctionRef<void()> forward, double eps = 1e-3) {
  FATHOM_CHECK(x.dtype() == DType::kF64);
  const std::vector<double> at = LoadAll(x);
  std::vector<double> gradient(at.size());
  for (size_t i = 0; i < at.size(); ++i) {
    const auto loss_at = [&](double step) {
      std::vector<double> moved = at;
      moved[i] += step;
      StoreAll(x, moved);
      forward();
      return Loss(probes);
    };
    gradient[i] =
        (8 * (loss_at(eps) - loss_at(-eps)) - (loss_at(2 * eps) - loss_at(-2 * eps))) / (12 * eps);
  }
  StoreAll(x, at);
  forward();
  return TensorOf(DType::kF64, x.shape(), gradient);
}

// That `gradient` is dLoss / dx to `tolerance`, relative to its norm and for each element.
inline void ExpectGradient(const ConstTensor& gradient, const Tensor& x,
                           std::span<const Probe> probes, FunctionRef<void()> forward,
                           double eps = 1e-3, double tolerance = 1e-8) {
  ExpectClose(gradient, NumericGradient(x, probes, forward, eps), tolerance, tolerance);
}
inline void ExpectGradient(const ConstTensor& gradient, const Tensor& x, const Probe& probe,
                           FunctionRef<void()> forward, double eps = 1e-3,
                           double tolerance = 1e-8) {
  ExpectGradient(gradient, x, std::span(&probe, 1), forward, eps, tolerance);
}

}  // namespace fathom::test

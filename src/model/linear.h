#pragma once

#include <span>
#include <vector>

#include "model/parameters.h"
#include "ops/backend.h"

namespace fathom {

// Rows [begin, end) of a parameter matrix.
struct WeightRows {
  Parameter* parameter;
  int64_t begin, end;
};

// Which products of a weight are needed, hence which packed copies are kept.
struct PackedUse {
  bool forward = false;         // x W^T
  bool backward_input = false;  // dy W
};

// What the second half of backward has left to do: gradients of parameters whose inputs and output
// gradients are known. The tensors have to live until Apply.
class PendingWeightGradients {
 public:
  void AddMatmul(const WeightGradientProblem& problem) { matmuls_.push_back(problem); }
  // Of an RMSNorm's gain; see Backend::RmsNormBackwardWeight.
  void AddNorm(ConstTensor dy, ConstTensor x, ConstTensor inv_rms, Tensor dgain) {
    norms_.push_back({dy, x, inv_rms, dgain});
  }
  // Adds everything to the gradients, in the order in which it was added here, and forgets it.
  void Apply(Context& context);

 private:
  struct Norm {
    ConstTensor dy, x, inv_rms;
    Tensor dgain;
  };
  std::vector<WeightGradientProblem> matmuls_;
  std::vector<Norm> norms_;
};

// y = x W^T, where W [out, in] is a stack of rows of one or more parameters: projections of the
// same input are one product (gate and up, both down projections of latent attention), and one head
// of kv_b_proj is a product of its own.
class Linear {
 public:
  Linear() = default;
  explicit Linear(std::vector<WeightRows> parts);
  explicit Linear(Parameter& whole)
      : Linear(std::vector<WeightRows>{{&whole, 0, whole.spec.shape[0]}}) {}

  int64_t in() const { return in_; }
  int64_t out() const { return out_; }

  // Brings the packed copies of `use` up to date with the parameters' current values; memory comes
  // from `arena` once.
  void Pack(Context& context, DType dtype, PackedUse use, Arena& arena);

  // x [m, in] -> y [m, out]
  MatmulProblem Forward(ConstTensor x, Tensor y, bool accumulate = false) const;
  // dy [m, out] -> dx [m, in]
  MatmulProblem BackwardInput(ConstTensor dy, Tensor dx, bool accumulate = false) const;
  // Gradient of every part from dy [m, out] and x [m, in].
  void BackwardWeight(ConstTensor dy, ConstTensor x, PendingWeightGradients& pending) const;

 private:
  std::vector<WeightRows> parts_;
  int64_t in_ = 0, out_ = 0;
  PackedMatrix forward_, backward_;
};

// Runs one problem.
inline void Matmul(Context& context, const MatmulProblem& problem) {
  context.backend->Matmul(context, std::span(&problem, 1));
}

}  // namespace fathom

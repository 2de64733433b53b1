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

  PackedUse Without(PackedUse other) const {
    return {forward && !other.forward, backward_input && !other.backward_input};
  }
  PackedUse With(PackedUse other) const {
    return {forward || other.forward, backward_input || other.backward_input};
  }
  bool operator==(const PackedUse&) const = default;
};

// Which packed copies a layer needs. The up-projections of latent attention belong to one of its
// forms; `common` is everything else.
struct PackedUses {
  PackedUse common, expanded, absorbed;

  PackedUses Without(const PackedUses& other) const {
    return {common.Without(other.common), expanded.Without(other.expanded),
            absorbed.Without(other.absorbed)};
  }
  PackedUses With(const PackedUses& other) const {
    return {common.With(other.common), expanded.With(other.expanded),
            absorbed.With(other.absorbed)};
  }
  bool operator==(const PackedUses&) const = default;
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
  // Of a bias; see Backend::BiasBackward.
  void AddBias(ConstTensor dy, Tensor db) { biases_.push_back({dy, db}); }
  // Adds everything to the gradients, in the order in which it was added here, and forgets it.
  void Apply(Context& context);

 private:
  struct Norm {
    ConstTensor dy, x, inv_rms;
    Tensor dgain;
  };
  std::vector<WeightGradientProblem> matmuls_;
  struct Bias {
    ConstTensor dy;
    Tensor db;
  };
  std::vector<Norm> norms_;
  std::vector<Bias> biases_;
};

// y = x W^T (+ b), where W [out, in] is a stack of rows of one or more parameters: projections of
// the same input are one product (gate and up, both down projections of latent attention), and one
// head of kv_b_proj is a product of its own.
class Linear {
 public:
  Linear() = default;
  explicit Linear(std::vector<WeightRows> parts);
  explicit Linear(Parameter& whole)
      : Linear(std::vector<WeightRows>{{&whole, 0, whole.spec.shape[0]}}) {}

  // With biases, one a part, of as many elements as the part has rows.
  Linear(std::vector<WeightRows> parts, std::vector<Parameter*> biases);

  int64_t in() const { return in_; }
  int64_t out() const { return out_; }

  // Brings the packed copies of `use` up to date with the parameters' current values; memory comes
  // from `arena` once. In `dtype`, or, where that is bf16 and a file holds codes that backends
  // multiply with, in those.
  void Pack(Context& context, DType dtype, PackedUse use, Arena& arena);

  // Appends what makes y [m, out] = x [m, in] W^T, or += with `accumulate`, without the bias: one
  // product, or one for every run of parts that have codes of one type.
  void Forward(ConstTensor x, Tensor y, bool accumulate,
               std::vector<MatmulProblem>& problems) const;
  // Runs it, with the bias: y = x W^T + b, rounded once.
  void Run(Context& context, ConstTensor x, Tensor y, bool accumulate = false) const;
  // dy [m, out] -> dx [m, in]
  MatmulProblem BackwardInput(ConstTensor dy, Tensor dx, bool accumulate = false) const;
  // Gradient of every part, and of the biases, from dy [m, out] and x [m, in]; rounded to FP8 where
  // the products are.
  void BackwardWeight(ConstTensor dy, ConstTensor x, PendingWeightGradients& pending) const;

 private:
  std::vector<WeightRows> parts_;
  std::vector<Parameter*> biases_;  // none, or one a part
  int64_t in_ = 0, out_ = 0;
  DType dtype_ = DType::kF32;          // that packed copies were asked for in
  std::vector<PackedMatrix> forward_;  // over runs of parts, in order
  PackedMatrix backward_;
};

// Runs one problem.
inline void Matmul(Context& context, const MatmulProblem& problem) {
  context.backend->Matmul(context, std::span(&problem, 1));
}

}  // namespace fathom

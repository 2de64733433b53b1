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
// forms, of which the absorbed one is forward alone; `common` is everything else.
struct PackedUses {
  PackedUse common, expanded;
  bool absorbed = false;

  PackedUses Without(const PackedUses& other) const {
    return {common.Without(other.common), expanded.Without(other.expanded),
            absorbed && !other.absorbed};
  }
  PackedUses With(const PackedUses& other) const {
    return {common.With(other.common), expanded.With(other.expanded), absorbed || other.absorbed};
  }
  bool operator==(const PackedUses&) const = default;
};

// What the gradient of an adapter's A and B is made with: packed copies of scale A [rank, in], as
// the weight of x A^T, and of scale B [out, rank] (the rows of one part of a Linear), as that of
// dy B.
struct PackedAdapter {
  PackedMatrix a, b;
};

// What the second half of backward has left to do: gradients of parameters whose inputs and output
// gradients are known. The tensors have to live until Apply.
class PendingWeightGradients {
 public:
  void AddMatmul(const WeightGradientProblem& problem) { matmuls_.push_back(problem); }
  // Of the adapter of a weight W that y = x W^T was multiplied with: with dW = dy^T x,
  //   dA += scale B^T dW = (dy scale B)^T x     dB += scale dW A^T = dy^T (x scale A^T)
  // so that nothing of W's size is made. db: its rows that belong to dy.
  void AddAdapter(const PackedAdapter& adapter, MatrixRows dy, MatrixRows x, Tensor da, Tensor db) {
    adapters_.push_back({&adapter, dy, x, da, db});
  }
  // Of an RMSNorm's gain; see Backend::RmsNormBackwardWeight. A frozen one has no dgain, and
  // nothing to do.
  void AddNorm(ConstTensor dy, ConstTensor x, ConstTensor inv_rms, Tensor dgain) {
    if (!dgain.empty()) norms_.push_back({dy, x, inv_rms, dgain});
  }
  // Of a bias; see Backend::BiasBackward. Likewise.
  void AddBias(ConstTensor dy, Tensor db) {
    if (!db.empty()) biases_.push_back({dy, db});
  }
  // Adds everything to the gradients, in the order in which it was added here, and forgets it.
  void Apply(Context& context);

 private:
  struct AdapterGradient {
    const PackedAdapter* adapter;
    MatrixRows dy, x;
    Tensor da, db;
  };
  void ApplyAdapters(Context& context);

  struct Norm {
    ConstTensor dy, x, inv_rms;
    Tensor dgain;
  };
  std::vector<WeightGradientProblem> matmuls_;
  std::vector<AdapterGradient> adapters_;
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
  // from `arena` once, and copies of what cannot have changed are left alone. In `dtype`, or, where
  // that is bf16 and a file holds codes that backends multiply with, in those.
  //
  // A part with an adapter is packed as W + scale B A: the product in f32 (a sum over ascending
  // rank), W added to it, rounded once to `dtype`. Training, rollouts and inference all multiply
  // with these copies, so that an adapter changes nothing of what they have in common.
  void Pack(Context& context, DType dtype, PackedUse use, Arena& arena);

  // Appends what makes y [m, out] = x [m, in] W^T, or += with `accumulate`, without the bias: one
  // product, or one for every run of parts that have codes of one type.
  void Forward(MatrixRows x, Tensor y, bool accumulate, std::vector<MatmulProblem>& problems) const;
  // Runs it, with the bias: y = x W^T + b, rounded once.
  void Run(Context& context, ConstTensor x, Tensor y, bool accumulate = false) const;
  // dy [m, out] -> dx [m, in]
  MatmulProblem BackwardInput(MatrixRows dy, Tensor dx, bool accumulate = false) const;
  // Gradient of every part that is trained, or of its adapter, and of the biases, from dy [m, out]
  // and x [m, in]; rounded to FP8 where the products are.
  void BackwardWeight(MatrixRows dy, MatrixRows x, PendingWeightGradients& pending) const;

 private:
  // Tells values that are not trained apart; 0: they are, or have an adapter that may be.
  uint64_t FrozenVersion() const;
  // W + scale B A of a part, in bf16 if that is `dtype` and otherwise as the adapter is.
  Tensor Merged(Context& context, const WeightRows& rows, DType dtype) const;
  void PackAdapters(Context& context, DType dtype, Arena& arena);

  std::vector<WeightRows> parts_;
  std::vector<Parameter*> biases_;  // none, or one a part
  int64_t in_ = 0, out_ = 0;
  DType dtype_ = DType::kF32;          // that packed copies were asked for in
  std::vector<PackedMatrix> forward_;  // over runs of parts, in order
  PackedMatrix backward_;
  std::vector<PackedAdapter> adapters_;  // one a part; empty ones where a part has none
  // FrozenVersion() of what was packed.
  uint64_t forward_version_ = 0, backward_version_ = 0;
};

// Runs one problem.
inline void Matmul(Context& context, const MatmulProblem& problem) {
  context.backend->Matmul(context, std::span(&problem, 1));
}

}  // namespace fathom

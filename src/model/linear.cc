#include "model/linear.h"

#include "base/error.h"

namespace fathom {

void PendingWeightGradients::Apply(Context& context) {
  if (!matmuls_.empty()) context.backend->MatmulBackwardWeight(context, matmuls_);
  for (const Norm& norm : norms_) {
    context.backend->RmsNormBackwardWeight(context, norm.dy, norm.x, norm.inv_rms, norm.dgain);
  }
  for (const Bias& bias : biases_) context.backend->BiasBackward(context, bias.dy, bias.db);
  matmuls_.clear();
  norms_.clear();
  biases_.clear();
}

Linear::Linear(std::vector<WeightRows> parts) : parts_(std::move(parts)) {
  FATHOM_CHECK(!parts_.empty());
  in_ = parts_[0].parameter->spec.shape[1];
  for (const WeightRows& part : parts_) {
    FATHOM_CHECK(part.parameter->spec.shape[1] == in_);
    out_ += part.end - part.begin;
  }
}

Linear::Linear(std::vector<WeightRows> parts, std::vector<Parameter*> biases)
    : Linear(std::move(parts)) {
  biases_ = std::move(biases);
  FATHOM_CHECK(biases_.size() == parts_.size());
  for (size_t i = 0; i < parts_.size(); ++i) {
    FATHOM_CHECK(biases_[i]->spec.shape == Shape({parts_[i].end - parts_[i].begin}));
  }
}

void Linear::Pack(Context& context, DType dtype, PackedUse use, Arena& arena) {
  if (use == PackedUse()) return;
  dtype_ = dtype;
  ArenaScope scope(*context.workspace);
  std::vector<ConstTensor> views;
  for (const WeightRows& part : parts_) {
    const Parameter& parameter = *part.parameter;
    if (!parameter.value.empty()) {
      views.push_back(parameter.value.Rows(part.begin, part.end));
      continue;
    }
    const DType decoded = IsQuantized(dtype) ? DType::kF32 : dtype;
    const Tensor rows = context.workspace->New(decoded, Shape({part.end - part.begin, in_}));
    context.backend->LoadRows(context, *parameter.stored, part.begin, rows);
    views.push_back(rows);
  }
  const auto pack = [&](bool transposed, PackedMatrix& packed) {
    if (packed.empty()) {
      packed.dtype = dtype;
      packed.n = transposed ? in_ : out_;
      packed.k = transposed ? out_ : in_;
      packed.bytes = context.backend->PackedBytes(dtype, packed.n, packed.k);
      packed.data = arena.NewBytes(packed.bytes);
    }
    context.backend->Pack(context, views, transposed, packed);
  };
  if (use.forward) pack(false, forward_);
  if (use.backward_input) pack(true, backward_);
}

MatmulProblem Linear::Forward(ConstTensor x, Tensor y, bool accumulate) const {
  FATHOM_CHECK(!forward_.empty(), "weights were not packed for this product");
  return {x, &forward_, y, accumulate};
}

void Linear::Run(Context& context, ConstTensor x, Tensor y) const {
  int64_t row = 0;
  for (const Parameter* bias : biases_) {
    const int64_t rows = bias->spec.shape[0];
    context.backend->Cast(context, bias->value.Broadcast(0, y.dim(0)), y.Columns(row, row + rows));
    row += rows;
  }
  Matmul(context, Forward(x, y, /*accumulate=*/!biases_.empty()));
}

MatmulProblem Linear::BackwardInput(ConstTensor dy, Tensor dx, bool accumulate) const {
  FATHOM_CHECK(!backward_.empty(), "weights were not packed for this product");
  return {dy, &backward_, dx, accumulate};
}

void Linear::BackwardWeight(ConstTensor dy, ConstTensor x, PendingWeightGradients& pending) const {
  int64_t row = 0;
  for (size_t i = 0; i < parts_.size(); ++i) {
    const WeightRows& part = parts_[i];
    const int64_t rows = part.end - part.begin;
    const ConstTensor part_dy = dy.Columns(row, row + rows);
    pending.AddMatmul({.dy = part_dy,
                       .x = x,
                       .dw = part.parameter->grad.Rows(part.begin, part.end),
                       .fp8 = IsQuantized(dtype_),
                       .per_tensor = dtype_ == DType::kE4M3Tensor});
    if (!biases_.empty()) pending.AddBias(part_dy, biases_[i]->grad);
    row += rows;
  }
}

}  // namespace fathom

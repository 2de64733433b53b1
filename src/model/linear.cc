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

namespace {

WeightPart PartOf(const WeightRows& rows) {
  const Parameter& parameter = *rows.parameter;
  if (!parameter.value.empty()) return parameter.value.Rows(rows.begin, rows.end);
  return {*parameter.stored, rows.begin, rows.end};
}

// The type of the packed copy of a part that is asked for in `dtype`.
DType PackedType(const WeightPart& part, DType dtype, bool transposed) {
  if (dtype != DType::kBF16 || !part.value.empty()) return dtype;
  return part.stored->CodeType(part.begin, part.end, transposed).value_or(dtype);
}

}  // namespace

void Linear::Pack(Context& context, DType dtype, PackedUse use, Arena& arena) {
  if (use == PackedUse()) return;
  dtype_ = dtype;
  const auto pack = [&](std::span<const WeightPart> parts, DType type, int64_t rows,
                        bool transposed, PackedMatrix& packed) {
    if (packed.empty()) {
      packed.dtype = type;
      packed.n = transposed ? in_ : rows;
      packed.k = transposed ? rows : in_;
      packed.bytes = context.backend->PackedBytes(type, packed.n, packed.k);
      packed.data = arena.NewBytes(packed.bytes);
    }
    context.backend->Pack(context, parts, transposed, packed);
  };
  std::vector<WeightPart> parts;
  for (const WeightRows& rows : parts_) parts.push_back(PartOf(rows));
  if (use.forward) {
    size_t run = 0;
    for (size_t begin = 0, end; begin < parts.size(); begin = end, ++run) {
      const DType type = PackedType(parts[begin], dtype, /*transposed=*/false);
      int64_t rows = 0;
      for (end = begin; end < parts.size(); ++end) {
        if (end > begin && PackedType(parts[end], dtype, false) != type) break;
        rows += parts[end].rows();
      }
      if (run == forward_.size()) forward_.emplace_back();
      pack(std::span(parts).subspan(begin, end - begin), type, rows, false, forward_[run]);
    }
  }
  if (use.backward_input) {
    const DType type = parts.size() == 1 ? PackedType(parts[0], dtype, true) : dtype;
    pack(parts, type, out_, true, backward_);
  }
}

void Linear::Forward(ConstTensor x, Tensor y, bool accumulate,
                     std::vector<MatmulProblem>& problems) const {
  FATHOM_CHECK(!forward_.empty(), "weights were not packed for this product");
  int64_t row = 0;
  for (const PackedMatrix& packed : forward_) {
    problems.push_back({x, &packed, y.Columns(row, row + packed.n), accumulate});
    row += packed.n;
  }
}

void Linear::Run(Context& context, ConstTensor x, Tensor y, bool accumulate) const {
  FATHOM_CHECK(!accumulate || biases_.empty());
  int64_t row = 0;
  for (const Parameter* bias : biases_) {
    const int64_t rows = bias->spec.shape[0];
    context.backend->Cast(context, bias->value.Broadcast(0, y.dim(0)), y.Columns(row, row + rows));
    row += rows;
  }
  std::vector<MatmulProblem> problems;
  Forward(x, y, accumulate || !biases_.empty(), problems);
  context.backend->Matmul(context, problems);
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

#include "model/linear.h"

#include <algorithm>
#include <set>

#include "base/error.h"

namespace fathom {

namespace {

// dst = scale * src.
Tensor Scaled(Context& context, ConstTensor src, double scale) {
  const Tensor dst = context.workspace->New(src.dtype(), src.shape());
  context.backend->Zero(context, dst);
  context.backend->Lerp(context, src, scale, dst);
  return dst;
}

// As one piece of parallel work, but for problems of one dW, which come one after the other.
void RunInOrder(Context& context, std::vector<WeightGradientProblem> problems) {
  while (!problems.empty()) {
    std::vector<WeightGradientProblem> now, later;
    std::set<const void*> written;
    for (const WeightGradientProblem& problem : problems) {
      (written.insert(problem.dw.raw()).second ? now : later).push_back(problem);
    }
    context.backend->MatmulBackwardWeight(context, now);
    problems = std::move(later);
  }
}

}  // namespace

void PendingWeightGradients::ApplyAdapters(Context& context) {
  if (adapters_.empty()) return;
  ArenaScope scope(*context.workspace);
  std::vector<MatmulProblem> projections;
  std::vector<WeightGradientProblem> gradients;
  for (const AdapterGradient& g : adapters_) {
    const Shape shape({g.dy.rows(), g.da.dim(0)});
    const Tensor xa = context.workspace->New(g.dy.dtype(), shape);
    const Tensor dyb = context.workspace->New(g.x.dtype(), shape);
    projections.push_back({g.x, &g.adapter->a, xa});
    projections.push_back({g.dy, &g.adapter->b, dyb});
    gradients.push_back({.dy = dyb, .x = g.x, .dw = g.da});
    gradients.push_back({.dy = g.dy, .x = xa, .dw = g.db});
  }
  context.backend->Matmul(context, projections);
  RunInOrder(context, std::move(gradients));
  adapters_.clear();
}

void PendingWeightGradients::Apply(Context& context) {
  ApplyAdapters(context);
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

uint64_t Linear::FrozenVersion() const {
  uint64_t version = 0;
  for (const WeightRows& part : parts_) {
    const Parameter& parameter = *part.parameter;
    if (!parameter.master.empty() || parameter.adapter) return 0;
    version += parameter.settings;
  }
  return version;
}

Tensor Linear::Merged(Context& context, const WeightRows& rows, DType dtype) const {
  constexpr int64_t kRowsAtATime = 1024;
  Backend& backend = *context.backend;
  Arena& workspace = *context.workspace;
  const Parameter& parameter = *rows.parameter;
  const Adapter& adapter = *parameter.adapter;
  const DType sum = adapter.a->master.dtype();
  const int64_t count = rows.end - rows.begin;
  const Tensor merged = workspace.New(dtype == DType::kBF16 ? dtype : sum, Shape({count, in_}));
  ArenaScope scope(workspace);
  const Tensor b = Scaled(context, adapter.b->master.Rows(rows.begin, rows.end), adapter.scale);
  PackedMatrix a{.dtype = sum, .n = in_, .k = adapter.rank()};
  a.bytes = backend.PackedBytes(sum, a.n, a.k);
  a.data = workspace.NewBytes(a.bytes);
  const WeightPart a_rows(adapter.a->value);
  backend.Pack(context, std::span(&a_rows, 1), /*transposed=*/true, a);
  const Tensor some = workspace.New(sum, Shape({std::min(count, kRowsAtATime), in_}));
  for (int64_t begin = 0; begin < count; begin += kRowsAtATime) {
    const int64_t end = std::min(count, begin + kRowsAtATime);
    const Tensor w = some.Rows(0, end - begin);
    if (parameter.value.empty()) {
      backend.LoadRows(context, *parameter.stored, rows.begin + begin, w);
    } else {
      backend.Cast(context, parameter.value.Rows(rows.begin + begin, rows.begin + end), w);
    }
    Matmul(context, {b.Rows(begin, end), &a, w, /*accumulate=*/true});
    backend.Cast(context, w, merged.Rows(begin, end));
  }
  return merged;
}

void Linear::PackAdapters(Context& context, DType dtype, Arena& arena) {
  adapters_.resize(parts_.size());
  for (size_t i = 0; i < parts_.size(); ++i) {
    const Parameter& parameter = *parts_[i].parameter;
    if (!parameter.adapter || parameter.adapter->a->grad.empty()) continue;
    ArenaScope scope(*context.workspace);
    const Adapter& adapter = *parameter.adapter;
    const auto pack = [&](const WeightPart& part, bool transposed, PackedMatrix& packed) {
      if (packed.empty()) {
        packed.dtype = dtype;
        packed.n = transposed ? part.columns() : part.rows();
        packed.k = transposed ? part.rows() : part.columns();
        packed.bytes = context.backend->PackedBytes(dtype, packed.n, packed.k);
        packed.data = arena.NewBytes(packed.bytes);
      }
      context.backend->Pack(context, std::span(&part, 1), transposed, packed);
    };
    pack(Scaled(context, adapter.a->master, adapter.scale), false, adapters_[i].a);
    pack(Scaled(context, adapter.b->master.Rows(parts_[i].begin, parts_[i].end), adapter.scale),
         true, adapters_[i].b);
  }
}

void Linear::Pack(Context& context, DType dtype, PackedUse use, Arena& arena) {
  const uint64_t version = FrozenVersion();
  if (version != 0) {
    use.forward = use.forward && forward_version_ != version;
    use.backward_input = use.backward_input && backward_version_ != version;
  }
  if (use == PackedUse()) return;
  if (use.forward) forward_version_ = version;
  if (use.backward_input) backward_version_ = version;
  dtype_ = dtype;
  ArenaScope scope(*context.workspace);
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
  bool adapted = false;
  for (const WeightRows& rows : parts_) {
    const bool merged = rows.parameter->adapter.has_value();
    parts.push_back(merged ? WeightPart(Merged(context, rows, dtype)) : PartOf(rows));
    adapted = adapted || merged;
  }
  if (adapted && use.backward_input) PackAdapters(context, dtype, arena);
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

void Linear::Forward(MatrixRows x, Tensor y, bool accumulate,
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

MatmulProblem Linear::BackwardInput(MatrixRows dy, Tensor dx, bool accumulate) const {
  FATHOM_CHECK(!backward_.empty(), "weights were not packed for this product");
  return {dy, &backward_, dx, accumulate};
}

void Linear::BackwardWeight(MatrixRows dy, MatrixRows x, PendingWeightGradients& pending) const {
  int64_t row = 0;
  for (size_t i = 0; i < parts_.size(); ++i) {
    const WeightRows& part = parts_[i];
    const int64_t rows = part.end - part.begin;
    const MatrixRows part_dy = dy.Columns(row, row + rows);
    const Parameter& parameter = *part.parameter;
    if (!parameter.grad.empty()) {
      pending.AddMatmul({.dy = part_dy,
                         .x = x,
                         .dw = parameter.grad.Rows(part.begin, part.end),
                         .fp8 = IsQuantized(dtype_),
                         .per_tensor = dtype_ == DType::kE4M3Tensor});
    } else if (parameter.adapter && !parameter.adapter->a->grad.empty()) {
      pending.AddAdapter(adapters_[i], part_dy, x, parameter.adapter->a->grad,
                         parameter.adapter->b->grad.Rows(part.begin, part.end));
    }
    if (!biases_.empty()) {
      FATHOM_CHECK(dy.index().empty(), "a bias of rows by index");
      pending.AddBias(part_dy.matrix(), biases_[i]->grad);
    }
    row += rows;
  }
}

}  // namespace fathom

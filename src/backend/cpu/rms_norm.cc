#include <algorithm>

#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/work.h"

namespace fathom {

using cpu::At;
using cpu::ElementOf;

namespace {

// Gradients that are sums over rows take the rows in blocks of this many; threads share the
// columns.
constexpr int64_t kRows = 64;

int64_t ColumnGrain(int64_t rows) {
  return std::max<int64_t>(64, cpu::kGrainElements / std::max<int64_t>(1, rows) / 64 * 64);
}

}  // namespace

void CpuBackend::RmsNorm(Context& context, ConstTensor x, ConstTensor gain, double eps, Tensor y,
                         Tensor inv_rms) {
  const int64_t rows = x.dim(0), d = x.dim(1);
  cpu::CheckShape(gain, {d}, "gain");
  cpu::CheckShape(y, {rows, d}, "y");
  if (!inv_rms.empty()) cpu::CheckShape(inv_rms, {rows}, "inv_rms");
  float* r = inv_rms.empty() ? nullptr : inv_rms.data<float>();
  cpu::ForRows(*context.pool, rows, d, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      const float factor = kernels_.rms_norm(ElementOf(x), At(x, i), ElementOf(gain), gain.raw(),
                                             eps, ElementOf(y), At(y, i), d);
      if (r) r[i] = factor;
    }
  });
}

void CpuBackend::RmsNormBackwardInput(Context& context, ConstTensor dy, ConstTensor x,
                                      ConstTensor gain, ConstTensor inv_rms, bool accumulate,
                                      Tensor dx) {
  const int64_t rows = x.dim(0), d = x.dim(1);
  cpu::CheckShape(dy, {rows, d}, "dy");
  cpu::CheckShape(gain, {d}, "gain");
  cpu::CheckShape(inv_rms, {rows}, "inv_rms");
  cpu::CheckShape(dx, {rows, d}, "dx");
  const auto* r = inv_rms.data<float>();
  cpu::ForRows(*context.pool, rows, 2 * d, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      kernels_.rms_norm_backward(ElementOf(dy), At(dy, i), ElementOf(x), At(x, i), ElementOf(gain),
                                 gain.raw(), r[i], accumulate, ElementOf(dx), At(dx, i), d);
    }
  });
}

void CpuBackend::RmsNormBackwardWeight(Context& context, ConstTensor dy, ConstTensor x,
                                       ConstTensor inv_rms, Tensor dgain) {
  const int64_t rows = x.dim(0), d = x.dim(1);
  cpu::CheckShape(dy, {rows, d}, "dy");
  cpu::CheckShape(inv_rms, {rows}, "inv_rms");
  cpu::CheckShape(dgain, {d}, "dgain");
  const auto* r = inv_rms.data<float>();
  auto* sum = dgain.data<float>();
  const auto dy_size = static_cast<int64_t>(SizeOf(dy.dtype()));
  const auto x_size = static_cast<int64_t>(SizeOf(x.dtype()));
  context.pool->ParallelFor(d, ColumnGrain(rows), [&](int64_t begin, int64_t end, int) {
    for (int64_t row = 0; row < rows; row += kRows) {
      kernels_.rms_norm_gain(ElementOf(dy), At(dy, row) + begin * dy_size, dy.stride(0),
                             ElementOf(x), At(x, row) + begin * x_size, x.stride(0), r + row,
                             std::min(kRows, rows - row), sum + begin, end - begin);
    }
  });
}

void CpuBackend::BiasBackward(Context& context, ConstTensor dy, Tensor db) {
  const int64_t rows = dy.dim(0), n = dy.dim(1);
  cpu::CheckShape(db, {n}, "db");
  auto* sum = db.data<float>();
  const auto dy_size = static_cast<int64_t>(SizeOf(dy.dtype()));
  context.pool->ParallelFor(n, ColumnGrain(rows), [&](int64_t begin, int64_t end, int) {
    for (int64_t row = 0; row < rows; row += kRows) {
      kernels_.sum_rows(ElementOf(dy), At(dy, row) + begin * dy_size, dy.stride(0),
                        std::min(kRows, rows - row), sum + begin, end - begin);
    }
  });
}

}  // namespace fathom

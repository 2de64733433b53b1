#include <cmath>

#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/work.h"

namespace fathom {

using cpu::At;
using cpu::ElementOf;

void CpuBackend::RopeTable(Context& context, ConstTensor positions,
                           std::span<const double> inv_freq, double scale, Tensor table) {
  const int64_t tokens = positions.dim(0), pairs = static_cast<int64_t>(inv_freq.size());
  cpu::CheckShape(positions, {tokens}, "positions");
  cpu::CheckShape(table, {tokens, 2 * pairs}, "table");
  FATHOM_CHECK(table.dtype() == DType::kF32);
  const auto* position = positions.data<int32_t>();
  // A sine and a cosine cost about as much as thirty ordinary elements.
  cpu::ForRows(*context.pool, tokens, 64 * pairs, [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; ++t) {
      auto* row = reinterpret_cast<float*>(At(table, t));
      for (int64_t j = 0; j < pairs; ++j) {
        const double angle = position[t] * inv_freq[static_cast<size_t>(j)];
        row[2 * j] = static_cast<float>(scale * std::cos(angle));
        row[2 * j + 1] = static_cast<float>(scale * std::sin(angle));
      }
    }
  });
}

void CpuBackend::Rope(Context& context, ConstTensor x, ConstTensor table, RopeLayout layout,
                      bool inverse, Tensor y) {
  FATHOM_CHECK(x.rank() == 3 && x.dim(2) % 2 == 0 && x.dtype() == y.dtype());
  const int64_t tokens = x.dim(0), heads = x.dim(1), d = x.dim(2);
  cpu::CheckShape(table, {tokens, d}, "table");
  cpu::CheckShape(y, x.shape(), "y");
  FATHOM_CHECK(table.dtype() == DType::kF32);
  cpu::ForRows(*context.pool, tokens, heads * d, [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; ++t) {
      cpu::RotateArgs args;
      args.type = ElementOf(x);
      args.x = At(x, t);
      args.x_stride = x.stride(1);
      args.y = At(y, t);
      args.y_stride = y.stride(1);
      args.table = reinterpret_cast<const float*>(At(table, t));
      args.heads = heads;
      args.d = d;
      args.halves = layout == RopeLayout::kHalves;
      args.inverse = inverse;
      kernels_.rotate(args);
    }
  });
}

}  // namespace fathom

#include <algorithm>
#include <cstring>

#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/fp8.h"
#include "backend/cpu/work.h"

namespace fathom {

using cpu::At;
using cpu::Element;
using cpu::ElementOf;

void CpuBackend::Zero(Context& context, Tensor y) {
  const auto size = SizeOf(y.dtype());
  cpu::ForPieces(*context.pool, y, y, [&](const void*, void* to, int64_t n) {
    std::memset(to, 0, static_cast<size_t>(n) * size);
  });
}

namespace {

// The codes and the scales of a quantised row.
template <typename Byte>
auto* ScalesOf(DType dtype, Byte* row, int64_t d) {
  using Float = std::conditional_t<std::is_const_v<Byte>, const float, float>;
  return reinterpret_cast<Float*>(row + QuantizedScalesOffset(dtype, d));
}

}  // namespace

void CpuBackend::Cast(Context& context, ConstTensor x, Tensor y) {
  if (IsQuantized(x.dtype()) || IsQuantized(y.dtype())) {
    const int64_t rows = x.dim(0), d = x.dim(1);
    cpu::CheckShape(y, {rows, d}, "y");
    const bool quantize = IsQuantized(y.dtype());
    const DType dtype = quantize ? y.dtype() : x.dtype();
    const float at_least = dtype == DType::kE4M3Tensor && quantize
                               ? cpu::TensorMagnitude(kernels_, *context.pool, x)
                               : 0;
    cpu::ForRows(*context.pool, rows, 2 * d, [&](int64_t begin, int64_t end, int) {
      for (int64_t r = begin; r < end; ++r) {
        if (quantize) {
          kernels_.quantize_row(cpu::CodeOf(dtype), ElementOf(x), At(x, r), d, at_least,
                                reinterpret_cast<uint8_t*>(At(y, r)), ScalesOf(dtype, At(y, r), d));
        } else {
          kernels_.dequantize_row(cpu::CodeOf(dtype), reinterpret_cast<const uint8_t*>(At(x, r)),
                                  ScalesOf(dtype, At(x, r), d), d, ElementOf(y), At(y, r));
        }
      }
    });
    return;
  }
  const Element from = ElementOf(x), to = ElementOf(y);
  cpu::ForPieces(*context.pool, x, y,
                 [&](const void* a, void* b, int64_t n) { kernels_.cast(from, a, to, b, n); });
}

void CpuBackend::Add(Context& context, ConstTensor x, Tensor y) {
  const Element from = ElementOf(x), to = ElementOf(y);
  cpu::ForPieces(*context.pool, x, y,
                 [&](const void* a, void* b, int64_t n) { kernels_.add(from, a, to, b, n); });
}

void CpuBackend::Lerp(Context& context, ConstTensor x, double t, Tensor y) {
  FATHOM_CHECK(x.dtype() == DType::kF32 && y.dtype() == DType::kF32);
  cpu::ForPieces(*context.pool, x, y, [&](const void* a, void* b, int64_t n) {
    kernels_.lerp(static_cast<const float*>(a), static_cast<float>(t), static_cast<float*>(b), n);
  });
}

// ---- Rows by index

void CpuBackend::GatherRows(Context& context, ConstTensor x, ConstTensor index, Tensor y) {
  const int64_t rows = index.dim(0), d = x.dim(1), limit = x.dim(0);
  FATHOM_CHECK(index.rank() == 1);
  cpu::CheckShape(y, {rows, d}, "y");
  const auto* from_row = index.data<int32_t>();
  const bool coded = IsQuantized(x.dtype());
  FATHOM_CHECK(!coded || y.dtype() == x.dtype(), "{} into {}", Name(x.dtype()), Name(y.dtype()));
  const auto row_bytes = coded ? static_cast<size_t>(QuantizedRowBytes(x.dtype(), d)) : size_t{0};
  cpu::ForRows(*context.pool, rows, d, [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t i = from_row[r];
      FATHOM_CHECK(i >= 0 && i < limit, "row {} of {}", i, limit);
      if (coded) {
        std::memcpy(At(y, r), At(x, i), row_bytes);
      } else {
        kernels_.cast(ElementOf(x), At(x, i), ElementOf(y), At(y, r), d);
      }
    }
  });
}

void CpuBackend::GatherStoredRows(Context& context, const StoredTensor& x, ConstTensor index,
                                  Tensor y) {
  const int64_t rows = index.dim(0), d = x.shape()[1], limit = x.shape()[0];
  FATHOM_CHECK(index.rank() == 1);
  cpu::CheckShape(y, {rows, d}, "y");
  const auto* from_row = index.data<int32_t>();
  cpu::ForRows(*context.pool, rows, d, [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t i = from_row[r];
      FATHOM_CHECK(i >= 0 && i < limit, "row {} of {}", i, limit);
      x.Read(i, y.Rows(r, r + 1));
    }
  });
}

void CpuBackend::EmbeddingBackward(Context& context, ConstTensor ids, ConstTensor dy,
                                   Tensor dtable) {
  const int64_t rows = ids.dim(0), d = dtable.dim(1), limit = dtable.dim(0);
  cpu::CheckShape(dy, {rows, d}, "dy");
  FATHOM_CHECK(ids.rank() == 1 && dtable.dtype() == DType::kF32);
  const auto* id = ids.data<int32_t>();
  const Element from = ElementOf(dy);
  const auto size = static_cast<int64_t>(SizeOf(dy.dtype()));
  // Each thread takes columns of its own, so that every sum runs over ascending rows.
  const int64_t grain =
      std::max<int64_t>(64, cpu::kGrainElements / std::max<int64_t>(1, rows) / 64 * 64);
  context.pool->ParallelFor(d, grain, [&](int64_t begin, int64_t end, int) {
    for (int64_t r = 0; r < rows; ++r) {
      FATHOM_CHECK(id[r] >= 0 && id[r] < limit, "row {} of {}", id[r], limit);
      kernels_.add(from, At(dy, r) + begin * size, Element::kF32,
                   At(dtable, id[r]) + begin * static_cast<int64_t>(sizeof(float)), end - begin);
    }
  });
}

// ---- SwiGLU

void CpuBackend::SwiGlu(Context& context, ConstTensor gate_up, Tensor y) {
  const int64_t rows = y.dim(0), d = y.dim(1);
  cpu::CheckShape(gate_up, {rows, 2 * d}, "gate_up");
  const Element from = ElementOf(gate_up), to = ElementOf(y);
  cpu::ForRows(*context.pool, rows, 4 * d, [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) kernels_.swiglu(from, At(gate_up, r), to, At(y, r), d);
  });
}

void CpuBackend::SwiGluBackward(Context& context, ConstTensor dy, ConstTensor gate_up,
                                ConstTensor row_weight, Tensor dgate_up, Tensor y,
                                Tensor drow_weight) {
  const int64_t rows = dy.dim(0), d = dy.dim(1);
  cpu::CheckShape(gate_up, {rows, 2 * d}, "gate_up");
  cpu::CheckShape(dgate_up, {rows, 2 * d}, "dgate_up");
  FATHOM_CHECK(dy.dtype() == gate_up.dtype() && dy.dtype() == dgate_up.dtype());
  if (!row_weight.empty()) cpu::CheckShape(row_weight, {rows}, "row_weight");
  if (!drow_weight.empty()) cpu::CheckShape(drow_weight, {rows}, "drow_weight");
  if (!y.empty()) {
    cpu::CheckShape(y, {rows, d}, "y");
    FATHOM_CHECK(y.dtype() == dy.dtype());
  }
  const float* weight = row_weight.empty() ? nullptr : row_weight.data<float>();
  float* dweight = drow_weight.empty() ? nullptr : drow_weight.data<float>();
  cpu::ForRows(*context.pool, rows, 6 * d, [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) {
      cpu::SwiGluBackwardArgs args;
      args.type = ElementOf(dy);
      args.dy = At(dy, r);
      args.gate_up = At(gate_up, r);
      args.weight = weight ? weight[r] : 1.0f;
      args.d = d;
      args.dgate_up = At(dgate_up, r);
      args.y = y.empty() ? nullptr : At(y, r);
      const float sum = kernels_.swiglu_backward(args);
      if (dweight) dweight[r] = sum;
    }
  });
}

}  // namespace fathom

#include "backend/cpu/coded.h"

#include <algorithm>
#include <vector>

namespace fathom::cpu {

Blocks BlocksOf(DType coded) {
  switch (coded) {
    case DType::kQ8_0:
      return Blocks::kQ8_0;
    case DType::kQ4_0:
      return Blocks::kQ4_0;
    case DType::kQ4K:
      return Blocks::kQ4K;
    case DType::kQ6K:
      return Blocks::kQ6K;
    default:
      FATHOM_CHECK(false, "{} is not block-coded", Name(coded));
  }
}

int64_t CodedPanelBytes(const KernelTable& kernels, DType coded, int64_t k) {
  const BlockShape shape = ShapeOf(BlocksOf(coded));
  FATHOM_CHECK(k % shape.elements == 0, "rows of {} in {}", k, Name(coded));
  return k / shape.elements * shape.bytes * kernels.panel;
}

void PackCodedPanels(const KernelTable& kernels, const CodedRows& rows, int64_t begin, int64_t end,
                     const PackedMatrix& packed) {
  const Blocks type = BlocksOf(packed.dtype);
  const int64_t bytes = CodedPanelBytes(kernels, packed.dtype, packed.k);
  std::vector<const void*> lanes(static_cast<size_t>(kernels.panel));
  for (int64_t panel = begin; panel < end; ++panel) {
    const int64_t first = panel * kernels.panel;
    const int64_t count = std::min(kernels.panel, packed.n - first);
    std::copy_n(rows.rows.begin() + first, count, lanes.begin());
    kernels.coded->pack_panel(type, lanes.data(), count, packed.k / ShapeOf(type).elements,
                              static_cast<std::byte*>(packed.data) + panel * bytes);
  }
}

namespace {

// A's rows as integers, and what the kernels ask for.
struct CodedScratch {
  std::byte *a, *kernel;
  int64_t bytes;

  CodedScratch(void* data, const KernelTable& kernels, const PackedMatrix& b, int64_t rows) {
    Scratch scratch(data);
    a = scratch.Take<std::byte>(rows * kernels.coded->row_bytes(BlocksOf(b.dtype), b.k));
    kernel = scratch.Take<std::byte>(kernels.coded->scratch_bytes(rows));
    bytes = scratch.bytes();
  }
};

}  // namespace

int64_t CodedScratchBytes(const KernelTable& kernels, const PackedMatrix& b, int64_t rows) {
  return CodedScratch(nullptr, kernels, b, rows).bytes;
}

void MultiplyCodedPanels(const KernelTable& kernels, const MatrixRows& a, const PackedMatrix& b,
                         const Tensor& c, bool accumulate, int64_t row, int64_t count,
                         int64_t begin, int64_t end, void* scratch) {
  const Blocks type = BlocksOf(b.dtype);
  const CodedScratch memory(scratch, kernels, b, count);
  std::vector<const void*> rows(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) rows[static_cast<size_t>(i)] = At(a, row + i);
  kernels.coded->quantize_strips(type, ElementOf(a), rows.data(), count, b.k, memory.a);
  const int64_t column = begin * kernels.panel;
  MultiplyCodedArgs args;
  args.type = type;
  args.a = memory.a;
  args.rows = count;
  args.b = static_cast<const std::byte*>(b.data) + begin * CodedPanelBytes(kernels, b.dtype, b.k);
  args.columns = std::min(b.n, end * kernels.panel) - column;
  args.depth = b.k;
  args.c = At(c, row) + column * static_cast<int64_t>(fathom::SizeOf(c.dtype()));
  args.c_stride = c.stride(0);
  args.c_type = ElementOf(c);
  args.accumulate = accumulate;
  args.scratch = memory.kernel;
  kernels.coded->multiply(args);
}

}  // namespace fathom::cpu

#include <algorithm>

#include "backend/cpu/coded.h"
#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/fp8.h"
#include "backend/cpu/work.h"

namespace fathom {
namespace {

using cpu::At;
using cpu::Element;
using cpu::ElementOf;
using cpu::Strips;

// Rows of A that are packed and multiplied at a time: their strips stay in the second-level cache
// while the panels of B pass by.
constexpr int64_t kBlockBytes = 256 << 10;
constexpr int64_t kMostBlockRows = 192;
// Codes are decoded for every block of rows: fewer, larger blocks.
constexpr int64_t kDecodedBlockBytes = 512 << 10;
constexpr int64_t kMostDecodedRows = 384;
// Integers are passed by so much faster than they are multiplied that the third level will do.
constexpr int64_t kCodedBlockBytes = 2 << 20;
// A thread is worth waking for about this many multiply-adds (a few microseconds).
constexpr int64_t kLeastCost = 1 << 18;
// Passing a panel costs about as much as this many rows of arithmetic.
constexpr int64_t kPanelRows = 6;

struct Block {
  const MatmulProblem* problem;
  int64_t begin, rows;
  float at_least;  // of A's scales
};

// The type that a product multiplies in.
Element ProductType(const PackedMatrix& b) {
  return IsQuantized(b.dtype) ? Element::kBF16 : ElementOf(b.dtype);
}

// The stride, in 32-bit words, of rows that are multiplied without being packed; 0 if they have to
// be.
int64_t StrideAsTheyLie(const MatrixRows& a, Element type) {
  if (!a.index().empty() || ElementOf(a) != type) return 0;
  const int64_t size = cpu::SizeOf(type), stride = a.matrix().stride(0) * size;
  const bool whole_words = stride % 4 == 0 && a.columns() * size % 4 == 0 &&
                           reinterpret_cast<uintptr_t>(a.matrix().raw()) % 4 == 0;
  return whole_words && stride % cpu::kConflictBytes != 0 ? stride / 4 : 0;
}

// Most rows of a problem's blocks.
int64_t MostRows(const cpu::KernelTable& kernels, const PackedMatrix& b) {
  if (IsBlockCoded(b.dtype)) {
    const int64_t row = std::max<int64_t>(1, kernels.coded->row_bytes(cpu::BlocksOf(b.dtype), b.k));
    return std::clamp(kCodedBlockBytes / row, int64_t{24}, kMostBlockRows);
  }
  const Element type = ProductType(b);
  const int64_t strip = cpu::StripRows(kernels, type);
  const int64_t row = std::max<int64_t>(1, cpu::EvenDepth(type, b.k)) * cpu::SizeOf(type);
  const bool decoded = IsQuantized(b.dtype);
  const int64_t bytes = decoded ? kDecodedBlockBytes : kBlockBytes;
  return std::clamp(bytes / row, strip, decoded ? kMostDecodedRows : kMostBlockRows) / strip *
         strip;
}

// What a thread needs for one block of rows: A in strips, and for FP8 its scales, the values of one
// strip before it is packed, and one panel of B.
struct BlockMemory {
  std::byte* a;
  float* scales = nullptr;
  std::byte *values = nullptr, *panel = nullptr;
  int64_t bytes;

  BlockMemory(void* data, const cpu::KernelTable& kernels, const PackedMatrix& b, int64_t rows) {
    const Element type = ProductType(b);
    const int64_t depth = cpu::EvenDepth(type, b.k);
    cpu::Scratch scratch(data);
    a = scratch.Take<std::byte>(rows * cpu::LineDepth(type, b.k) * cpu::SizeOf(type));
    if (IsQuantized(b.dtype)) {
      scales = scratch.Take<float>(rows * cpu::ScaleBlocks(b.k));
      values = scratch.Take<std::byte>(cpu::RoundedStripBytes(kernels, b.k));
      panel = scratch.Take<std::byte>(depth * kernels.panel * 2);
    }
    bytes = scratch.bytes();
  }
};

// Multiplies a block of rows, packed, with panels [begin, end) of B, each decoded before its use.
void MultiplyCodePanels(const cpu::KernelTable& kernels, const PackedMatrix& b, int64_t begin,
                        int64_t end, const BlockMemory& memory, cpu::MultiplyArgs args) {
  const cpu::CodePanels layout(kernels, b.n, b.k);
  args.a_scales = memory.scales;
  args.b = memory.panel;
  auto* c = static_cast<std::byte*>(args.c);
  for (int64_t panel = begin; panel < end; ++panel) {
    kernels.decode_codes(layout.Codes(b, panel), layout.panel_codes,
                         reinterpret_cast<uint16_t*>(memory.panel));
    args.b_scales = layout.Scales(b, panel);
    args.columns = std::min(kernels.panel, b.n - panel * kernels.panel);
    args.c = c + (panel - begin) * kernels.panel * cpu::SizeOf(args.c_type);
    kernels.multiply(args);
  }
}

}  // namespace

void CpuBackend::Matmul(Context& context, std::span<const MatmulProblem> problems) {
  std::vector<Block> blocks;
  cpu::WorkList work;
  int64_t scratch_bytes = 0;
  for (const MatmulProblem& problem : problems) {
    const int64_t m = problem.a.rows(), k = problem.a.columns(), n = problem.b->n;
    FATHOM_CHECK(problem.a.matrix().rank() == 2 && problem.b->k == k, "A is {}, B [{}, {}]",
                 problem.a.shape().ToString(), n, problem.b->k);
    cpu::CheckShape(problem.c, {m, n}, "C");
    FATHOM_CHECK(!IsQuantized(problem.a.dtype()) || problem.a.dtype() == problem.b->dtype,
                 "A is {}, B {}", Name(problem.a.dtype()), Name(problem.b->dtype));
    if (m == 0 || n == 0) continue;
    const Strips cut = Strips::Of(m, MostRows(kernels_, *problem.b));
    const int64_t panels = (n + kernels_.panel - 1) / kernels_.panel;
    const bool one_scale =
        problem.b->dtype == DType::kE4M3Tensor && !IsQuantized(problem.a.dtype());
    const float at_least = one_scale ? cpu::TensorMagnitude(kernels_, *context.pool, problem.a) : 0;
    for (int64_t i = 0; i < cut.count; ++i) {
      const int64_t begin = cut.Begin(i), rows = cut.Begin(i + 1) - begin;
      blocks.push_back({&problem, begin, rows, at_least});
      work.Add(panels, (rows + kPanelRows) * std::max<int64_t>(k, 1) * kernels_.panel);
      scratch_bytes =
          std::max(scratch_bytes, IsBlockCoded(problem.b->dtype)
                                      ? cpu::CodedScratchBytes(kernels_, *problem.b, rows)
                                      : BlockMemory(nullptr, kernels_, *problem.b, rows).bytes);
    }
  }
  if (blocks.empty()) return;

  ArenaScope scope(*context.workspace);
  const int parts = work.Parts(*context.pool, kLeastCost);
  auto* scratch = static_cast<std::byte*>(
      context.workspace->NewBytes(static_cast<size_t>(parts * scratch_bytes)));

  work.Run(*context.pool, parts, [&](int part, int64_t item, int64_t begin, int64_t end) {
    const Block& block = blocks[static_cast<size_t>(item)];
    const MatrixRows& a = block.problem->a;
    const PackedMatrix& b = *block.problem->b;
    const Tensor& c = block.problem->c;
    if (IsBlockCoded(b.dtype)) {
      cpu::MultiplyCodedPanels(kernels_, a, b, c, block.problem->accumulate, block.begin,
                               block.rows, begin, end, scratch + part * scratch_bytes);
      return;
    }
    const Element type = ProductType(b);
    const BlockMemory memory(scratch + part * scratch_bytes, kernels_, b, block.rows);
    const int64_t column = begin * kernels_.panel;
    cpu::MultiplyArgs args;
    args.type = type;
    args.a = memory.a;
    args.rows = block.rows;
    args.depth = b.k;
    args.c = At(c, block.begin) + column * static_cast<int64_t>(SizeOf(c.dtype()));
    args.c_stride = c.stride(0);
    args.c_type = ElementOf(c);
    args.accumulate = block.problem->accumulate;
    if (IsQuantized(b.dtype)) {
      cpu::PackRoundedStrips(kernels_, b.dtype, a, block.begin, block.rows, block.at_least,
                             memory.values, memory.a, memory.scales);
      MultiplyCodePanels(kernels_, b, begin, end, memory, args);
      return;
    }
    if (const int64_t stride = StrideAsTheyLie(a, type); stride != 0) {
      args.a = At(a, block.begin);
      args.a_stride = stride;
    } else {
      const void* rows[kMostBlockRows];
      for (int64_t i = 0; i < block.rows; ++i) rows[i] = At(a, block.begin + i);
      kernels_.pack_row_strips(ElementOf(a), type, rows, block.rows, b.k, memory.a);
    }
    args.b = static_cast<const std::byte*>(b.data) +
             column * cpu::EvenDepth(type, b.k) * cpu::SizeOf(type);
    args.columns = std::min(b.n, end * kernels_.panel) - column;
    kernels_.multiply(args);
  });
}

}  // namespace fathom

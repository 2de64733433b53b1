#include <algorithm>

#include "backend/cpu/cpu_backend.h"
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
// A thread is worth waking for about this many multiply-adds (a few microseconds).
constexpr int64_t kLeastCost = 1 << 18;
// Passing a panel costs about as much as this many rows of arithmetic.
constexpr int64_t kPanelRows = 6;

int64_t EvenDepth(Element type, int64_t depth) {
  return type == Element::kF32 ? depth : (depth + 1) / 2 * 2;
}

int64_t StripRows(const cpu::KernelTable& kernels, Element type) {
  return type == Element::kF32 ? kernels.strip_f32 : kernels.strip_bf16;
}

struct Block {
  const MatmulProblem* problem;
  int64_t begin, rows;
};

}  // namespace

void CpuBackend::Matmul(Context& context, std::span<const MatmulProblem> problems) {
  std::vector<Block> blocks;
  cpu::WorkList work;
  int64_t scratch_bytes = 0;
  for (const MatmulProblem& problem : problems) {
    const int64_t m = problem.a.dim(0), k = problem.a.dim(1), n = problem.b->n;
    FATHOM_CHECK(problem.a.rank() == 2 && problem.b->k == k, "A is {}, B [{}, {}]",
                 problem.a.shape().ToString(), n, problem.b->k);
    cpu::CheckShape(problem.c, {m, n}, "C");
    if (m == 0 || n == 0) continue;
    const Element type = ElementOf(problem.b->dtype);
    const int64_t strip = StripRows(kernels_, type);
    const int64_t row_bytes = std::max<int64_t>(1, EvenDepth(type, k)) * cpu::SizeOf(type);
    const int64_t most =
        std::clamp(kBlockBytes / row_bytes, strip, std::max(strip, kMostBlockRows)) / strip * strip;
    const Strips cut = Strips::Of(m, most);
    const int64_t panels = (n + kernels_.panel - 1) / kernels_.panel;
    for (int64_t i = 0; i < cut.count; ++i) {
      const int64_t begin = cut.Begin(i), rows = cut.Begin(i + 1) - begin;
      blocks.push_back({&problem, begin, rows});
      work.Add(panels, (rows + kPanelRows) * std::max<int64_t>(k, 1) * kernels_.panel);
      scratch_bytes = std::max(scratch_bytes, rows * row_bytes);
    }
  }
  if (blocks.empty()) return;

  ArenaScope scope(*context.workspace);
  const int parts = work.Parts(*context.pool, kLeastCost);
  scratch_bytes = cpu::Scratch::Round(scratch_bytes);
  auto* scratch = static_cast<std::byte*>(
      context.workspace->NewBytes(static_cast<size_t>(parts * scratch_bytes)));

  work.Run(*context.pool, parts, [&](int part, int64_t item, int64_t begin, int64_t end) {
    const Block& block = blocks[static_cast<size_t>(item)];
    const ConstTensor& a = block.problem->a;
    const PackedMatrix& b = *block.problem->b;
    const Tensor& c = block.problem->c;
    const Element type = ElementOf(b.dtype);
    const int64_t depth = EvenDepth(type, b.k);
    std::byte* packed_a = scratch + part * scratch_bytes;

    const void* rows[kMostBlockRows];
    for (int64_t i = 0; i < block.rows; ++i) rows[i] = At(a, block.begin + i);
    kernels_.pack_row_strips(ElementOf(a), type, rows, block.rows, b.k, packed_a);

    const int64_t column = begin * kernels_.panel;
    cpu::MultiplyArgs args;
    args.type = type;
    args.a = packed_a;
    args.rows = block.rows;
    args.b = static_cast<const std::byte*>(b.data) + column * depth * cpu::SizeOf(type);
    args.columns = std::min(b.n, end * kernels_.panel) - column;
    args.depth = b.k;
    args.c = At(c, block.begin) + column * static_cast<int64_t>(SizeOf(c.dtype()));
    args.c_stride = c.stride(0);
    args.c_type = ElementOf(c);
    args.accumulate = block.problem->accumulate;
    kernels_.multiply(args);
  });
}

// ---- Packing of weights

size_t CpuBackend::PackedBytes(DType dtype, int64_t n, int64_t k) const {
  const Element type = ElementOf(dtype);
  const int64_t panels = (n + kernels_.panel - 1) / kernels_.panel;
  return static_cast<size_t>(panels * kernels_.panel * EvenDepth(type, k) * cpu::SizeOf(type));
}

namespace {

// Rows of the stack that a panel needs, as f32 or bf16: f64 rows are rounded into `converted`.
class StackRows {
 public:
  explicit StackRows(std::span<const ConstTensor> parts) : parts_(parts) {}

  // The stack's rows [begin, begin + count), from column `first`, `width` elements of each, into
  // rows[]. They are of one type: f64 and mixed stacks come as f32.
  Element Fetch(int64_t begin, int64_t count, int64_t first, int64_t width, const void** rows,
                std::vector<float>* converted) const {
    DType common = parts_[0].dtype();
    for (const ConstTensor& part : parts_) {
      if (part.dtype() != common) common = DType::kF64;
    }
    if (common == DType::kF64) converted->resize(static_cast<size_t>(count * width));
    int64_t i = 0, skip = begin;
    for (const ConstTensor& part : parts_) {
      for (; i < count && skip < part.dim(0); ++i, ++skip) {
        const std::byte* row = At(part, skip) + first * static_cast<int64_t>(SizeOf(part.dtype()));
        if (common != DType::kF64) {
          rows[i] = row;
          continue;
        }
        float* to = converted->data() + i * width;
        for (int64_t j = 0; j < width; ++j) to[j] = LoadFloat(part.dtype(), row, j);
        rows[i] = to;
      }
      skip -= part.dim(0);
      if (skip < 0) skip = 0;
    }
    return common == DType::kBF16 ? Element::kBF16 : Element::kF32;
  }

 private:
  static float LoadFloat(DType dtype, const std::byte* row, int64_t j) {
    switch (dtype) {
      case DType::kF64:
        return static_cast<float>(reinterpret_cast<const double*>(row)[j]);
      case DType::kF32:
        return reinterpret_cast<const float*>(row)[j];
      case DType::kBF16:
        return static_cast<float>(reinterpret_cast<const BF16*>(row)[j]);
      case DType::kI32:
        break;
    }
    FATHOM_CHECK(false, "a weight of {}", Name(dtype));
  }

  std::span<const ConstTensor> parts_;
};

}  // namespace

void CpuBackend::Pack(Context& context, std::span<const ConstTensor> parts, bool transposed,
                      const PackedMatrix& packed) {
  FATHOM_CHECK(packed.bytes >= PackedBytes(packed.dtype, packed.n, packed.k) && !parts.empty());
  int64_t stacked = 0;
  for (const ConstTensor& part : parts) {
    FATHOM_CHECK(part.rank() == 2 && part.dim(1) == (transposed ? packed.n : packed.k),
                 "a part {} of [{}, {}]", part.shape().ToString(), packed.n, packed.k);
    stacked += part.dim(0);
  }
  FATHOM_CHECK(stacked == (transposed ? packed.k : packed.n), "{} rows in [{}, {}]", stacked,
               packed.n, packed.k);
  const Element type = ElementOf(packed.dtype);
  const int64_t width = kernels_.panel;
  const int64_t panel_bytes = width * EvenDepth(type, packed.k) * cpu::SizeOf(type);
  const int64_t panels = (packed.n + width - 1) / width;
  const StackRows stack(parts);
  // A transpose reads this many panels' columns of a row at a time.
  const int64_t at_a_time = transposed ? 8 : 1;
  cpu::ForRows(*context.pool, panels, width * packed.k, [&](int64_t begin, int64_t end, int) {
    std::vector<const void*> rows(static_cast<size_t>(transposed ? packed.k : width));
    std::vector<float> converted;
    for (int64_t p = begin; p < end; p += at_a_time) {
      const int64_t first = p * width;
      const int64_t count = std::min(packed.n, std::min(end, p + at_a_time) * width) - first;
      std::byte* out = static_cast<std::byte*>(packed.data) + p * panel_bytes;
      if (transposed) {
        const Element from = stack.Fetch(0, packed.k, first, count, rows.data(), &converted);
        kernels_.pack_column_panels(from, type, rows.data(), 0, packed.k, count, out);
      } else {
        const Element from = stack.Fetch(first, count, 0, packed.k, rows.data(), &converted);
        kernels_.pack_row_panels(from, type, rows.data(), count, packed.k, out);
      }
    }
  });
}

// ---- The gradient of weights

namespace {

// Tokens whose operands are packed at a time.
constexpr int64_t kTokensAtATime = 4 * Backend::kWeightGradientBlock;
// Strips of rows of dW that are one unit of work.
constexpr int64_t kUnitStrips = 4;

// The rows of dW [n, k] in units. Strips of a unit are those of the whole: an even cut of a run of
// nearly equal strips is the run itself.
struct GradientUnits {
  Strips strips;
  int64_t count;

  GradientUnits(int64_t n, int64_t strip)
      : strips(Strips::Of(n, strip)), count((strips.count + kUnitStrips - 1) / kUnitStrips) {}
  int64_t Begin(int64_t unit) const {
    return unit < count ? strips.Begin(unit * kUnitStrips) : strips.rows;
  }
};

// One problem's tokens [begin, end), at most one block, and where their packed operands are.
struct TokenBlock {
  const WeightGradientProblem* problem;
  int64_t begin, end;
  std::byte *dy, *x;
};

}  // namespace

void CpuBackend::MatmulBackwardWeight(Context& context,
                                      std::span<const WeightGradientProblem> problems) {
  int64_t most_tokens = 0;
  for (const WeightGradientProblem& problem : problems) {
    const int64_t tokens = problem.dy.dim(0), n = problem.dy.dim(1);
    cpu::CheckShape(problem.x, {tokens, problem.x.dim(1)}, "X");
    cpu::CheckShape(problem.dw, {n, problem.x.dim(1)}, "dW");
    FATHOM_CHECK(problem.dy.dtype() == problem.x.dtype() && problem.dw.dtype() == DType::kF32);
    most_tokens = std::max(most_tokens, tokens);
  }

  const int64_t width = kernels_.panel;
  for (int64_t start = 0; start < most_tokens; start += kTokensAtATime) {
    ArenaScope scope(*context.workspace);
    std::vector<TokenBlock> blocks;
    std::vector<size_t> first_block;  // by problem
    cpu::WorkList packing, multiplying;
    for (const WeightGradientProblem& problem : problems) {
      const int64_t n = problem.dy.dim(1), k = problem.x.dim(1);
      const int64_t stop = std::min(problem.dy.dim(0), start + kTokensAtATime);
      const int64_t panels = (k + width - 1) / width;
      const Element type = ElementOf(problem.x);
      const GradientUnits units(n, StripRows(kernels_, type));
      const int64_t unit_rows = units.count > 0 ? (n + units.count - 1) / units.count : 0;
      first_block.push_back(blocks.size());
      int64_t tokens = 0;
      for (int64_t begin = start; begin < stop; begin += kWeightGradientBlock) {
        const int64_t end = std::min(stop, begin + kWeightGradientBlock);
        const int64_t bytes = EvenDepth(type, end - begin) * cpu::SizeOf(type);
        blocks.push_back(
            {&problem, begin, end,
             static_cast<std::byte*>(context.workspace->NewBytes(static_cast<size_t>(n * bytes))),
             static_cast<std::byte*>(
                 context.workspace->NewBytes(static_cast<size_t>(panels * width * bytes)))});
        packing.Add(units.count, (end - begin) * unit_rows);
        packing.Add(panels, (end - begin) * width);
        tokens += end - begin;
      }
      multiplying.Add(
          tokens > 0 && k > 0 ? units.count : 0,
          (tokens + 2 * static_cast<int64_t>(blocks.size() - first_block.back())) * unit_rows * k);
    }
    first_block.push_back(blocks.size());
    if (blocks.empty()) continue;

    const int parts = multiplying.Parts(*context.pool, kLeastCost);
    packing.Run(*context.pool, parts, [&](int, int64_t item, int64_t unit, int64_t unit_end) {
      const TokenBlock& block = blocks[static_cast<size_t>(item / 2)];
      const bool is_x = item % 2 == 1;
      const ConstTensor& from = is_x ? block.problem->x : block.problem->dy;
      const Element type = ElementOf(from);
      const int64_t tokens = block.end - block.begin;
      const int64_t bytes = EvenDepth(type, tokens) * cpu::SizeOf(type);
      const void* rows[kWeightGradientBlock];
      for (int64_t t = 0; t < tokens; ++t) rows[t] = At(from, block.begin + t);
      if (is_x) {
        const int64_t first = unit * width;
        kernels_.pack_column_panels(type, type, rows, first, tokens,
                                    std::min(from.dim(1), unit_end * width) - first,
                                    block.x + first * bytes);
        return;
      }
      const GradientUnits units(from.dim(1), StripRows(kernels_, type));
      const int64_t first = units.Begin(unit);
      kernels_.pack_column_strips(type, type, rows, first, tokens, units.Begin(unit_end) - first,
                                  block.dy + first * bytes);
    });

    multiplying.Run(*context.pool, parts, [&](int, int64_t item, int64_t unit, int64_t unit_end) {
      const WeightGradientProblem& problem = problems[static_cast<size_t>(item)];
      cpu::MultiplyArgs args;
      args.type = ElementOf(problem.x);
      const GradientUnits units(problem.dy.dim(1), StripRows(kernels_, args.type));
      args.columns = problem.x.dim(1);
      args.c_stride = problem.dw.stride(0);
      args.accumulate = true;
      for (size_t i = first_block[static_cast<size_t>(item)];
           i < first_block[static_cast<size_t>(item) + 1]; ++i) {
        const TokenBlock& block = blocks[i];
        args.depth = block.end - block.begin;
        args.b = block.x;
        for (int64_t u = unit; u < unit_end; ++u) {
          const int64_t first = units.Begin(u);
          args.rows = units.Begin(u + 1) - first;
          args.a = block.dy + first * EvenDepth(args.type, args.depth) * cpu::SizeOf(args.type);
          args.c = At(problem.dw, first);
          kernels_.multiply(args);
        }
      }
    });
  }
}

}  // namespace fathom

#include <algorithm>

#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/fp8.h"
#include "backend/cpu/work.h"

namespace fathom {

using cpu::At;
using cpu::Element;
using cpu::ElementOf;
using cpu::EvenDepth;
using cpu::StripRows;
using cpu::Strips;

namespace {

// A thread is worth waking for about this many multiply-adds (a few microseconds).
constexpr int64_t kLeastCost = 1 << 18;
// Tokens whose operands are packed at a time.
constexpr int64_t kTokensAtATime = 4 * Backend::kWeightGradientBlock;
// Problems are packed and multiplied together as long as their operands take no more: what is
// packed is still in the cache when it is multiplied.
constexpr int64_t kPackedBytes = 2 << 20;
// Strips of dY that are multiplied with a panel of X one after the other, while it is near.
constexpr int64_t kStripsAtATime = 4;
// Passing an element of dW costs about as much as this many multiply-adds.
constexpr int64_t kReadAndWrite = 8;
// Up to this many tokens a problem has few.
constexpr int64_t kFewTokens = 64;

// One problem's tokens [begin, end), at most one block, and where their packed operands are; with
// fp8 the scales [n, tiles] and [panels, tiles, panel].
struct TokenBlock {
  const WeightGradientProblem* problem;
  int64_t begin, end;
  std::byte *dy, *x;
  float *dy_scales = nullptr, *x_scales = nullptr;
  float dy_at_least = 0, x_at_least = 0;  // of the scales
};

// The type that a problem multiplies in.
Element ProductType(const WeightGradientProblem& problem) {
  return problem.fp8 ? Element::kBF16 : ElementOf(problem.x);
}

// Most rows of a strip. With few tokens dW is nearly all that there is to read and write: few of
// its rows at a time, from left to right.
int64_t StripOf(const cpu::KernelTable& kernels, const WeightGradientProblem& problem) {
  return problem.dy.dim(0) <= kFewTokens && !problem.fp8 ? kernels.strip_few
                                                         : StripRows(kernels, ProductType(problem));
}

// Packs strips of dY, or panels of X, of one block of tokens.
void PackOperand(const cpu::KernelTable& kernels, const TokenBlock& block, bool is_x, int64_t unit,
                 int64_t unit_end, void* scratch) {
  const ConstTensor& from = is_x ? block.problem->x : block.problem->dy;
  const Element type = ProductType(*block.problem);
  const int64_t tokens = block.end - block.begin;
  const int64_t bytes = EvenDepth(type, tokens) * cpu::SizeOf(type);
  const int64_t strip = StripOf(kernels, *block.problem);
  const Strips strips = Strips::Of(from.dim(1), strip);
  const int64_t first = is_x ? unit * kernels.panel : strips.Begin(unit);
  const int64_t end =
      is_x ? std::min(from.dim(1), unit_end * kernels.panel) : strips.Begin(unit_end);
  std::byte* packed = (is_x ? block.x : block.dy) + first * bytes;
  if (block.problem->fp8) {
    float* scales = (is_x ? block.x_scales : block.dy_scales) + first * cpu::ScaleBlocks(tokens);
    cpu::PackRoundedColumns(kernels, from, block.begin, block.end, first, end - first,
                            is_x ? block.x_at_least : block.dy_at_least, !is_x, scratch, packed,
                            scales);
    return;
  }
  const void* rows[Backend::kWeightGradientBlock];
  for (int64_t t = 0; t < tokens; ++t) rows[t] = At(from, block.begin + t);
  if (is_x) {
    kernels.pack_column_panels(type, type, rows, first, tokens, end - first, packed);
  } else {
    kernels.pack_column_strips(type, type, rows, first, tokens, end - first, strip, packed);
  }
}

// Of both operands, packed.
int64_t OperandBytes(const WeightGradientProblem& problem) {
  return problem.dy.dim(0) * (problem.dy.dim(1) + problem.x.dim(1)) *
         cpu::SizeOf(ProductType(problem));
}

}  // namespace

void CpuBackend::MatmulBackwardWeight(Context& context,
                                      std::span<const WeightGradientProblem> problems) {
  while (!problems.empty()) {
    size_t count = 1;
    int64_t bytes = OperandBytes(problems[0]);
    while (count < problems.size() && bytes + OperandBytes(problems[count]) <= kPackedBytes)
      bytes += OperandBytes(problems[count++]);
    BackwardWeightTogether(context, problems.first(count));
    problems = problems.subspan(count);
  }
}

void CpuBackend::BackwardWeightTogether(Context& context,
                                        std::span<const WeightGradientProblem> problems) {
  int64_t most_tokens = 0;
  bool any_fp8 = false;
  for (const WeightGradientProblem& problem : problems) {
    const int64_t tokens = problem.dy.dim(0), n = problem.dy.dim(1);
    cpu::CheckShape(problem.x, {tokens, problem.x.dim(1)}, "X");
    cpu::CheckShape(problem.dw, {n, problem.x.dim(1)}, "dW");
    FATHOM_CHECK((problem.fp8 || problem.dy.dtype() == problem.x.dtype()) &&
                     problem.dw.dtype() == DType::kF32,
                 "dY is {}, X {}", Name(problem.dy.dtype()), Name(problem.x.dtype()));
    any_fp8 = any_fp8 || problem.fp8;
    most_tokens = std::max(most_tokens, tokens);
  }

  const int64_t width = kernels_.panel;
  const auto new_bytes = [&](int64_t bytes) {
    return static_cast<std::byte*>(context.workspace->NewBytes(static_cast<size_t>(bytes)));
  };
  for (int64_t start = 0; start < most_tokens; start += kTokensAtATime) {
    ArenaScope scope(*context.workspace);
    std::vector<TokenBlock> blocks;
    std::vector<size_t> first_block;  // by problem
    cpu::WorkList packing, multiplying;
    for (const WeightGradientProblem& problem : problems) {
      const int64_t n = problem.dy.dim(1), k = problem.x.dim(1);
      const int64_t stop = std::min(problem.dy.dim(0), start + kTokensAtATime);
      const int64_t panels = (k + width - 1) / width;
      const Element type = ProductType(problem);
      const Strips strips = Strips::Of(n, StripOf(kernels_, problem));
      const int64_t strip_rows = strips.count > 0 ? (n + strips.count - 1) / strips.count : 0;
      first_block.push_back(blocks.size());
      float dy_at_least = 0, x_at_least = 0;
      if (problem.per_tensor) {
        dy_at_least = cpu::TensorMagnitude(kernels_, *context.pool, problem.dy);
        x_at_least = cpu::TensorMagnitude(kernels_, *context.pool, problem.x);
      }
      int64_t tokens = 0;
      for (int64_t begin = start; begin < stop; begin += kWeightGradientBlock) {
        const int64_t end = std::min(stop, begin + kWeightGradientBlock);
        const int64_t bytes = EvenDepth(type, end - begin) * cpu::SizeOf(type);
        TokenBlock block{&problem, begin, end, new_bytes(n * bytes),
                         new_bytes(panels * width * bytes)};
        block.dy_at_least = dy_at_least;
        block.x_at_least = x_at_least;
        if (problem.fp8) {
          const int64_t scale_bytes = cpu::ScaleBlocks(end - begin) * 4;
          block.dy_scales = reinterpret_cast<float*>(new_bytes(n * scale_bytes));
          block.x_scales = reinterpret_cast<float*>(new_bytes(panels * width * scale_bytes));
        }
        blocks.push_back(block);
        packing.Add(strips.count, (end - begin) * strip_rows);
        packing.Add(panels, (end - begin) * width);
        tokens += end - begin;
      }
      multiplying.Add(
          tokens > 0 && k > 0 ? strips.count : 0,
          (tokens + kReadAndWrite * static_cast<int64_t>(blocks.size() - first_block.back())) *
              strip_rows * k);
    }
    first_block.push_back(blocks.size());
    if (blocks.empty()) continue;

    const int parts = multiplying.Parts(*context.pool, kLeastCost);
    const int64_t scratch_bytes =
        any_fp8 ? cpu::RoundedColumnsBytes(kWeightGradientBlock) : int64_t{0};
    std::byte* scratch = new_bytes(parts * scratch_bytes);
    packing.Run(*context.pool, parts, [&](int part, int64_t item, int64_t unit, int64_t unit_end) {
      PackOperand(kernels_, blocks[static_cast<size_t>(item / 2)], item % 2 == 1, unit, unit_end,
                  scratch + part * scratch_bytes);
    });

    multiplying.Run(*context.pool, parts, [&](int, int64_t item, int64_t unit, int64_t unit_end) {
      const WeightGradientProblem& problem = problems[static_cast<size_t>(item)];
      cpu::MultiplyArgs args;
      args.type = ProductType(problem);
      args.strip = StripOf(kernels_, problem);
      const Strips strips = Strips::Of(problem.dy.dim(1), args.strip);
      args.columns = problem.x.dim(1);
      args.c_stride = problem.dw.stride(0);
      args.a_from_columns = true;
      args.accumulate = true;
      for (size_t i = first_block[static_cast<size_t>(item)];
           i < first_block[static_cast<size_t>(item) + 1]; ++i) {
        const TokenBlock& block = blocks[i];
        args.depth = block.end - block.begin;
        args.b = block.x;
        args.b_scales = block.x_scales;
        // A run of strips, cut evenly by itself, is cut into the same strips.
        for (int64_t s = unit; s < unit_end; s += kStripsAtATime) {
          const int64_t first = strips.Begin(s);
          args.rows = strips.Begin(std::min(unit_end, s + kStripsAtATime)) - first;
          args.a = block.dy + first * EvenDepth(args.type, args.depth) * cpu::SizeOf(args.type);
          if (problem.fp8) {
            args.a_scales = block.dy_scales + first * cpu::ScaleBlocks(args.depth);
          }
          args.c = At(problem.dw, first);
          kernels_.multiply(args);
        }
      }
    });
  }
}

}  // namespace fathom

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

constexpr int64_t kBlock = Backend::kWeightGradientBlock;
// A thread is worth waking for about this many multiply-adds (a few microseconds).
constexpr int64_t kLeastCost = 1 << 18;
// Tokens of X that are packed at a time where threads share it.
constexpr int64_t kSharedTokens = 4 * kBlock;
// Strips of dY that are packed together, of a block of tokens: with a narrow X they stay in the
// second-level cache.
constexpr int64_t kPackedStrips = 16;
// Those of them that are multiplied with a panel of X one after the other, while it is near; where
// a strip passes all panels before the next, all.
constexpr int64_t kStripsAtATime = 4;
// Passing an element of dW costs about as much as this many multiply-adds.
constexpr int64_t kReadAndWrite = 8;
// Up to this many tokens a problem has few; the latter where the rows of dW conflict, so that those
// of a larger tile would push each other out.
constexpr int64_t kFewTokens = 16, kFewTokensInConflict = 64;

// The type that a problem multiplies in.
Element ProductType(const WeightGradientProblem& problem) {
  return problem.fp8 ? Element::kBF16 : ElementOf(problem.x);
}

bool SameX(const WeightGradientProblem& a, const WeightGradientProblem& b) {
  const ConstTensor &x = a.x.matrix(), &y = b.x.matrix();
  return x.raw() == y.raw() && x.dtype() == y.dtype() && x.stride(0) == y.stride(0) &&
         a.x.index().raw() == b.x.index().raw() && a.x.shape() == b.x.shape() && a.fp8 == b.fp8 &&
         a.per_tensor == b.per_tensor;
}

// Problems of one X that follow each other (gate and up of an expert): it is packed once. Their
// strips are counted through.
class Group {
 public:
  Group(const cpu::KernelTable& kernels, ThreadPool& pool,
        std::span<const WeightGradientProblem> problems)
      : kernels_(kernels), problems_(problems), type_(ProductType(problems[0])) {
    // With few tokens dW is nearly all that there is to read and write: few of its rows at a time,
    // from left to right.
    const bool conflict =
        problems[0].dw.stride(0) * cpu::SizeOf(Element::kF32) % cpu::kConflictBytes == 0;
    const bool few = x().rows() <= (conflict ? kFewTokensInConflict : kFewTokens) && !fp8();
    strip_ = few ? kernels.strip_few : StripRows(kernels, type_);
    strips_at_a_time_ = few ? kPackedStrips : kStripsAtATime;
    for (const WeightGradientProblem& problem : problems_) {
      first_strip_.push_back(strips_);
      const int64_t n = problem.dy.columns();
      strips_ += Strips::Of(n, strip_).count;
      rows_ += n;
      dy_at_least_.push_back(problem.per_tensor ? cpu::TensorMagnitude(kernels, pool, problem.dy)
                                                : 0.0f);
    }
    if (problems_[0].per_tensor) x_at_least_ = cpu::TensorMagnitude(kernels, pool, x());
  }

  const MatrixRows& x() const { return problems_[0].x; }
  bool fp8() const { return problems_[0].fp8; }
  int64_t strips() const { return strips_; }
  int64_t panels() const { return (x().columns() + kernels_.panel - 1) / kernels_.panel; }
  int64_t StripCost(int64_t tokens) const {
    const int64_t blocks = (tokens + kBlock - 1) / kBlock;
    return strips_ == 0 ? 0 : (tokens + kReadAndWrite * blocks) * rows_ * x().columns() / strips_;
  }

  // Of `tokens`, at most a block, of X; packed strips of dY, and the same with scales.
  int64_t XBytes(int64_t tokens) const {
    const int64_t columns = panels() * kernels_.panel;
    return cpu::Scratch::Round(columns * DepthBytes(tokens)) +
           cpu::Scratch::Round(columns * ScaleBytes(tokens));
  }
  int64_t StripsBytes() const {
    const int64_t rows = kPackedStrips * strip_;
    return cpu::Scratch::Round(rows * DepthBytes(kBlock)) + rows * ScaleBytes(kBlock);
  }

  // Packs panels [begin, end) of the tokens [from, to), at most a block.
  void PackX(int64_t from, int64_t to, int64_t begin, int64_t end, void* scratch,
             std::byte* packed) const {
    const int64_t first = begin * kernels_.panel;
    const int64_t columns = std::min(x().columns(), end * kernels_.panel) - first;
    Pack(x(), from, to, first, columns, x_at_least_, /*strips=*/false, scratch,
         packed + first * DepthBytes(to - from), XScales(packed, to - from, begin));
  }

  // Adds to strips [begin, end) what the tokens [from, to), at most a block, give; `packed_x` is
  // PackX's.
  void Multiply(int64_t from, int64_t to, int64_t begin, int64_t end, std::byte* packed_x,
                void* scratch, std::byte* packed_strips) const {
    for (size_t i = 0; i < problems_.size(); ++i) {
      const Strips strips = Strips::Of(problems_[i].dy.columns(), strip_);
      const int64_t last = std::min(strips.count, end - first_strip_[i]);
      for (int64_t s = std::max<int64_t>(0, begin - first_strip_[i]); s < last;
           s += kPackedStrips) {
        MultiplyStrips(i, from, to, strips, s, std::min(last, s + kPackedStrips), packed_x, scratch,
                       packed_strips);
      }
    }
  }

 private:
  int64_t DepthBytes(int64_t tokens) const { return EvenDepth(type_, tokens) * cpu::SizeOf(type_); }
  int64_t ScaleBytes(int64_t tokens) const {
    return fp8() ? cpu::ScaleBlocks(tokens) * static_cast<int64_t>(sizeof(float)) : 0;
  }
  // Behind the panels: [panels, blocks of scales, panel]; null where there are none.
  float* XScales(std::byte* packed, int64_t tokens, int64_t panel) const {
    if (!fp8()) return nullptr;
    const int64_t codes = panels() * kernels_.panel * DepthBytes(tokens);
    return reinterpret_cast<float*>(packed + cpu::Scratch::Round(codes)) +
           panel * kernels_.panel * cpu::ScaleBlocks(tokens);
  }

  void Pack(const MatrixRows& matrix, int64_t from, int64_t to, int64_t first, int64_t columns,
            float at_least, bool strips, void* scratch, std::byte* packed, float* scales) const {
    if (fp8()) {
      cpu::PackRoundedColumns(kernels_, matrix, from, to, first, columns, at_least, strips, scratch,
                              packed, scales);
      return;
    }
    const void* rows[kBlock];
    for (int64_t t = from; t < to; ++t) rows[t - from] = At(matrix, t);
    if (strips) {
      kernels_.pack_column_strips(type_, type_, rows, first, to - from, columns, strip_, packed);
    } else {
      kernels_.pack_column_panels(type_, type_, rows, first, to - from, columns, packed);
    }
  }

  // A run of strips, cut evenly by itself, is cut into the same strips.
  void MultiplyStrips(size_t problem, int64_t from, int64_t to, const Strips& strips, int64_t begin,
                      int64_t end, std::byte* packed_x, void* scratch, std::byte* packed) const {
    const WeightGradientProblem& p = problems_[problem];
    const int64_t first = strips.Begin(begin), rows = strips.Begin(end) - first, depth = to - from;
    auto* scales =
        fp8() ? reinterpret_cast<float*>(packed + cpu::Scratch::Round(rows * DepthBytes(depth)))
              : nullptr;
    Pack(p.dy, from, to, first, rows, dy_at_least_[problem], /*strips=*/true, scratch, packed,
         scales);
    cpu::MultiplyArgs args;
    args.type = type_;
    args.strip = strip_;
    args.depth = depth;
    args.b = packed_x;
    args.b_scales = XScales(packed_x, depth, 0);
    args.columns = p.x.columns();
    args.c_stride = p.dw.stride(0);
    args.a_from_columns = true;
    args.accumulate = true;
    for (int64_t s = begin; s < end; s += strips_at_a_time_) {
      const int64_t row = strips.Begin(s);
      args.rows = strips.Begin(std::min(end, s + strips_at_a_time_)) - row;
      args.a = packed + (row - first) * DepthBytes(depth);
      if (fp8()) args.a_scales = scales + (row - first) * cpu::ScaleBlocks(depth);
      args.c = At(p.dw, row);
      kernels_.multiply(args);
    }
  }

  const cpu::KernelTable& kernels_;
  std::span<const WeightGradientProblem> problems_;
  Element type_;
  int64_t strip_ = 0, strips_at_a_time_ = 0, strips_ = 0, rows_ = 0;
  std::vector<int64_t> first_strip_;  // by problem
  std::vector<float> dy_at_least_;    // of the scales, by problem
  float x_at_least_ = 0;
};

void Check(const WeightGradientProblem& problem) {
  const int64_t tokens = problem.dy.rows(), n = problem.dy.columns();
  FATHOM_CHECK(problem.x.rows() == tokens, "X has {} rows, dY {}", problem.x.rows(), tokens);
  cpu::CheckShape(problem.dw, {n, problem.x.columns()}, "dW");
  FATHOM_CHECK(
      (problem.fp8 || problem.dy.dtype() == problem.x.dtype()) && problem.dw.dtype() == DType::kF32,
      "dY is {}, X {}", Name(problem.dy.dtype()), Name(problem.x.dtype()));
}

}  // namespace

// A thread takes strips of dW: it packs its strips of dY itself, and X too where all strips of an X
// are its own, a block of tokens at a time, so that what is packed is in its own cache. The few Xs
// that threads share are packed by all of them beforehand.
void CpuBackend::MatmulBackwardWeight(Context& context,
                                      std::span<const WeightGradientProblem> problems) {
  std::vector<Group> groups;
  int64_t most_tokens = 0;
  bool any_fp8 = false;
  while (!problems.empty()) {
    size_t count = 0;
    while (count < problems.size() && SameX(problems[0], problems[count])) Check(problems[count++]);
    groups.emplace_back(kernels_, *context.pool, problems.first(count));
    most_tokens = std::max(most_tokens, problems[0].x.rows());
    any_fp8 = any_fp8 || problems[0].fp8;
    problems = problems.subspan(count);
  }

  for (int64_t start = 0; start < most_tokens; start += kSharedTokens) {
    const auto tokens = [&](const Group& group) {
      return std::clamp<int64_t>(group.x().rows() - start, 0, kSharedTokens);
    };
    const auto x_bytes = [&](const Group& group) {  // of a block
      return group.XBytes(std::min(tokens(group), kBlock));
    };
    cpu::WorkList multiplying, packing;
    for (const Group& group : groups) {
      const int64_t n = tokens(group);
      multiplying.Add(n > 0 && group.x().columns() > 0 ? group.strips() : 0, group.StripCost(n));
    }
    const int parts = multiplying.Parts(*context.pool, kLeastCost);

    ArenaScope scope(*context.workspace);
    const auto new_bytes = [&](int64_t bytes) {
      return static_cast<std::byte*>(context.workspace->NewBytes(static_cast<size_t>(bytes)));
    };
    // By group: where the first block of X is packed when threads share it, or null.
    std::vector<std::byte*> shared(groups.size(), nullptr);
    int64_t own_bytes = 0, strips_bytes = 0;
    for (size_t g = 0; g < groups.size(); ++g) {
      const Group& group = groups[g];
      const int64_t blocks = (tokens(group) + kBlock - 1) / kBlock;
      const bool is_shared = multiplying.IsShared(static_cast<int64_t>(g), parts);
      if (is_shared) shared[g] = new_bytes(blocks * x_bytes(group));
      packing.Add(is_shared ? blocks * group.panels() : 0, kBlock * kernels_.panel);
      if (!is_shared) own_bytes = std::max(own_bytes, x_bytes(group));
      strips_bytes = std::max(strips_bytes, group.StripsBytes());
    }
    const int64_t rounding_bytes = any_fp8 ? cpu::RoundedColumnsBytes(kBlock) : 0;
    const int64_t part_bytes = cpu::Scratch::Round(rounding_bytes) +
                               cpu::Scratch::Round(strips_bytes) + cpu::Scratch::Round(own_bytes);
    std::byte* const memory = new_bytes(parts * part_bytes);
    const auto block_at = [&](const Group& group, int64_t block) {
      const int64_t from = start + block * kBlock;
      return std::pair(from, std::min(group.x().rows(), from + kBlock));
    };

    if (packing.cost() > 0) {
      packing.Run(*context.pool, parts, [&](int part, int64_t item, int64_t begin, int64_t end) {
        const Group& group = groups[static_cast<size_t>(item)];
        for (int64_t at = begin; at < end;) {
          const int64_t block = at / group.panels(), panel = at % group.panels();
          const int64_t count = std::min(end - at, group.panels() - panel);
          const auto [from, to] = block_at(group, block);
          group.PackX(from, to, panel, panel + count, memory + part * part_bytes,
                      shared[static_cast<size_t>(item)] + block * x_bytes(group));
          at += count;
        }
      });
    }
    multiplying.Run(*context.pool, parts, [&](int part, int64_t item, int64_t begin, int64_t end) {
      const Group& group = groups[static_cast<size_t>(item)];
      std::byte* const rounding = memory + part * part_bytes;
      std::byte* const strips = rounding + cpu::Scratch::Round(rounding_bytes);
      std::byte* const own = strips + cpu::Scratch::Round(strips_bytes);
      for (int64_t block = 0; block * kBlock < tokens(group); ++block) {
        const auto [from, to] = block_at(group, block);
        std::byte* x = shared[static_cast<size_t>(item)];
        if (x == nullptr) {
          x = own;
          group.PackX(from, to, 0, group.panels(), rounding, x);
        } else {
          x += block * x_bytes(group);
        }
        group.Multiply(from, to, begin, end, x, rounding, strips);
      }
    });
  }
}

}  // namespace fathom

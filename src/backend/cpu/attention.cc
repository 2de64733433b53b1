#include <algorithm>
#include <cmath>

#include "backend/cpu/attention_keys.h"
#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/work.h"

namespace fathom {
namespace {

using cpu::At;
using cpu::AttentionShape;
using cpu::Element;
using cpu::ElementOf;
using cpu::KernelTable;
using cpu::Scratch;
using cpu::Strips;

// Rows (queries times the heads that share their keys) that are computed together: enough to pay
// for packing the keys.
constexpr int64_t kRows = 128;
// A thread is worth waking for about this many multiply-adds.
constexpr int64_t kLeastCost = 1 << 18;

int64_t Even(int64_t n) { return (n + 1) / 2 * 2; }
int64_t RoundUp(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

// Some queries of a sequence with all heads of one kv head; its rows are (query, head), queries
// first.
struct Task {
  const AttentionSequence* sequence;
  int64_t kv_head;
  int64_t begin, count;  // queries, counted from the sequence's first
};

// The memory of one thread.
struct Memory {
  std::byte *q, *keys, *values, *p;  // packed
  float *scores, *chunk, *out;       // [rows, kAttentionChunk], [rows, d_v], [rows, d_v]
  float *max, *sum;                  // [rows]

  int64_t bytes;

  Memory(void* data, const KernelTable& kernels, int64_t rows, int64_t d_qk, int64_t d_v) {
    constexpr int64_t kWord = sizeof(float);
    Scratch scratch(data);
    q = scratch.Take<std::byte>(kWord * rows * Even(d_qk));
    keys = scratch.Take<std::byte>(kWord * RoundUp(kAttentionChunk, kernels.panel) * Even(d_qk));
    values = scratch.Take<std::byte>(kWord * RoundUp(d_v, kernels.panel) * kAttentionChunk);
    p = scratch.Take<std::byte>(kWord * rows * kAttentionChunk);
    scores = scratch.Take<float>(rows * kAttentionChunk);
    chunk = scratch.Take<float>(rows * d_v);
    out = scratch.Take<float>(rows * d_v);
    max = scratch.Take<float>(rows);
    sum = scratch.Take<float>(rows);
    bytes = scratch.bytes();
  }
};

class Forward {
 public:
  Forward(const KernelTable& kernels, const ConstTensor& q, double scale, const Tensor& out,
          const Tensor& lse)
      : kernels_(kernels), q_(q), scale_(static_cast<float>(scale)), out_(out), lse_(lse) {}

  void Run(const Task& task, const AttentionShape& shape, const Memory& memory) const {
    const int64_t rows = task.count * shape.group, group = shape.group;
    const int64_t first = task.sequence->first_position + task.begin;  // position of row 0
    PackQueries(task, shape, memory);
    cpu::SequenceKeys keys(*task.sequence, task.kv_head);
    for (int64_t begin = 0; begin < first + task.count; begin += kAttentionChunk) {
      const int64_t count = std::min(kAttentionChunk, first + task.count - begin);
      ScoreChunk(&keys, begin, count, rows, shape, memory);
      // Queries before the chunk have no part in it.
      const int64_t seen_from = std::max<int64_t>(0, begin - first) * group;
      float max[kAttentionMostRows], sum[kAttentionMostRows];
      const void* p_rows[kAttentionMostRows];
      for (int64_t r = 0; r < rows; ++r) {
        float* s = memory.scores + r * kAttentionChunk;
        p_rows[r] = s;
        if (r < seen_from) continue;
        const int64_t visible = std::min(count, first + r / group + 1 - begin);
        kernels_.chunk_softmax(s, scale_, visible, count, &max[r], &sum[r]);
      }
      MixValues(p_rows, count, rows, shape, begin == 0 ? memory.out : memory.chunk, memory);
      for (int64_t r = seen_from; r < rows; ++r) {
        if (begin == 0) {
          memory.max[r] = max[r];
          memory.sum[r] = sum[r];
        } else {
          kernels_.merge_chunk(max[r], sum[r], memory.chunk + r * shape.d_v, &memory.max[r],
                               &memory.sum[r], memory.out + r * shape.d_v, shape.d_v);
        }
      }
    }
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t t = task.sequence->query_begin + task.begin + r / group;
      const int64_t h = task.kv_head * group + r % group;
      kernels_.scale(memory.out + r * shape.d_v, 1.0f / memory.sum[r], ElementOf(out_),
                     At(out_, t, h), shape.d_v);
      if (!lse_.empty()) {
        reinterpret_cast<float*>(At(lse_, t))[h] = static_cast<float>(
            static_cast<double>(memory.max[r]) + std::log(static_cast<double>(memory.sum[r])));
      }
    }
  }

  // Rows of a task are at most this many.
  static constexpr int64_t kAttentionMostRows = 1024;

 private:
  int64_t StripRows(Element type) const {
    return type == Element::kF32 ? kernels_.strip_f32 : kernels_.strip_bf16;
  }

  void PackStrips(Element from, const void* const* rows, int64_t count, int64_t depth, Element type,
                  std::byte* out) const {
    const int64_t even = type == Element::kF32 ? depth : Even(depth);
    const Strips strips = Strips::Of(count, StripRows(type));
    for (int64_t s = 0; s < strips.count; ++s) {
      const int64_t begin = strips.Begin(s), width = strips.Begin(s + 1) - begin;
      kernels_.pack_rows(from, type, rows + begin, width, width, depth,
                         out + begin * even * cpu::SizeOf(type));
    }
  }

  void PackQueries(const Task& task, const AttentionShape& shape, const Memory& memory) const {
    const void* rows[kAttentionMostRows];
    int64_t r = 0;
    for (int64_t i = 0; i < task.count; ++i) {
      for (int64_t h = 0; h < shape.group; ++h) {
        rows[r++] =
            At(q_, task.sequence->query_begin + task.begin + i, task.kv_head * shape.group + h);
      }
    }
    PackStrips(ElementOf(q_), rows, r, shape.d_qk, shape.type, memory.q);
  }

  // scores = Q K^T for `count` keys from position `begin`; packs their values too.
  void ScoreChunk(cpu::SequenceKeys* keys, int64_t begin, int64_t count, int64_t rows,
                  const AttentionShape& shape, const Memory& memory) const {
    const void *key_rows[kAttentionChunk], *value_rows[kAttentionChunk];
    keys->Rows(begin, count, key_rows, value_rows);
    const int64_t width = kernels_.panel, size = cpu::SizeOf(shape.type);
    const int64_t depth = shape.type == Element::kF32 ? shape.d_qk : Even(shape.d_qk);
    for (int64_t j = 0; j < count; j += width) {
      kernels_.pack_rows(shape.type, shape.type, key_rows + j, std::min(width, count - j), width,
                         shape.d_qk, memory.keys + j * depth * size);
    }
    const int64_t value_depth = shape.type == Element::kF32 ? count : Even(count);
    for (int64_t j = 0; j < shape.d_v; j += width) {
      kernels_.pack_columns(shape.type, shape.type, value_rows, j, count,
                            std::min(width, shape.d_v - j), width,
                            memory.values + j * value_depth * size);
    }
    cpu::MultiplyArgs args;
    args.type = shape.type;
    args.a = memory.q;
    args.rows = rows;
    args.b = memory.keys;
    args.columns = count;
    args.depth = shape.d_qk;
    args.c = memory.scores;
    args.c_stride = kAttentionChunk;
    kernels_.multiply(args);
  }

  // to [rows, d_v] = P V over the keys of the chunk.
  void MixValues(const void* const* p_rows, int64_t count, int64_t rows,
                 const AttentionShape& shape, float* to, const Memory& memory) const {
    PackStrips(Element::kF32, p_rows, rows, count, shape.type, memory.p);
    cpu::MultiplyArgs args;
    args.type = shape.type;
    args.a = memory.p;
    args.rows = rows;
    args.b = memory.values;
    args.columns = shape.d_v;
    args.depth = count;
    args.c = to;
    args.c_stride = shape.d_v;
    kernels_.multiply(args);
  }

  const KernelTable& kernels_;
  const ConstTensor& q_;
  float scale_;
  const Tensor& out_;
  const Tensor& lse_;
};

}  // namespace

void CpuBackend::Attention(Context& context, ConstTensor q,
                           std::span<const AttentionSequence> sequences, double scale, Tensor out,
                           Tensor lse) {
  const int64_t tokens = q.dim(0), heads = q.dim(1), d_qk = q.dim(2), d_v = out.dim(2);
  cpu::CheckShape(out, {tokens, heads, d_v}, "out");
  if (!lse.empty()) {
    cpu::CheckShape(lse, {tokens, heads}, "lse");
    FATHOM_CHECK(lse.dtype() == DType::kF32);
  }
  std::vector<Task> tasks;
  cpu::WorkList work;
  int64_t most_rows = 0;
  for (const AttentionSequence& sequence : sequences) {
    if (sequence.query_count == 0) continue;
    const AttentionShape shape = AttentionShape::Of(q, sequence, d_v);
    FATHOM_CHECK(shape.group <= Forward::kAttentionMostRows, "{} heads share keys", shape.group);
    const int64_t queries = std::max<int64_t>(1, kRows / shape.group);
    for (int64_t g = 0; g < shape.kv_heads; ++g) {
      for (int64_t begin = 0; begin < sequence.query_count; begin += queries) {
        const int64_t count = std::min(queries, sequence.query_count - begin);
        tasks.push_back({&sequence, g, begin, count});
        const int64_t rows = count * shape.group;
        work.Add(1, (rows + 8) * (sequence.first_position + begin + count) * (d_qk + d_v + 32));
        most_rows = std::max(most_rows, rows);
      }
    }
  }
  if (tasks.empty()) return;
  ArenaScope scope(*context.workspace);
  const int parts = work.Parts(*context.pool, kLeastCost);
  const int64_t bytes = Memory(nullptr, kernels_, most_rows, d_qk, d_v).bytes;
  auto* scratch =
      static_cast<std::byte*>(context.workspace->NewBytes(static_cast<size_t>(parts * bytes)));
  const Forward forward(kernels_, q, scale, out, lse);
  work.Run(*context.pool, parts, [&](int part, int64_t item, int64_t, int64_t) {
    const Task& task = tasks[static_cast<size_t>(item)];
    forward.Run(task, AttentionShape::Of(q, *task.sequence, d_v),
                Memory(scratch + part * bytes, kernels_, most_rows, d_qk, d_v));
  });
}

}  // namespace fathom

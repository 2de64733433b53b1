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

// Rows (queries times the heads that share their keys) that are multiplied together: whole strips.
constexpr int64_t kRows = 48;
// Most heads that share keys.
constexpr int64_t kMostGroup = 1024;
// Most rows of a task, and the memory of their outputs: what the keys, once packed, are used for.
constexpr int64_t kTaskRows = 512;
constexpr int64_t kTaskBytes = 256 << 10;
// A thread is worth waking for about this many multiply-adds.
constexpr int64_t kLeastCost = 1 << 18;
// Chunks of a task go to different threads when there are few tasks and their partial results fit
// into this many bytes.
constexpr int64_t kPartialBytes = 64 << 20;

int64_t Even(int64_t n) { return (n + 1) / 2 * 2; }
int64_t RoundUp(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

// Some queries of a sequence with all heads of one kv head; its rows are (query, head), queries
// first.
struct Task {
  const AttentionSequence* sequence;
  AttentionShape shape;
  int64_t kv_head;
  int64_t begin, count;  // queries, counted from the sequence's first

  int64_t position() const { return sequence->first_position + begin; }  // of row 0
  int64_t end() const { return position() + count; }
  int64_t chunks() const { return (end() + kAttentionChunk - 1) / kAttentionChunk; }
  int64_t rows() const { return count * shape.group; }
  int64_t block_queries() const { return std::max<int64_t>(1, kRows / shape.group); }
};

// The running (maximum, sum, output) of rows.
struct State {
  float *max, *sum, *out;  // [rows], [rows], [rows, d_v]

  static int64_t Floats(int64_t rows, int64_t d_v) { return rows * (d_v + 2); }
  static State At(float* memory, int64_t rows) {
    return {memory, memory + rows, memory + 2 * rows};
  }
  State Row(int64_t row, int64_t d_v) const { return {max + row, sum + row, out + row * d_v}; }
};

// The memory of one thread.
struct Memory {
  std::byte *q, *keys, *values, *p;     // packed
  const void **key_rows, **value_rows;  // of the chunk
  float* scores;                        // [rows of a block, kAttentionChunk]
  State chunk, total;                   // of a block, of a task
  int64_t bytes;

  Memory(void* data, const KernelTable& kernels, int64_t task_rows, int64_t block_rows,
         int64_t d_qk, int64_t d_v) {
    constexpr int64_t kWord = sizeof(float);
    Scratch scratch(data);
    q = scratch.Take<std::byte>(kWord * std::max(task_rows, kernels.panel) *
                                cpu::LineDepth(Element::kBF16, d_qk));
    keys = scratch.Take<std::byte>(kWord * RoundUp(kAttentionChunk, kernels.panel) * Even(d_qk));
    values = scratch.Take<std::byte>(kWord * RoundUp(d_v, kernels.panel) * kAttentionChunk);
    p = scratch.Take<std::byte>(kWord * block_rows * kAttentionChunk);
    key_rows = scratch.Take<const void*>(kAttentionChunk);
    value_rows = scratch.Take<const void*>(kAttentionChunk);
    scores = scratch.Take<float>(block_rows * kAttentionChunk);
    chunk = State::At(scratch.Take<float>(State::Floats(block_rows, d_v)), block_rows);
    total = State::At(scratch.Take<float>(State::Floats(task_rows, d_v)), task_rows);
    bytes = scratch.bytes();
  }
};

class Forward {
 public:
  Forward(const KernelTable& kernels, const ConstTensor& q, double scale, const Tensor& out,
          const Tensor& lse)
      : kernels_(kernels), q_(q), scale_(static_cast<float>(scale)), out_(out), lse_(lse) {}

  // A task from its first chunk to its last.
  void Run(const Task& task, const Memory& memory) const {
    PackQueries(task, memory);
    cpu::SequenceKeys keys(*task.sequence, task.kv_head);
    for (int64_t c = 0; c < task.chunks(); ++c) {
      PackKeys(task, c, &keys, memory);
      for (int64_t q = 0; q < task.count; q += task.block_queries()) {
        const int64_t row = q * task.shape.group;
        const State total = memory.total.Row(row, task.shape.d_v);
        if (c == 0) {
          Chunk(task, q, c, total, memory);
        } else {
          const int64_t first = Chunk(task, q, c, memory.chunk, memory);
          Merge(task, first, RowsOf(task, q), memory.chunk, total);
        }
      }
    }
    Finish(task, memory.total);
  }

  // One chunk of a task on its own: its state goes to `partial`, of the task's rows.
  void RunChunk(const Task& task, int64_t chunk, const State& partial, const Memory& memory) const {
    PackQueries(task, memory);
    cpu::SequenceKeys keys(*task.sequence, task.kv_head);
    PackKeys(task, chunk, &keys, memory);
    for (int64_t q = 0; q < task.count; q += task.block_queries()) {
      Chunk(task, q, chunk, partial.Row(q * task.shape.group, task.shape.d_v), memory);
    }
  }
  // The chunks of a task in ascending order: partials[c] becomes part of partials[0].
  void MergeChunks(const Task& task, float* partials) const {
    const int64_t rows = task.rows();
    const State total = State::At(partials, rows);
    for (int64_t c = 1; c < task.chunks(); ++c) {
      const int64_t first =
          std::max<int64_t>(0, c * kAttentionChunk - task.position()) * task.shape.group;
      Merge(task, first, rows, State::At(partials + c * State::Floats(rows, task.shape.d_v), rows),
            total);
    }
    Finish(task, total);
  }

 private:
  // Rows of the block of queries that starts at `query`.
  int64_t RowsOf(const Task& task, int64_t query) const {
    return std::min(task.block_queries(), task.count - query) * task.shape.group;
  }

  void PackQueries(const Task& task, const Memory& memory) const {
    const AttentionShape& shape = task.shape;
    const void* rows[kMostGroup];
    for (int64_t begin = 0; begin < task.count; begin += task.block_queries()) {
      const int64_t count = RowsOf(task, begin);
      for (int64_t r = 0; r < count; ++r) {
        rows[r] = At(q_, task.sequence->query_begin + task.begin + begin + r / shape.group,
                     task.kv_head * shape.group + r % shape.group);
      }
      if (KeysInPlace(task)) {
        kernels_.pack_row_panels(ElementOf(q_), shape.type, rows, count, shape.d_qk, memory.q);
        return;  // they are the only block
      }
      kernels_.pack_row_strips(ElementOf(q_), shape.type, rows, count, shape.d_qk,
                               memory.q + begin * shape.group * QueryBytes(shape));
    }
  }
  static int64_t QueryBytes(const AttentionShape& shape) {
    return cpu::LineDepth(shape.type, shape.d_qk) * cpu::SizeOf(shape.type);
  }

  static int64_t KeyCount(const Task& task, int64_t chunk) {
    return std::min(kAttentionChunk, task.end() - chunk * kAttentionChunk);
  }
  void PackKeys(const Task& task, int64_t chunk, cpu::SequenceKeys* keys,
                const Memory& memory) const {
    const int64_t count = KeyCount(task, chunk);
    keys->Rows(chunk * kAttentionChunk, count, memory.key_rows, memory.value_rows);
    if (!KeysInPlace(task)) {
      const Element type = task.shape.type;
      kernels_.pack_row_panels(type, type, memory.key_rows, count, task.shape.d_qk, memory.keys);
    }
    PackValues(task, count, memory);
  }
  // The values of the first `count` keys of the chunk.
  void PackValues(const Task& task, int64_t count, const Memory& memory) const {
    if (ValuesInPlace(task)) return;
    const Element type = task.shape.type;
    kernels_.pack_column_panels(type, type, memory.value_rows, 0, count, task.shape.d_v,
                                memory.values);
  }
  // Keys of a single block of queries are not worth packing where its rows nearly fill the lanes of
  // a vector.
  bool KeysInPlace(const Task& task) const {
    const int64_t lanes = kernels_.panel / 2;
    return kernels_.score_keys != nullptr && task.shape.type == Element::kBF16 &&
           task.shape.d_qk % 2 == 0 && task.rows() > lanes / 2 && task.rows() <= lanes;
  }
  // Values that one block of queries reads are not worth packing.
  bool ValuesInPlace(const Task& task) const {
    return kernels_.sum_values != nullptr && task.shape.type == Element::kBF16 &&
           task.shape.d_v % 32 == 0 && task.count <= task.block_queries();
  }

  // The state of the block of queries from `query` over one chunk. Returns the first row that the
  // chunk is a part of: queries before it are left out.
  int64_t Chunk(const Task& task, int64_t query, int64_t chunk, const State& to,
                const Memory& memory) const {
    const AttentionShape& shape = task.shape;
    const int64_t rows = RowsOf(task, query), begin = chunk * kAttentionChunk;
    const int64_t position = task.position() + query;
    const int64_t first = std::max<int64_t>(0, begin - position) * shape.group;
    if (first >= rows) return rows;
    const int64_t packed = KeyCount(task, chunk);
    const int64_t count = std::min(packed, position + rows / shape.group - begin);

    MultiplyKeys(task, query, rows, count, memory);
    const void* p_rows[kMostGroup];
    for (int64_t r = 0; r < rows; ++r) {
      float* s = memory.scores + r * kAttentionChunk;
      p_rows[r] = s;
      if (r < first) continue;
      const int64_t visible = std::min(count, position + r / shape.group + 1 - begin);
      kernels_.chunk_softmax(s, scale_, visible, count, &to.max[r], &to.sum[r]);
    }
    MultiplyValues(task, p_rows, rows, count, packed, to.out, memory);
    ComputeAgainWhatIsNotFinite(task, query, chunk, first, to, memory);
    return first;
  }

  // memory.scores = Q K^T, of the block of queries from `query` and the chunk's first `count` keys.
  void MultiplyKeys(const Task& task, int64_t query, int64_t rows, int64_t count,
                    const Memory& memory) const {
    const AttentionShape& shape = task.shape;
    if (KeysInPlace(task)) {
      kernels_.score_keys({.queries = memory.q,
                           .rows = rows,
                           .keys = memory.key_rows,
                           .count = count,
                           .depth = shape.d_qk,
                           .out = memory.scores,
                           .stride = kAttentionChunk});
      return;
    }
    cpu::MultiplyArgs args;
    args.type = shape.type;
    args.a = memory.q + query * shape.group * QueryBytes(shape);
    args.rows = rows;
    args.b = memory.keys;
    args.columns = count;
    args.depth = shape.d_qk;
    args.c = memory.scores;
    args.c_stride = kAttentionChunk;
    kernels_.multiply(args);
  }

  // The products take every key of the chunk, those that a query does not see with the weight 0:
  // but 0 times infinity is not 0. Where an output is not finite, it is computed again from the
  // query's own keys, as it would be if the later ones were not there.
  void ComputeAgainWhatIsNotFinite(const Task& task, int64_t query, int64_t chunk, int64_t first,
                                   const State& to, const Memory& memory) const {
    const AttentionShape& shape = task.shape;
    const int64_t begin = chunk * kAttentionChunk, packed = KeyCount(task, chunk);
    bool again = false;
    for (int64_t row = first; row < RowsOf(task, query); row += shape.group) {
      const int64_t visible = task.position() + query + row / shape.group + 1 - begin;
      if (visible >= packed) break;
      float* const out = to.out + row * shape.d_v;
      if (std::isfinite(kernels_.largest_magnitude(Element::kF32, out, shape.group * shape.d_v))) {
        continue;
      }
      again = true;
      PackValues(task, visible, memory);
      const void* p_rows[kMostGroup];
      for (int64_t r = 0; r < shape.group; ++r)
        p_rows[r] = memory.scores + (row + r) * kAttentionChunk;
      MultiplyValues(task, p_rows, shape.group, visible, visible, out, memory);
    }
    if (again) PackValues(task, packed, memory);
  }

  // out [rows, d_v] = P V over `count` keys, of `packed` whose values are packed.
  void MultiplyValues(const Task& task, const void* const* p_rows, int64_t rows, int64_t count,
                      int64_t packed, float* out, const Memory& memory) const {
    const AttentionShape& shape = task.shape;
    kernels_.pack_row_strips(Element::kF32, shape.type, p_rows, rows, count, memory.p);
    if (ValuesInPlace(task)) {
      kernels_.sum_values({.weights = memory.p,
                           .rows = rows,
                           .values = memory.value_rows,
                           .count = count,
                           .columns = shape.d_v,
                           .out = out});
      return;
    }
    cpu::MultiplyArgs args;
    args.type = shape.type;
    args.a = memory.p;
    args.rows = rows;
    args.b = memory.values;
    args.columns = shape.d_v;
    args.depth = count;
    args.b_depth = packed;
    args.c = out;
    args.c_stride = shape.d_v;
    kernels_.multiply(args);
  }

  void Merge(const Task& task, int64_t first, int64_t rows, const State& chunk,
             const State& total) const {
    const int64_t d_v = task.shape.d_v;
    for (int64_t r = first; r < rows; ++r) {
      kernels_.merge_chunk(chunk.max[r], chunk.sum[r], chunk.out + r * d_v, &total.max[r],
                           &total.sum[r], total.out + r * d_v, d_v);
    }
  }

  void Finish(const Task& task, const State& total) const {
    const int64_t group = task.shape.group, d_v = task.shape.d_v;
    for (int64_t r = 0; r < task.rows(); ++r) {
      const int64_t t = task.sequence->query_begin + task.begin + r / group;
      const int64_t h = task.kv_head * group + r % group;
      kernels_.scale(total.out + r * d_v, 1.0f / total.sum[r], ElementOf(out_), At(out_, t, h),
                     d_v);
      if (!lse_.empty()) {
        reinterpret_cast<float*>(At(lse_, t))[h] = static_cast<float>(
            static_cast<double>(total.max[r]) + std::log(static_cast<double>(total.sum[r])));
      }
    }
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
  // Tasks of many rows pack the keys seldom; several a thread share the work evenly.
  int64_t all_rows = 0;
  for (const AttentionSequence& sequence : sequences) all_rows += sequence.query_count * heads;
  const int64_t most_rows =
      std::max(kRows, std::min({kTaskRows, kTaskBytes / (4 * std::max<int64_t>(1, d_v)),
                                all_rows / (4 * context.pool->threads())}));

  std::vector<Task> tasks;
  cpu::WorkList work, chunk_work;
  std::vector<int64_t> partial_at;  // by task, in floats
  int64_t task_rows = 0, block_rows = 0, partial_floats = 0;
  for (const AttentionSequence& sequence : sequences) {
    if (sequence.query_count == 0) continue;
    const AttentionShape shape = AttentionShape::Of(q, sequence, d_v);
    FATHOM_CHECK(shape.group <= kMostGroup, "{} heads share keys", shape.group);
    for (int64_t g = 0; g < shape.kv_heads; ++g) {
      for (int64_t begin = 0; begin < sequence.query_count;) {
        Task task{&sequence, shape, g, begin, 0};
        const int64_t block = task.block_queries();
        task.count = std::min(std::max(block, most_rows / shape.group / block * block),
                              sequence.query_count - begin);
        begin += task.count;
        const int64_t cost = (task.rows() + 8) * (d_qk + d_v + 32);
        work.Add(1, cost * task.end());
        chunk_work.Add(task.chunks(), cost * kAttentionChunk);
        partial_at.push_back(partial_floats);
        partial_floats += task.chunks() * State::Floats(task.rows(), d_v);
        task_rows = std::max(task_rows, task.rows());
        block_rows = std::max(block_rows, block * shape.group);
        tasks.push_back(task);
      }
    }
  }
  if (tasks.empty()) return;

  ArenaScope scope(*context.workspace);
  ThreadPool& pool = *context.pool;
  const int parts = work.Parts(pool, kLeastCost);
  const int64_t bytes = Memory(nullptr, kernels_, task_rows, block_rows, d_qk, d_v).bytes;
  auto* scratch =
      static_cast<std::byte*>(context.workspace->NewBytes(static_cast<size_t>(parts * bytes)));
  const auto memory = [&](int part) {
    return Memory(scratch + part * bytes, kernels_, task_rows, block_rows, d_qk, d_v);
  };
  const Forward forward(kernels_, q, scale, out, lse);
  const auto partial_bytes = partial_floats * static_cast<int64_t>(sizeof(float));
  if (parts > 1 && static_cast<int64_t>(tasks.size()) < 4 * parts &&
      partial_bytes <= kPartialBytes) {
    auto* partials =
        static_cast<float*>(context.workspace->NewBytes(static_cast<size_t>(partial_bytes)));
    chunk_work.Run(pool, parts, [&](int part, int64_t item, int64_t begin, int64_t end) {
      const Task& task = tasks[static_cast<size_t>(item)];
      for (int64_t c = begin; c < end; ++c) {
        float* partial =
            partials + partial_at[static_cast<size_t>(item)] + c * State::Floats(task.rows(), d_v);
        forward.RunChunk(task, c, State::At(partial, task.rows()), memory(part));
      }
    });
    pool.ParallelFor(static_cast<int64_t>(tasks.size()), 1, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; ++i) {
        forward.MergeChunks(tasks[static_cast<size_t>(i)],
                            partials + partial_at[static_cast<size_t>(i)]);
      }
    });
    return;
  }
  work.Run(pool, parts, [&](int part, int64_t item, int64_t, int64_t) {
    forward.Run(tasks[static_cast<size_t>(item)], memory(part));
  });
}

}  // namespace fathom

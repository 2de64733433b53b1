#include <algorithm>
#include <cstring>

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

// Queries are taken in chunks of this many positions: part of the order of the sums of dK and dV.
constexpr int64_t kQueryChunk = 128;
// A thread is worth waking for about this many multiply-adds.
constexpr int64_t kLeastCost = 1 << 18;

int64_t RoundUp(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

// One kv head of one sequence, on one thread: its heads one after the other, each with sums of its
// own over all queries and keys.
class HeadBackward {
 public:
  struct Args {
    ConstTensor dout, q;
    float scale = 0;
    ConstTensor out, lse;
    Tensor dq, dk, dv;
  };

  HeadBackward(const KernelTable& kernels, const Args& args, const AttentionShape& shape,
               const AttentionSequence& sequence, int64_t kv_head, void* memory)
      : kernels_(kernels),
        args_(args),
        shape_(shape),
        begin_(sequence.query_begin),
        count_(sequence.query_count),
        kv_head_(kv_head),
        block_(sequence.blocks[0]),
        panel_(kernels.panel) {
    Scratch scratch(memory);
    Lay(&scratch);
  }
  // The memory that such a head needs.
  static int64_t Bytes(const KernelTable& kernels, const AttentionShape& shape, int64_t count) {
    HeadBackward layout(kernels, shape, count);
    Scratch scratch(nullptr);
    layout.Lay(&scratch);
    return scratch.bytes();
  }

  void PackKeys() {
    const void *keys[kAttentionChunk], *values[kAttentionChunk];
    for (int64_t first = 0; first < count_; first += kAttentionChunk) {
      const int64_t count = std::min(kAttentionChunk, count_ - first);
      for (int64_t j = 0; j < count; ++j) {
        keys[j] = At(block_.keys, first + j, kv_head_);
        values[j] = At(block_.values, first + j, kv_head_);
      }
      kernels_.pack_row_panels(shape_.type, shape_.type, keys, count, shape_.d_qk,
                               AtChunk(key_panels_, first, Even(shape_.d_qk)));
      kernels_.pack_row_panels(shape_.type, shape_.type, values, count, shape_.d_v,
                               AtChunk(value_panels_, first, Even(shape_.d_v)));
      kernels_.pack_column_panels(shape_.type, shape_.type, keys, 0, count, shape_.d_qk,
                                  AtChunk(key_columns_, first, RoundUp(shape_.d_qk, panel_)));
    }
  }

  // Stores dQ of head h and leaves what the head adds to dK and dV in dk() and dv().
  void RunHead(int64_t h) {
    PackQueries(h);
    const auto rows = static_cast<size_t>(count_);
    std::memset(dq_, 0, rows * static_cast<size_t>(shape_.d_qk) * sizeof(float));
    std::memset(dk_, 0, rows * static_cast<size_t>(shape_.d_qk) * sizeof(float));
    std::memset(dv_, 0, rows * static_cast<size_t>(shape_.d_v) * sizeof(float));
    for (int64_t key = 0; key < count_; key += kAttentionChunk) {
      for (int64_t query = key; query < count_; query += kQueryChunk) Chunk(h, key, query);
    }
    for (int64_t i = 0; i < count_; ++i) {
      kernels_.cast(Element::kF32, dq_ + i * shape_.d_qk, ElementOf(args_.dq),
                    At(args_.dq, begin_ + i, h), shape_.d_qk);
    }
  }
  const float* dk() const { return dk_; }  // [queries, d_qk]
  const float* dv() const { return dv_; }  // [queries, d_v]

 private:
  // For Bytes only.
  HeadBackward(const KernelTable& kernels, const AttentionShape& shape, int64_t count)
      : kernels_(kernels), shape_(shape), count_(count), panel_(kernels.panel) {}

  // Packed operands are addressed by position: rows of strips and panels of one chunk follow those
  // of the chunk before.
  void Lay(Scratch* scratch) {
    const int64_t size = cpu::SizeOf(shape_.type);
    const int64_t rows = RoundUp(count_, kAttentionChunk);
    const int64_t qk = Even(shape_.d_qk), v = Even(shape_.d_v);
    const int64_t qk_lanes = RoundUp(shape_.d_qk, panel_), v_lanes = RoundUp(shape_.d_v, panel_);
    q_strips_ = scratch->Take<std::byte>(rows * Lines(shape_.d_qk) * size);
    q_panels_ = scratch->Take<std::byte>(rows * qk_lanes * size);
    dout_strips_ = scratch->Take<std::byte>(rows * Lines(shape_.d_v) * size);
    dout_panels_ = scratch->Take<std::byte>(rows * v_lanes * size);
    key_panels_ = scratch->Take<std::byte>(rows * qk * size);
    value_panels_ = scratch->Take<std::byte>(rows * v * size);
    key_columns_ = scratch->Take<std::byte>(rows * qk_lanes * size);
    p_strips_ = scratch->Take<std::byte>(kAttentionChunk * kQueryChunk * size);
    ds_strips_ = scratch->Take<std::byte>(kAttentionChunk * kQueryChunk * size);
    s_ = scratch->Take<float>(kAttentionChunk * kQueryChunk);
    dp_ = scratch->Take<float>(kAttentionChunk * kQueryChunk);
    dq_ = scratch->Take<float>(count_ * shape_.d_qk);
    dk_ = scratch->Take<float>(count_ * shape_.d_qk);
    dv_ = scratch->Take<float>(count_ * shape_.d_v);
    delta_ = scratch->Take<float>(count_);
  }

  int64_t Lines(int64_t n) const { return cpu::LineDepth(shape_.type, n); }
  int64_t Even(int64_t n) const { return shape_.type == Element::kF32 ? n : (n + 1) / 2 * 2; }

  // Where the chunk that starts at `position` lies in strips or panels of `lanes` elements a row.
  std::byte* AtChunk(std::byte* packed, int64_t position, int64_t lanes) const {
    return packed + position * lanes * cpu::SizeOf(shape_.type);
  }

  void PackQueries(int64_t h) {
    const void *q[kQueryChunk], *dout[kQueryChunk];
    const Element q_type = ElementOf(args_.q), dout_type = ElementOf(args_.dout);
    for (int64_t first = 0; first < count_; first += kQueryChunk) {
      const int64_t count = std::min(kQueryChunk, count_ - first);
      for (int64_t i = 0; i < count; ++i) {
        const int64_t t = begin_ + first + i;
        q[i] = At(args_.q, t, h);
        dout[i] = At(args_.dout, t, h);
        delta_[first + i] =
            kernels_.dot(dout_type, dout[i], ElementOf(args_.out), At(args_.out, t, h), shape_.d_v);
      }
      kernels_.pack_row_strips(q_type, shape_.type, q, count, shape_.d_qk,
                               AtChunk(q_strips_, first, Lines(shape_.d_qk)));
      kernels_.pack_row_strips(dout_type, shape_.type, dout, count, shape_.d_v,
                               AtChunk(dout_strips_, first, Lines(shape_.d_v)));
      kernels_.pack_column_panels(q_type, shape_.type, q, 0, count, shape_.d_qk,
                                  AtChunk(q_panels_, first, RoundUp(shape_.d_qk, panel_)));
      kernels_.pack_column_panels(dout_type, shape_.type, dout, 0, count, shape_.d_v,
                                  AtChunk(dout_panels_, first, RoundUp(shape_.d_v, panel_)));
    }
  }

  void Multiply(cpu::MultiplyArgs args) const {
    args.type = shape_.type;
    kernels_.multiply(args);
  }

  // What the queries of one chunk and the keys of one chunk give each other. Where they are the
  // same positions, what a query does not see is left out strip by strip: half of the products.
  void Chunk(int64_t h, int64_t key, int64_t query) {
    const int64_t queries = std::min(kQueryChunk, count_ - query);
    const int64_t keys = std::min(kAttentionChunk, query + queries - key);
    const int64_t d_qk = shape_.d_qk, d_v = shape_.d_v, size = cpu::SizeOf(shape_.type);
    const bool diagonal = query == key;
    const int64_t strip = cpu::StripRows(kernels_, shape_.type);
    // Strips of queries with the keys before `seen`, and strips of keys with the queries from
    // `first` on (an even one).
    const auto for_queries = [&](auto&& multiply) {
      if (!diagonal) return multiply(0, queries, keys);
      const Strips strips = Strips::Of(queries, strip);
      for (int64_t s = 0; s < strips.count; ++s) {
        multiply(strips.Begin(s), strips.Begin(s + 1), strips.Begin(s + 1));
      }
    };
    const auto for_keys = [&](auto&& multiply) {
      if (!diagonal) return multiply(0, keys, 0);
      const Strips strips = Strips::Of(keys, strip);
      for (int64_t s = 0; s < strips.count; ++s) {
        multiply(strips.Begin(s), strips.Begin(s + 1), strips.Begin(s) / 2 * 2);
      }
    };

    // to [queries, keys] = rows of strips times those in panels, both of depth d.
    const auto score = [&](std::byte* strips, std::byte* panels, int64_t d, float* to) {
      for_queries([&](int64_t begin, int64_t end, int64_t seen) {
        Multiply({.a = AtChunk(strips, query + begin, Lines(d)),
                  .rows = end - begin,
                  .b = AtChunk(panels, key, Even(d)),
                  .columns = seen,
                  .depth = d,
                  .c = to + begin * kAttentionChunk,
                  .c_stride = kAttentionChunk});
      });
    };
    score(q_strips_, key_panels_, d_qk, s_);
    score(dout_strips_, value_panels_, d_v, dp_);
    const void *p_rows[kQueryChunk], *ds_rows[kQueryChunk];
    for (int64_t i = 0; i < queries; ++i) {
      float* s = s_ + i * kAttentionChunk;
      float* dp = dp_ + i * kAttentionChunk;
      const float lse = reinterpret_cast<const float*>(At(args_.lse, begin_ + query + i))[h];
      kernels_.softmax_backward(s, dp, args_.scale, lse, delta_[query + i],
                                std::min(keys, query + i + 1 - key), keys);
      p_rows[i] = s;
      ds_rows[i] = dp;
    }

    // to [keys, d] += rows^T x, x in panels.
    const auto add_to_keys = [&](const void* const* rows, const std::byte* x, int64_t d,
                                 float* to) {
      kernels_.pack_column_strips(Element::kF32, shape_.type, rows, 0, queries, keys, strip,
                                  p_strips_);
      for_keys([&](int64_t begin, int64_t end, int64_t first) {
        Multiply({.a = p_strips_ + (begin * Even(queries) + first * (end - begin)) * size,
                  .rows = end - begin,
                  .a_from_columns = true,
                  .b = x + first * panel_ * size,
                  .columns = d,
                  .depth = queries - first,
                  .b_depth = queries,
                  .c = to + (key + begin) * d,
                  .c_stride = d,
                  .accumulate = true});
      });
    };
    add_to_keys(p_rows, AtChunk(dout_panels_, query, RoundUp(d_v, panel_)), d_v, dv_);
    add_to_keys(ds_rows, AtChunk(q_panels_, query, RoundUp(d_qk, panel_)), d_qk, dk_);
    kernels_.pack_row_strips(Element::kF32, shape_.type, ds_rows, queries, keys, ds_strips_);
    for_queries([&](int64_t begin, int64_t end, int64_t seen) {
      Multiply({.a = AtChunk(ds_strips_, begin, Lines(keys)),
                .rows = end - begin,
                .b = AtChunk(key_columns_, key, RoundUp(d_qk, panel_)),
                .columns = d_qk,
                .depth = seen,
                .b_depth = std::min(kAttentionChunk, count_ - key),
                .c = dq_ + (query + begin) * d_qk,
                .c_stride = d_qk,
                .accumulate = true});
    });
  }

  const KernelTable& kernels_;
  Args args_;
  AttentionShape shape_;
  int64_t begin_ = 0, count_ = 0, kv_head_ = 0;
  KeyBlock block_;
  int64_t panel_;
  // Of all queries, one head.
  std::byte *q_strips_ = nullptr, *q_panels_ = nullptr;
  std::byte *dout_strips_ = nullptr, *dout_panels_ = nullptr;
  // Of all keys.
  std::byte *key_panels_ = nullptr, *value_panels_ = nullptr, *key_columns_ = nullptr;
  // Of one pair of chunks; s and dp: [queries, keys].
  std::byte *p_strips_ = nullptr, *ds_strips_ = nullptr;
  float *s_ = nullptr, *dp_ = nullptr;
  float *dq_ = nullptr, *dk_ = nullptr, *dv_ = nullptr, *delta_ = nullptr;
};

// The sums of dK and dV of one kv head over its heads, in ascending order.
class KeyGradients {
 public:
  KeyGradients(const KernelTable& kernels, const AttentionShape& shape, const Tensor& dk,
               const Tensor& dv, const AttentionSequence& sequence, int64_t kv_head, float* memory)
      : kernels_(kernels),
        shape_(shape),
        dk_(dk),
        dv_(dv),
        begin_(sequence.query_begin),
        kv_head_(kv_head),
        dk_sum_(memory),
        dv_sum_(memory + sequence.query_count * shape.d_qk) {}
  static int64_t Floats(const AttentionShape& shape, int64_t count) {
    return count * (shape.d_qk + shape.d_v);
  }

  // Adds what a head gives to the keys [begin, end); the last head's sum is stored.
  void Add(const HeadBackward& head, bool first, bool last, int64_t begin, int64_t end) {
    Add(head.dk(), dk_sum_, shape_.d_qk, dk_, first, last, begin, end);
    Add(head.dv(), dv_sum_, shape_.d_v, dv_, first, last, begin, end);
  }

 private:
  void Add(const float* from, float* sum, int64_t d, const Tensor& to, bool first, bool last,
           int64_t begin, int64_t end) {
    const int64_t n = (end - begin) * d;
    if (first && !last) {
      kernels_.cast(Element::kF32, from + begin * d, Element::kF32, sum + begin * d, n);
    } else if (!first) {
      kernels_.add(Element::kF32, from + begin * d, Element::kF32, sum + begin * d, n);
    }
    if (!last) return;
    for (int64_t j = begin; j < end; ++j) {
      kernels_.cast(Element::kF32, (first ? from : sum) + j * d, ElementOf(to),
                    At(to, begin_ + j, kv_head_), d);
    }
  }

  const KernelTable& kernels_;
  AttentionShape shape_;
  const Tensor &dk_, &dv_;
  int64_t begin_, kv_head_;
  float *dk_sum_, *dv_sum_;
};

}  // namespace

void CpuBackend::AttentionBackward(Context& context, ConstTensor dout, ConstTensor q,
                                   std::span<const AttentionSequence> sequences, double scale,
                                   ConstTensor out, ConstTensor lse, Tensor dq, Tensor dk,
                                   Tensor dv) {
  const int64_t tokens = q.dim(0), heads = q.dim(1), d_qk = q.dim(2), d_v = out.dim(2);
  cpu::CheckShape(dout, {tokens, heads, d_v}, "dout");
  cpu::CheckShape(out, {tokens, heads, d_v}, "out");
  cpu::CheckShape(lse, {tokens, heads}, "lse");
  cpu::CheckShape(dq, {tokens, heads, d_qk}, "dq");
  FATHOM_CHECK(lse.dtype() == DType::kF32);
  cpu::WorkList work;
  int64_t head_bytes = 0, sum_floats = 0, units = 0, group = 1;
  for (const AttentionSequence& sequence : sequences) {
    if (sequence.query_count == 0) {
      work.Add(0, 1);
      continue;
    }
    const AttentionShape shape = AttentionShape::Of(q, sequence, d_v);
    FATHOM_CHECK(sequence.first_position == 0 && sequence.blocks.size() == 1 &&
                     sequence.blocks[0].keys.dim(0) >= sequence.query_count,
                 "backward of a sequence at {} with {} blocks", sequence.first_position,
                 sequence.blocks.size());
    cpu::CheckShape(dk, {dk.dim(0), shape.kv_heads, d_qk}, "dk");
    cpu::CheckShape(dv, {dv.dim(0), shape.kv_heads, d_v}, "dv");
    work.Add(shape.kv_heads, shape.group * sequence.query_count * (sequence.query_count + 128) *
                                 (3 * d_qk + 2 * d_v + 64));
    head_bytes = std::max(head_bytes, HeadBackward::Bytes(kernels_, shape, sequence.query_count));
    sum_floats = std::max(sum_floats, KeyGradients::Floats(shape, sequence.query_count));
    units += shape.kv_heads;
    group = std::max(group, shape.group);
  }
  if (units == 0) return;

  ArenaScope scope(*context.workspace);
  ThreadPool& pool = *context.pool;
  const int parts = work.Parts(pool, kLeastCost);
  auto* scratch =
      static_cast<std::byte*>(context.workspace->NewBytes(static_cast<size_t>(parts * head_bytes)));
  auto* sums = static_cast<float*>(
      context.workspace->NewBytes(static_cast<size_t>(parts * sum_floats) * sizeof(float)));
  const HeadBackward::Args args{dout, q, static_cast<float>(scale), out, lse, dq, dk, dv};

  if (group > 1 && units % parts != 0 && units < 2 * parts) {
    // Few kv heads, which do not divide evenly: the heads of each, as many at a time as there are
    // threads.
    for (const AttentionSequence& sequence : sequences) {
      if (sequence.query_count == 0) continue;
      const AttentionShape shape = AttentionShape::Of(q, sequence, d_v);
      for (int64_t g = 0; g < shape.kv_heads; ++g) {
        const auto head = [&](int64_t part) {
          return HeadBackward(kernels_, args, shape, sequence, g, scratch + part * head_bytes);
        };
        for (int64_t first = 0; first < shape.group; first += parts) {
          const int64_t wave = std::min<int64_t>(parts, shape.group - first);
          pool.ParallelFor(wave, 1, [&](int64_t begin, int64_t end, int) {
            for (int64_t i = begin; i < end; ++i) {
              HeadBackward backward = head(i);
              backward.PackKeys();
              backward.RunHead(g * shape.group + first + i);
            }
          });
          KeyGradients gradients(kernels_, shape, dk, dv, sequence, g, sums);
          cpu::ForRows(pool, sequence.query_count, (d_qk + d_v) * wave,
                       [&](int64_t begin, int64_t end, int) {
                         for (int64_t i = 0; i < wave; ++i) {
                           gradients.Add(head(i), first + i == 0, first + i + 1 == shape.group,
                                         begin, end);
                         }
                       });
        }
      }
    }
    return;
  }
  work.Run(pool, parts, [&](int part, int64_t item, int64_t begin, int64_t end) {
    const AttentionSequence& sequence = sequences[static_cast<size_t>(item)];
    const AttentionShape shape = AttentionShape::Of(q, sequence, d_v);
    for (int64_t g = begin; g < end; ++g) {
      HeadBackward backward(kernels_, args, shape, sequence, g, scratch + part * head_bytes);
      KeyGradients gradients(kernels_, shape, dk, dv, sequence, g, sums + part * sum_floats);
      backward.PackKeys();
      for (int64_t h = 0; h < shape.group; ++h) {
        backward.RunHead(g * shape.group + h);
        gradients.Add(backward, h == 0, h + 1 == shape.group, 0, sequence.query_count);
      }
    }
  });
}

}  // namespace fathom

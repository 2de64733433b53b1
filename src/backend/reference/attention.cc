#include <algorithm>
#include <cmath>

#include "backend/reference/elements.h"
#include "backend/reference/reference_backend.h"

namespace fathom {

namespace {

// Keys or values of one sequence seen by one head: row j is the key at position j.
using HeadRows = std::vector<std::vector<double>>;

// The first `count` rows of the blocks, for kv head g.
HeadRows LoadHead(std::span<const KeyBlock> blocks, ConstTensor KeyBlock::*which, int64_t g,
                  int64_t count) {
  HeadRows rows;
  for (const KeyBlock& block : blocks) {
    const ConstTensor& tensor = block.*which;
    FATHOM_CHECK(tensor.rank() == 3, "{}", tensor.shape().ToString());
    for (int64_t i = 0; i < tensor.dim(0) && static_cast<int64_t>(rows.size()) < count; ++i) {
      rows.push_back(LoadRow(tensor.Select(1, g), i));
    }
  }
  FATHOM_CHECK(static_cast<int64_t>(rows.size()) == count, "{} of {} keys", rows.size(), count);
  return rows;
}

double Dot(const std::vector<double>& a, const std::vector<double>& b) {
  FATHOM_CHECK(a.size() == b.size(), "{} and {} columns", a.size(), b.size());
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

int64_t KvHeads(const AttentionSequence& sequence, int64_t heads) {
  FATHOM_CHECK(!sequence.blocks.empty());
  const int64_t kv_heads = sequence.blocks[0].keys.dim(1);
  FATHOM_CHECK(kv_heads > 0 && heads % kv_heads == 0, "{} heads over {}", heads, kv_heads);
  return kv_heads;
}

}  // namespace

void ReferenceBackend::Attention(Context&, ConstTensor q,
                                 std::span<const AttentionSequence> sequences, double scale,
                                 Tensor out, Tensor lse) {
  const int64_t tokens = q.dim(0), heads = q.dim(1), d_v = out.dim(2);
  CheckShape(out, {tokens, heads, d_v}, "out");
  if (!lse.empty()) CheckShape(lse, {tokens, heads}, "lse");
  for (const AttentionSequence& sequence : sequences) {
    if (sequence.query_count == 0) continue;
    const int64_t group = heads / KvHeads(sequence, heads);
    const int64_t key_count = sequence.first_position + sequence.query_count;
    for (int64_t h = 0; h < heads; ++h) {
      const HeadRows keys = LoadHead(sequence.blocks, &KeyBlock::keys, h / group, key_count);
      const HeadRows values = LoadHead(sequence.blocks, &KeyBlock::values, h / group, key_count);
      for (int64_t i = 0; i < sequence.query_count; ++i) {
        const int64_t t = sequence.query_begin + i;
        const auto visible = static_cast<size_t>(sequence.first_position + i + 1);
        const std::vector<double> query = LoadRow(q.Select(1, h), t);
        std::vector<double> score(visible);
        for (size_t j = 0; j < visible; ++j) score[j] = scale * Dot(query, keys[j]);
        const double maximum = *std::max_element(score.begin(), score.end());
        double sum = 0;
        std::vector<double> mixed(static_cast<size_t>(d_v));
        for (size_t j = 0; j < visible; ++j) {
          const double weight = std::exp(score[j] - maximum);
          sum += weight;
          FATHOM_CHECK(values[j].size() == mixed.size(), "{} columns of values", values[j].size());
          for (size_t c = 0; c < mixed.size(); ++c) mixed[c] += weight * values[j][c];
        }
        for (int64_t c = 0; c < d_v; ++c) {
          Store(out, t, h, c, mixed[static_cast<size_t>(c)] / sum);
        }
        if (!lse.empty()) Store(lse, t, h, maximum + std::log(sum));
      }
    }
  }
}

void ReferenceBackend::AttentionBackward(Context&, ConstTensor dout, ConstTensor q,
                                         std::span<const AttentionSequence> sequences, double scale,
                                         ConstTensor out, ConstTensor lse, Tensor dq, Tensor dk,
                                         Tensor dv) {
  const int64_t tokens = q.dim(0), heads = q.dim(1), d_qk = q.dim(2), d_v = out.dim(2);
  CheckShape(dout, {tokens, heads, d_v}, "dout");
  CheckShape(out, {tokens, heads, d_v}, "out");
  CheckShape(lse, {tokens, heads}, "lse");
  CheckShape(dq, {tokens, heads, d_qk}, "dq");
  for (const AttentionSequence& sequence : sequences) {
    if (sequence.query_count == 0) continue;
    FATHOM_CHECK(sequence.first_position == 0 && sequence.blocks.size() == 1,
                 "backward of a sequence at {} with {} blocks", sequence.first_position,
                 sequence.blocks.size());
    const int64_t kv_heads = KvHeads(sequence, heads), group = heads / kv_heads;
    const int64_t count = sequence.query_count, begin = sequence.query_begin;
    CheckShape(dk, {dk.dim(0), kv_heads, d_qk}, "dk");
    CheckShape(dv, {dv.dim(0), kv_heads, d_v}, "dv");
    for (int64_t g = 0; g < kv_heads; ++g) {
      const HeadRows keys = LoadHead(sequence.blocks, &KeyBlock::keys, g, count);
      const HeadRows values = LoadHead(sequence.blocks, &KeyBlock::values, g, count);
      HeadRows dkeys(keys.size(), std::vector<double>(static_cast<size_t>(d_qk)));
      HeadRows dvalues(values.size(), std::vector<double>(static_cast<size_t>(d_v)));
      for (int64_t h = g * group; h < (g + 1) * group; ++h) {
        for (int64_t i = 0; i < count; ++i) {
          const int64_t t = begin + i;
          const std::vector<double> query = LoadRow(q.Select(1, h), t);
          const std::vector<double> dout_row = LoadRow(dout.Select(1, h), t);
          const double d = Dot(dout_row, LoadRow(out.Select(1, h), t));
          std::vector<double> dquery(static_cast<size_t>(d_qk));
          for (size_t j = 0; j <= static_cast<size_t>(i); ++j) {
            const double p = std::exp(scale * Dot(query, keys[j]) - Load(lse, t, h));
            const double ds = p * (Dot(dout_row, values[j]) - d);
            for (size_t c = 0; c < dout_row.size(); ++c) dvalues[j][c] += p * dout_row[c];
            for (size_t c = 0; c < query.size(); ++c) {
              dquery[c] += scale * ds * keys[j][c];
              dkeys[j][c] += scale * ds * query[c];
            }
          }
          for (int64_t c = 0; c < d_qk; ++c) Store(dq, t, h, c, dquery[static_cast<size_t>(c)]);
        }
      }
      for (int64_t j = 0; j < count; ++j) {
        const auto row = static_cast<size_t>(j);
        for (int64_t c = 0; c < d_qk; ++c) {
          Store(dk, begin + j, g, c, dkeys[row][static_cast<size_t>(c)]);
        }
        for (int64_t c = 0; c < d_v; ++c) {
          Store(dv, begin + j, g, c, dvalues[row][static_cast<size_t>(c)]);
        }
      }
    }
  }
}

}  // namespace fathom

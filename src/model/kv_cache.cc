#include "model/kv_cache.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "ops/backend.h"
#include "tensor/quantize.h"

namespace fathom {
namespace {

constexpr DType kLatentCodes = DType::kE4M3, kRopeType = DType::kBF16;

// Bytes of one token's row of one layer.
int64_t RowBytes(const ModelConfig& config, Precision precision, CacheFormat format) {
  if (format == CacheFormat::kAct) {
    return config.cache_row_dim() * static_cast<int64_t>(SizeOf(precision.act));
  }
  return QuantizedRowBytes(kLatentCodes, config.kv_lora_rank) +
         config.qk_rope_head_dim * static_cast<int64_t>(SizeOf(kRopeType));
}

}  // namespace

std::string_view Name(CacheFormat format) { return format == CacheFormat::kAct ? "act" : "fp8"; }

int64_t KvCache::BytesPerToken(const ModelConfig& config, Precision precision, CacheFormat format) {
  if (format == CacheFormat::kFp8Latent && !config.latent_attention()) {
    throw UsageError("cache", "FP8 is for the latents of DeepSeek models",
                     "this model has grouped-query attention: leave it away");
  }
  return config.total_layers() * RowBytes(config, precision, format);
}

KvCache::KvCache(const ModelConfig& config, Precision precision, CacheFormat format, int64_t pages,
                 Allocator& allocator)
    : config_(config),
      precision_(precision),
      format_(format),
      pages_(pages),
      bytes_per_token_(BytesPerToken(config, precision, format)),
      arena_(MemoryRole::kCache, allocator) {
  storage_ = arena_.New(DType::kI32, Shape({pages, page_bytes() / 4}));
}

Tensor KvCache::Page(int64_t page) const {
  FATHOM_CHECK(page >= 0 && page < pages_, "page {} of {}", page, pages_);
  return storage_.Select(0, page);
}

KvCache::Rows KvCache::LayerRows(int64_t page, int64_t layer) const {
  auto* begin = static_cast<std::byte*>(Page(page).raw()) +
                layer * kPageTokens * (bytes_per_token_ / config_.total_layers());
  if (format_ == CacheFormat::kAct) {
    return {Tensor(begin, precision_.act, Shape({kPageTokens, config_.cache_row_dim()})), Tensor()};
  }
  const int64_t latents = kPageTokens * QuantizedRowBytes(kLatentCodes, config_.kv_lora_rank);
  return {Tensor(begin, kLatentCodes, Shape({kPageTokens, config_.kv_lora_rank})),
          Tensor(begin + latents, kRopeType, Shape({kPageTokens, config_.qk_rope_head_dim}))};
}

void KvCache::Write(Context& context, int64_t layer, const Batch& batch, ConstTensor rows) {
  Backend& backend = *context.backend;
  for (const BatchSequence& sequence : batch.sequences) {
    for (int64_t i = 0; i < sequence.count;) {
      const int64_t row = sequence.first_position + i + Shift(layer);
      const int64_t begin = row % kPageTokens;
      const int64_t count = std::min(kPageTokens - begin, sequence.count - i);
      const auto page = static_cast<size_t>(row / kPageTokens);
      FATHOM_CHECK(page < sequence.pages.size(), "row {} has no page", row);
      const Rows to = LayerRows(sequence.pages[page], layer);
      const ConstTensor from = rows.Rows(sequence.begin + i, sequence.begin + i + count);
      if (format_ == CacheFormat::kAct) {
        backend.Cast(context, from, to.values.Rows(begin, begin + count));
      } else {
        const int64_t rank = config_.kv_lora_rank;
        backend.Cast(context, from.Columns(0, rank), to.values.Rows(begin, begin + count));
        backend.Cast(context, from.Columns(rank, config_.latent_dim()),
                     to.rope.Rows(begin, begin + count));
      }
      i += count;
    }
  }
}

KeyBlock KvCache::Block(ConstTensor rows) const {
  if (config_.latent_attention()) {
    const ConstTensor keys = rows.SplitLast(1, config_.latent_dim());
    return {keys, keys.Columns(0, config_.kv_lora_rank)};
  }
  const int64_t heads = config_.num_key_value_heads, dim = config_.head_dim;
  return {rows.Columns(0, heads * dim).SplitLast(heads, dim),
          rows.Columns(heads * dim, 2 * heads * dim).SplitLast(heads, dim)};
}

std::vector<std::vector<KeyBlock>> KvCache::Blocks(Context& context, int64_t layer,
                                                   const Batch& batch) const {
  Backend& backend = *context.backend;
  std::map<int32_t, Tensor> decoded;  // by page, from its first row on
  const auto decode = [&](int32_t page, int64_t count) {
    Tensor& rows = decoded[page];
    if (!rows.empty() && rows.dim(0) >= count) return rows.Rows(0, count);
    rows = context.workspace->New(precision_.act, Shape({count, config_.latent_dim()}));
    const Rows from = LayerRows(page, layer);
    const int64_t rank = config_.kv_lora_rank;
    backend.Cast(context, from.values.Rows(0, count), rows.Columns(0, rank));
    backend.Cast(context, from.rope.Rows(0, count), rows.Columns(rank, config_.latent_dim()));
    return rows;
  };
  const int64_t shift = Shift(layer);
  std::vector<std::vector<KeyBlock>> blocks;
  blocks.reserve(batch.sequences.size());
  for (const BatchSequence& sequence : batch.sequences) {
    const int64_t end = sequence.first_position + sequence.count + shift;
    std::vector<KeyBlock>& own = blocks.emplace_back();
    for (int64_t begin = shift; begin < end;) {
      const int64_t first = begin % kPageTokens, last = std::min(kPageTokens, first + end - begin);
      const int32_t page = sequence.pages[static_cast<size_t>(begin / kPageTokens)];
      const Tensor rows =
          format_ == CacheFormat::kAct ? LayerRows(page, layer).values : decode(page, last);
      own.push_back(Block(rows.Rows(first, last)));
      begin += last - first;
    }
  }
  return blocks;
}

}  // namespace fathom

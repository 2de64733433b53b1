#include "model/kv_cache.h"

#include <algorithm>

#include "base/error.h"
#include "ops/backend.h"

namespace fathom {

KvCache::KvCache(const ModelConfig& config, Precision precision, int64_t max_tokens,
                 Allocator& allocator)
    : config_(config), arena_(MemoryRole::kCache, allocator) {
  const int64_t pages = Pages(max_tokens);
  storage_ = arena_.New(precision.act,
                        Shape({pages, config.total_layers(), kPageTokens, config.cache_row_dim()}));
  // Taken from the back: low pages first.
  for (int64_t page = pages - 1; page >= 0; --page) free_.push_back(page);
}

int64_t KvCache::BytesPerToken(const ModelConfig& config, Precision precision) {
  return config.total_layers() * config.cache_row_dim() *
         static_cast<int64_t>(SizeOf(precision.act));
}

int64_t KvCache::NewSequence() {
  pages_of_.try_emplace(next_id_);
  return next_id_++;
}

void KvCache::FreeSequence(int64_t id) {
  const auto found = pages_of_.find(id);
  FATHOM_CHECK(found != pages_of_.end());
  free_.insert(free_.end(), found->second.rbegin(), found->second.rend());
  pages_of_.erase(found);
}

bool KvCache::Reserve(int64_t id, int64_t length) {
  std::vector<int64_t>& pages = pages_of_.at(id);
  const int64_t wanted = Pages(length) - static_cast<int64_t>(pages.size());
  if (wanted > free_pages()) return false;
  for (int64_t i = 0; i < wanted; ++i) {
    pages.push_back(free_.back());
    free_.pop_back();
  }
  return true;
}

Tensor KvCache::Page(int64_t page, int64_t layer) const {
  return storage_.Select(0, page).Select(0, layer);
}

void KvCache::Write(Context& context, int64_t layer, const Batch& batch, ConstTensor rows) {
  for (const BatchSequence& sequence : batch.sequences) {
    const std::vector<int64_t>& pages = pages_of_.at(sequence.cache_id);
    for (int64_t i = 0; i < sequence.count;) {
      const int64_t position = sequence.first_position + i;
      const int64_t row = position % kPageTokens;
      const int64_t count = std::min(kPageTokens - row, sequence.count - i);
      const int64_t page = position / kPageTokens;
      FATHOM_CHECK(page < static_cast<int64_t>(pages.size()), "position {} was not reserved",
                   position);
      context.backend->Cast(context, rows.Rows(sequence.begin + i, sequence.begin + i + count),
                            Page(pages[static_cast<size_t>(page)], layer).Rows(row, row + count));
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

std::vector<KeyBlock> KvCache::Blocks(int64_t layer, int64_t id, int64_t length) const {
  std::vector<KeyBlock> blocks;
  const std::vector<int64_t>& pages = pages_of_.at(id);
  for (int64_t begin = 0; begin < length; begin += kPageTokens) {
    const int64_t rows = std::min(kPageTokens, length - begin);
    blocks.push_back(
        Block(Page(pages[static_cast<size_t>(begin / kPageTokens)], layer).Rows(0, rows)));
  }
  return blocks;
}

}  // namespace fathom

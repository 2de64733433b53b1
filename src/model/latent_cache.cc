#include "model/latent_cache.h"

#include <algorithm>

#include "base/error.h"
#include "ops/backend.h"

namespace fathom {

LatentCache::LatentCache(const ModelConfig& config, Precision precision, int64_t max_tokens,
                         Allocator& allocator)
    : kv_lora_rank_(config.kv_lora_rank), arena_(MemoryRole::kCache, allocator) {
  const int64_t pages = (max_tokens + kPageTokens - 1) / kPageTokens;
  storage_ = arena_.New(precision.act,
                        Shape({pages, config.total_layers(), kPageTokens, config.latent_dim()}));
  // Taken from the back: low pages first.
  for (int64_t page = pages - 1; page >= 0; --page) free_.push_back(page);
}

int64_t LatentCache::BytesPerToken(const ModelConfig& config, Precision precision) {
  return config.total_layers() * config.latent_dim() * static_cast<int64_t>(SizeOf(precision.act));
}

int64_t LatentCache::NewSequence() {
  pages_of_.try_emplace(next_id_);
  return next_id_++;
}

void LatentCache::FreeSequence(int64_t id) {
  const auto found = pages_of_.find(id);
  FATHOM_CHECK(found != pages_of_.end());
  free_.insert(free_.end(), found->second.rbegin(), found->second.rend());
  pages_of_.erase(found);
}

bool LatentCache::Reserve(int64_t id, int64_t length) {
  std::vector<int64_t>& pages = pages_of_.at(id);
  const int64_t wanted =
      (length + kPageTokens - 1) / kPageTokens - static_cast<int64_t>(pages.size());
  if (wanted > free_pages()) return false;
  for (int64_t i = 0; i < wanted; ++i) {
    pages.push_back(free_.back());
    free_.pop_back();
  }
  return true;
}

Tensor LatentCache::Page(int64_t page, int64_t layer) const {
  return storage_.Select(0, page).Select(0, layer);
}

void LatentCache::Write(Context& context, int64_t layer, const Batch& batch, ConstTensor latent) {
  for (const BatchSequence& sequence : batch.sequences) {
    const std::vector<int64_t>& pages = pages_of_.at(sequence.cache_id);
    for (int64_t i = 0; i < sequence.count;) {
      const int64_t position = sequence.first_position + i;
      const int64_t row = position % kPageTokens;
      const int64_t rows = std::min(kPageTokens - row, sequence.count - i);
      const int64_t page = position / kPageTokens;
      FATHOM_CHECK(page < static_cast<int64_t>(pages.size()), "position {} was not reserved",
                   position);
      context.backend->Cast(context, latent.Rows(sequence.begin + i, sequence.begin + i + rows),
                            Page(pages[static_cast<size_t>(page)], layer).Rows(row, row + rows));
      i += rows;
    }
  }
}

std::vector<KeyBlock> LatentCache::Blocks(int64_t layer, int64_t id, int64_t length) const {
  std::vector<KeyBlock> blocks;
  const std::vector<int64_t>& pages = pages_of_.at(id);
  for (int64_t begin = 0; begin < length; begin += kPageTokens) {
    const int64_t rows = std::min(kPageTokens, length - begin);
    const Tensor page = Page(pages[static_cast<size_t>(begin / kPageTokens)], layer).Rows(0, rows);
    const ConstTensor keys = page.SplitLast(1, page.dim(1));
    blocks.push_back({keys, keys.Columns(0, kv_lora_rank_)});
  }
  return blocks;
}

}  // namespace fathom

#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "model/batch.h"
#include "model/config.h"
#include "model/precision.h"
#include "ops/attention_args.h"

namespace fathom {

// The cache of attention: one row a token and layer (MTP modules are layers) of cache_row_dim
// elements of the model's act type: [normalised latent | rotated key] in latent attention, [rotated
// keys | values] of all kv heads in grouped-query attention. Rows lie in pages of kPageTokens
// tokens that belong to sequences; a sequence grows page by page and gives its pages back when it
// ends.
class KvCache {
 public:
  static constexpr int64_t kPageTokens = 64;
  // Pages that hold so many tokens of one sequence.
  static constexpr int64_t Pages(int64_t tokens) {
    return (tokens + kPageTokens - 1) / kPageTokens;
  }

  // Room for max_tokens tokens, rounded up to pages.
  KvCache(const ModelConfig& config, Precision precision, int64_t max_tokens, Allocator& allocator);

  static int64_t BytesPerToken(const ModelConfig& config, Precision precision);

  int64_t NewSequence();
  void FreeSequence(int64_t id);
  // Pages for positions [0, length); false when there are not enough free pages (nothing changes
  // then).
  bool Reserve(int64_t id, int64_t length);
  int64_t free_pages() const { return static_cast<int64_t>(free_.size()); }

  // Stores the rows of the batch's tokens, act [batch.size, cache_row_dim], at their positions;
  // pages have to be there.
  void Write(Context& context, int64_t layer, const Batch& batch, ConstTensor rows);
  // The keys and values of positions [0, length), [n, kv_heads, d]. In latent attention there is
  // one kv head, whose keys are the rows and whose values are their first kv_lora_rank columns.
  std::vector<KeyBlock> Blocks(int64_t layer, int64_t id, int64_t length) const;

 private:
  Tensor Page(int64_t page, int64_t layer) const;  // [kPageTokens, cache_row_dim]
  KeyBlock Block(ConstTensor rows) const;

  ModelConfig config_;
  Arena arena_;
  Tensor storage_;  // [pages, layers, kPageTokens, cache_row_dim]
  std::vector<int64_t> free_;
  std::map<int64_t, std::vector<int64_t>> pages_of_;
  int64_t next_id_ = 0;
};

}  // namespace fathom

#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "model/batch.h"
#include "model/config.h"
#include "model/precision.h"
#include "ops/attention_args.h"

namespace fathom {

// What a cache's rows are stored as.
enum class CacheFormat : uint8_t {
  kAct,  // the model's act type, as attention computes with it
  // Latent attention only: the latent in E4M3 with an f32 scale every 128 elements, the rotated key
  // in bf16 (DeepSeek's FlashMLA: 512 + 4 scales + 64 in 656 bytes). Attention reads what is
  // stored, of the tokens of its own step too, so that bits do not depend on how a prompt was cut.
  kFp8Latent,
};
std::string_view Name(CacheFormat format);  // "act", "fp8"

// The memory of attention's keys and values: one row a token and layer (MTP modules are layers) of
// cache_row_dim elements, [normalised latent | rotated key] in latent attention, [rotated keys |
// values] of all kv heads in grouped-query attention. Rows lie in pages of kPageTokens tokens, all
// layers of a page together. A row of the k-th MTP module lies k rows later than the token it
// belongs to: it is a function of k tokens more, and so all that lies in the rows up to a token's
// is a function of the tokens up to that one, which is what makes pages shareable. Which sequence a
// page belongs to, and what is in it, is known to whoever hands pages out (infer/cache): here a
// sequence is the list of its pages that comes with a batch.
class KvCache {
 public:
  static constexpr int64_t kPageTokens = 64;
  // Pages that hold so many tokens of one sequence.
  static constexpr int64_t Pages(int64_t tokens) {
    return (tokens + kPageTokens - 1) / kPageTokens;
  }

  // Throws UsageError when the model's attention has no cache of that format.
  KvCache(const ModelConfig& config, Precision precision, CacheFormat format, int64_t pages,
          Allocator& allocator);

  static int64_t BytesPerToken(const ModelConfig& config, Precision precision, CacheFormat format);

  int64_t pages() const { return pages_; }
  int64_t page_bytes() const { return kPageTokens * bytes_per_token_; }
  // Bytes that the pages take.
  int64_t bytes() const { return static_cast<int64_t>(arena_.used()); }

  // How much later than a token its row of this layer lies: 0, for MTP modules 1, 2, ...
  int64_t Shift(int64_t layer) const {
    return std::max<int64_t>(0, layer - config_.num_hidden_layers + 1);
  }

  // Stores the rows of the batch's tokens, act [batch.size, cache_row_dim]; their sequences have
  // the pages for them.
  void Write(Context& context, int64_t layer, const Batch& batch, ConstTensor rows);
  // The keys and values of positions [0, first_position + count) of each of the batch's sequences,
  // [n, kv_heads, d]. In latent attention there is one kv head, whose keys are the rows and whose
  // values are their first kv_lora_rank columns. Rows that are not stored as attention computes are
  // decoded into the workspace, a page once however many sequences share it.
  std::vector<std::vector<KeyBlock>> Blocks(Context& context, int64_t layer,
                                            const Batch& batch) const;

  // A page as it lies in memory: i32 [page_bytes / 4]. Bytes of two caches of the same model, act
  // type and format mean the same.
  Tensor Page(int64_t page) const;

 private:
  // A layer's rows of one page: act [kPageTokens, cache_row_dim]; in kFp8Latent kE4M3 [kPageTokens,
  // kv_lora_rank] and bf16 [kPageTokens, rope].
  struct Rows {
    Tensor values, rope;
  };
  Rows LayerRows(int64_t page, int64_t layer) const;
  KeyBlock Block(ConstTensor rows) const;

  ModelConfig config_;
  Precision precision_;
  CacheFormat format_;
  int64_t pages_;
  int64_t bytes_per_token_;
  Arena arena_;
  Tensor storage_;  // i32 [pages, page_bytes / 4]
};

}  // namespace fathom

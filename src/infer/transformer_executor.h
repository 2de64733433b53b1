#pragma once

#include <optional>

#include "infer/executor.h"
#include "infer/mtp_drafter.h"
#include "model/transformer.h"

namespace fathom {

// Rows whose logits are in memory at a time.
inline constexpr int64_t kLogitRows = 64;

// Steps of a model, each one forward in the absorbed form (exact mode) over a cache of its own.
// Where the model has MTP modules, it can guess (MtpDrafter). What is drawn depends on the model's
// logits alone, which no guess can change: with drafts and without, a request gets the same bits.
class TransformerExecutor : public Executor {
 public:
  // The transformer is packed; both have to outlive it. pages: of KvCache::kPageTokens tokens.
  TransformerExecutor(Context& context, const Transformer& transformer, int64_t pages,
                      CacheFormat format = CacheFormat::kAct);

  int64_t pages() const override { return cache_.pages(); }
  int64_t page_tokens() const override { return KvCache::kPageTokens; }
  int64_t page_bytes() const override { return cache_.page_bytes(); }
  void CopyPage(int32_t from, int32_t to) override;
  void ReadPage(int32_t page, std::span<std::byte> bytes) override;
  void WritePage(int32_t page, std::span<const std::byte> bytes) override;

  int64_t vocabulary() const override { return transformer_.config().vocab_size; }
  int64_t max_length() const override { return transformer_.config().max_position_embeddings; }
  bool drafts() const override { return drafter_.has_value(); }
  const ExpertLoad& expert_load() const override { return expert_load_; }
  std::vector<PieceResult> Compute(std::span<const Piece> pieces) override;

  const KvCache& cache() const { return cache_; }

 private:
  // A row of the head's input that something is wanted of.
  struct Row {
    size_t piece;
    int32_t batch_row;
    int32_t target;        // -1: drawn
    int64_t position = 0;  // of what is drawn
  };
  // Rows [begin, end), whose hidden states are h: with their logits in memory, or without.
  void ReadWithLogits(std::span<const Piece> pieces, std::span<const Row> rows, ConstTensor h,
                      std::vector<PieceResult>& results);
  void ReadLogProbs(std::span<const Row> rows, ConstTensor h, std::vector<PieceResult>& results);
  // The first row of h.
  std::vector<float> ReadHidden(ConstTensor h);
  // Draws the token at a position and adds it to the piece's; -1 when there is none, as after a
  // guess that does not hold.
  static int32_t Draw(const Piece& piece, std::span<const float> logits, int64_t position,
                      PieceResult& result);

  Context& context_;
  const Transformer& transformer_;
  KvCache cache_;
  std::optional<MtpDrafter> drafter_;  // of models with MTP modules
  ExpertLoad expert_load_;
};

}  // namespace fathom

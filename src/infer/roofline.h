#pragma once

#include <cstdint>

#include "model/config.h"
#include "model/kv_cache.h"
#include "model/parameters.h"
#include "model/precision.h"
#include "ops/backend.h"

namespace fathom {

// What a forward has to read and to multiply at least: the floor that measured speed is compared
// with (docs/performance.md). Experts of a batch are as many as so many tokens choose on average
// when each chooses evenly.
struct ForwardFloor {
  DType weights = DType::kBF16;  // the type that most of the bytes read are in
  // Bytes of the weights that `tokens` tokens of one batch read, as they are packed, the head for
  // all of them included.
  double WeightBytes(int64_t tokens) const;
  // Bytes of the weights that one pass of the MTP module over `tokens` tokens reads, with the head.
  double MtpBytes(int64_t tokens) const;
  // Bytes that a step of `sequences` answers at this depth reads when `drafts` guesses of each are
  // verified and as many made anew, over those of a step without.
  double DraftedOverPlainBytes(int64_t sequences, int64_t drafts, int64_t depth) const;
  // Bytes of the cache that one token at this depth reads.
  double CacheBytes(int64_t depth) const;
  // FLOP (two a multiply-add) of a token of a prompt at this depth, without the head: products with
  // weights, and attention in the absorbed form.
  double PromptFlops(int64_t depth) const;

  // Of the experts, that so many tokens choose.
  double ShareOfExperts(int64_t tokens) const;

  double dense_bytes = 0, expert_bytes = 0;  // expert_bytes: of all experts
  double head_bytes = 0;
  double mtp_dense_bytes = 0, mtp_expert_bytes = 0;  // of the first MTP module
  double experts = 0, chosen = 0;
  double cache_row_bytes = 0;  // of all layers but MTP modules'
  double mtp_row_bytes = 0;    // of one layer
  double weight_flops = 0, attention_flops_per_key = 0;
};

// From a store opened for inference.
ForwardFloor FloorOf(const ModelConfig& config, Precision precision, CacheFormat format,
                     const ParameterStore& store);

}  // namespace fathom

#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "data/evaluation_rows.h"
#include "model/language_model_loss.h"
#include "train/run_setup.h"

namespace fathom {

struct HeldOutScore {
  double bits_per_byte = 0;
  double loss = 0;  // nats a token
  uint64_t documents = 0, bytes = 0, targets = 0;
  // Of each MTP module: its loss (nats a token), and the share of its drafts that greedy
  // speculative decoding would accept on this text (LossOutput::accepted).
  std::vector<double> mtp_loss, mtp_acceptance;
};

// How well a model predicts held-out documents: all of every source's, or a fixed random choice of
// about max_tokens tokens (0: all). Each token is predicted from its own document, at least half a
// row of it once it is long enough.
HeldOutScore ScoreHeldOut(Context& context, const Transformer& transformer, const RunInputs& inputs,
                          int64_t sequence_length, int64_t rows_at_once, AttentionForm form,
                          uint64_t max_tokens, uint64_t seed, bool quiet);

// Bits per byte of the order-4 byte model (data/byte_baseline.h), trained on the sources' training
// documents, on the held-out ones.
double HeldOutByteBaseline(const RunConfig& config, bool quiet);

}  // namespace fathom

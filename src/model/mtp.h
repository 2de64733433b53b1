#pragma once

#include "model/decoder_layer.h"

namespace fathom {

// What backward needs of one MTP module, beside its layer's activations.
struct MtpSaved {
  Tensor embedding;             // as norm_input [T, hidden]
  Tensor previous;              // act [T, hidden]
  Tensor e_inv_rms, h_inv_rms;  // sum [T]
  Tensor joined;                // act [T, 2 hidden]; empty when recomputed
};

// A multi-token prediction module (DeepSeek-V3 report, section 2.2): from the hidden state of token
// i and the embedding of token i + k it goes on to predict token i + k + 1. The hidden state is the
// one that the head reads, after the final norm (for a further module: after the previous module's
// shared_head.norm), and the embedding comes first in the concatenation: both as the released
// weights want it, where the paper is silent or has the other order.
class MtpModule {
 public:
  MtpModule(const ModelConfig& config, Precision precision, ParameterStore& store, int64_t index);

  void Pack(Context& context, const PackedUses& uses, Arena& arena);

  const DecoderLayer& layer() const { return layer_; }
  Parameter& output_norm() const { return *output_norm_; }

  // previous act [T, hidden]; ids i32 [T], the tokens i + k. Returns the residual stream sum [T,
  // hidden] after the layer, in StreamArena; `arena` is saved's when there is one.
  Tensor Forward(Context& context, const Pass& pass, ConstTensor previous, ConstTensor ids,
                 Arena& arena, SavedActivations* saved, MtpSaved* mtp_saved) const;
  // dx sum [T, hidden]: the gradient of Forward's result, overwritten. Adds to dprevious sum [T,
  // hidden] and to the embedding's gradient.
  void Backward(Context& context, const Pass& pass, SavedActivations& saved,
                const MtpSaved& mtp_saved, ConstTensor ids, Tensor dx, Tensor dprevious) const;

 private:
  // The two norms' outputs side by side, act [T, 2 hidden], and their statistics.
  Tensor Join(Context& context, const MtpSaved& saved, Arena& arena) const;

  ModelConfig config_;
  Precision precision_;
  Parameter* embedding_;
  Parameter* e_norm_;
  Parameter* h_norm_;
  Parameter* output_norm_;
  Linear join_;
  DecoderLayer layer_;
};

}  // namespace fathom

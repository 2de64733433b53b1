#pragma once

#include <optional>

#include "model/gqa.h"
#include "model/mla.h"
#include "model/mlp.h"
#include "model/moe.h"

namespace fathom {

// What backward needs of one layer.
struct LayerSaved {
  Tensor x_in;   // as norm_input [T, hidden]: the residual stream before the attention
  Tensor x_mid;  // the same between attention and MLP
  Tensor inv_rms_in, inv_rms_mid;  // sum [T]
  Tensor h_in, h_mid;  // projections' operands [T, hidden]: normalised; empty when recomputed
  MlaSaved mla;        // of the attention that the layer has
  GqaSaved gqa;
  Tensor gate_up;  // of a dense MLP, as kept_swiglu
  MoeSaved moe;
};

// Activations of one micro-batch, over any range of layers.
struct SavedActivations {
  explicit SavedActivations(Allocator& allocator)
      : arena(MemoryRole::kSaved, allocator), backward(MemoryRole::kWorkspace, allocator) {}

  Arena arena;
  // For what the first half of backward leaves to the second.
  Arena backward;
  // Norms and MLA up-projections are computed again in backward instead of being kept (V3 report,
  // section 3.2.3).
  bool recompute = false;
  std::vector<LayerSaved> layers;  // indexed by layer, MTP modules included
};

// Where the residual stream of a forward begins: with what is saved when backward keeps it as it
// is.
inline Arena& StreamArena(Context& context, const Precision& precision, SavedActivations* saved) {
  const bool kept = saved != nullptr && precision.norm_input == precision.sum;
  return kept ? saved->arena : *context.workspace;
}

// x += attention(norm(x)); x += mlp(norm(x)).
class DecoderLayer {
 public:
  DecoderLayer(const ModelConfig& config, Precision precision, ParameterStore& store,
               int64_t layer);

  void Pack(Context& context, const PackedUses& uses, Arena& arena);

  // The routed experts, or null in a dense layer.
  const Moe* moe() const { return moe_ ? &*moe_ : nullptr; }

  // Returns the new residual stream. Without `saved` it is x itself, changed in place; with it, x
  // has to lie in saved's arena, where it stays as it is and the result is new unless the recipe
  // keeps a copy of another type.
  Tensor Forward(Context& context, const Pass& pass, Tensor x, SavedActivations* saved) const;
  // dx sum [T, hidden]: in, the gradient of the layer's output; out, of its input. What the weight
  // gradients need is put into `keep` and `pending`, whose Apply is the second half.
  void BackwardInput(Context& context, const Pass& pass, const SavedActivations& saved, Tensor dx,
                     Arena& keep, PendingWeightGradients& pending) const;

 private:
  // The norm's output, kept or computed again; act only if wanted or made anyway.
  NormedInput Normed(Context& context, ConstTensor kept, ConstTensor x, const Parameter& gain,
                     Tensor inv_rms, bool want_act, Arena& keep) const;

  ModelConfig config_;
  Precision precision_;
  int64_t layer_;
  Parameter* input_norm_;
  Parameter* post_attention_norm_;
  // One of the two, and one of the next two.
  std::optional<Mla> mla_;
  std::optional<Gqa> gqa_;
  std::optional<Mlp> mlp_;
  std::optional<Moe> moe_;
};

}  // namespace fathom

#pragma once

#include <vector>

#include "model/attention_sequences.h"
#include "model/linear.h"
#include "model/pass.h"
#include "model/rope.h"

namespace fathom {

// What backward needs of one latent attention. "act" tensors are of the model's act type.
struct MlaSaved {
  Tensor down;  // act [T, q_lora_rank + latent_dim]: the raw down projections (without q_lora_rank:
                // queries first)
  Tensor q_inv_rms, kv_inv_rms;  // sum [T]
  Tensor heads_out;              // as kept_heads [T, heads * v_head_dim]: what o_proj multiplies
  Tensor lse;                    // sum [T, heads]
  // Recomputable from the above:
  // act [T, latent_dim]: [normalised latent | rotated key], the row that a cache holds.
  Tensor latent;
  Tensor q_latent;  // a projection's operand [T, q_lora_rank]: normalised
  Tensor q;         // act [T, heads, nope + rope]: rotated
  Tensor up;        // act [T, heads, nope + v]: keys and values, of the expanded form alone
};

// Multi-head latent attention (DeepSeek-V2 report, arXiv 2405.04434, section 2.1 and appendix C),
// absorbed or expanded. Backward is expanded whatever forward was: the gradient is that of the same
// function, only a forward has to have inference's bits, and the latents of all heads are several
// times as wide as the heads' own keys and values.
class Mla {
 public:
  // prefix: "model.layers.3.self_attn."
  Mla(const ModelConfig& config, Precision precision, ParameterStore& store,
      const std::string& prefix);

  void Pack(Context& context, const PackedUses& uses, Arena& arena);

  // x += attention(h); h a projection's operand [T, hidden], x sum [T, hidden]. `layer` names the
  // cache's layer. saved may be null.
  void Forward(Context& context, const Pass& pass, int64_t layer, ConstTensor h, Tensor x,
               MlaSaved* saved, ActivationArenas arenas) const;
  // From dy act [T, hidden], the gradient of the attention's output, assigns dh sum [T, hidden].
  // What weight gradients need is allocated in `keep` and noted in `pending`.
  void BackwardInput(Context& context, const Pass& pass, ConstTensor h, const MlaSaved& saved,
                     ConstTensor dy, Tensor dh, Arena& keep, PendingWeightGradients& pending) const;

 private:
  // saved.down -> saved.latent.
  void NormLatent(Context& context, const Pass& pass, MlaSaved& saved, Arena& arena) const;
  // saved.down -> saved.q_latent, q.
  void ProjectQueries(Context& context, const Pass& pass, MlaSaved& saved, Arena& arena) const;
  // saved.latent -> saved.up.
  void ExpandLatent(Context& context, MlaSaved& saved, Arena& arena) const;
  // Per-head keys [T, heads, nope + rope] of the expanded form.
  Tensor ExpandedKeys(Context& context, const MlaSaved& saved, Arena& arena) const;
  ConstTensor ExpandedValues(const MlaSaved& saved) const;
  // heads_out act [T, heads * v].
  void AttendExpanded(Context& context, const Pass& pass, const MlaSaved& saved,
                      Tensor heads_out) const;
  void AttendAbsorbed(Context& context, const Pass& pass, int64_t layer, const MlaSaved& saved,
                      Tensor heads_out) const;
  // From d_heads [T, heads * v]: dq [T, heads, nope + rope] before rotation, and dlatent sum [T,
  // latent_dim].
  void AttentionBackward(Context& context, const Pass& pass, const MlaSaved& saved, Tensor d_heads,
                         Tensor dq, Tensor dlatent, Arena& keep,
                         PendingWeightGradients& pending) const;

  Tensor QueryPart(Tensor down) const;      // of a [T, down] tensor: what precedes the latent
  Tensor LatentPart(Tensor down) const;     // [T, kv_lora_rank]
  Tensor RotaryKeyPart(Tensor down) const;  // [T, rope]

  ModelConfig config_;
  Precision precision_;
  RopeParameters rope_;
  // The released code builds the two norms with this epsilon, whatever rms_norm_eps says.
  static constexpr double kNormEps = 1e-6;
  Parameter* q_norm_ = nullptr;  // null without q_lora_rank
  Parameter* kv_norm_;
  Linear down_, q_up_, kv_up_, out_;
  std::vector<Linear> key_up_, value_up_;  // the heads' rows of kv_b_proj
};

}  // namespace fathom

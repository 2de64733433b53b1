#pragma once

#include <string>

#include "model/linear.h"
#include "model/pass.h"
#include "model/rope.h"

namespace fathom {

// What backward needs of one grouped-query attention.
struct GqaSaved {
  Tensor heads_out;  // as kept_heads [T, heads * head_dim]: what o_proj multiplies
  Tensor lse;        // sum [T, heads]
  // Recomputable:
  Tensor qkv;  // act [T, (heads + 2 kv_heads) * head_dim]: queries and keys, rotated, and values
};

// Grouped-query attention (Ainslie et al., arXiv 2305.13245) with rotary positions: `heads` queries
// share the keys and values of num_key_value_heads heads.
class Gqa {
 public:
  // prefix: "model.layers.3.self_attn."
  Gqa(const ModelConfig& config, Precision precision, ParameterStore& store,
      const std::string& prefix);

  void Pack(Context& context, const PackedUses& uses, Arena& arena);

  // x += attention(h); h a projection's operand [T, hidden], x sum [T, hidden]. `layer` names the
  // cache's layer. saved may be null.
  void Forward(Context& context, const Pass& pass, int64_t layer, ConstTensor h, Tensor x,
               GqaSaved* saved, ActivationArenas arenas) const;
  // From dy act [T, hidden], the gradient of the attention's output, assigns dh sum [T, hidden].
  // What weight gradients need is allocated in `keep` and noted in `pending`.
  void BackwardInput(Context& context, const Pass& pass, ConstTensor h, const GqaSaved& saved,
                     ConstTensor dy, Tensor dh, Arena& keep, PendingWeightGradients& pending) const;

 private:
  // h -> qkv, rotated.
  Tensor Project(Context& context, const Pass& pass, ConstTensor h, Arena& arena) const;
  // Rotates queries and keys, which lie together, in place.
  void Rotate(Context& context, const Pass& pass, bool inverse, Tensor qkv) const;
  // The heads of a [T, (heads + 2 kv_heads) * head_dim] tensor.
  Tensor Queries(Tensor qkv) const;
  Tensor Keys(Tensor qkv) const;
  Tensor Values(Tensor qkv) const;

  Precision precision_;
  RopeParameters rope_;
  int64_t heads_, kv_heads_, dim_;
  Linear qkv_, out_;
};

}  // namespace fathom

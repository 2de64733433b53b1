#include "model/gqa.h"

#include "model/kept.h"

#include "model/attention_sequences.h"

namespace fathom {

Gqa::Gqa(const ModelConfig& config, Precision precision, ParameterStore& store,
         const std::string& prefix)
    : precision_(precision),
      rope_(MakeRopeParameters(config)),
      heads_(config.num_attention_heads),
      kv_heads_(config.num_key_value_heads),
      dim_(config.head_dim),
      out_(store.Get(prefix + "o_proj.weight")) {
  std::vector<WeightRows> weights;
  std::vector<Parameter*> biases;
  for (const char* name : {"q_proj", "k_proj", "v_proj"}) {
    Parameter& weight = store.Get(prefix + name + ".weight");
    weights.push_back({&weight, 0, weight.spec.shape[0]});
    if (config.attention_bias) biases.push_back(&store.Get(prefix + name + ".bias"));
  }
  qkv_ = config.attention_bias ? Linear(weights, biases) : Linear(weights);
}

void Gqa::Pack(Context& context, const PackedUses& uses, Arena& arena) {
  qkv_.Pack(context, precision_.projection, uses.common, arena);
  out_.Pack(context, precision_.projection, uses.common, arena);
}

Tensor Gqa::Queries(Tensor qkv) const {
  return qkv.Columns(0, heads_ * dim_).SplitLast(heads_, dim_);
}
Tensor Gqa::Keys(Tensor qkv) const {
  return qkv.Columns(heads_ * dim_, (heads_ + kv_heads_) * dim_).SplitLast(kv_heads_, dim_);
}
Tensor Gqa::Values(Tensor qkv) const {
  return qkv.Columns((heads_ + kv_heads_) * dim_, qkv.dim(1)).SplitLast(kv_heads_, dim_);
}

void Gqa::Rotate(Context& context, const Pass& pass, bool inverse, Tensor qkv) const {
  const int64_t rotated = heads_ + kv_heads_;
  const Tensor vectors = qkv.Columns(0, rotated * dim_).SplitLast(rotated, dim_);
  context.backend->Rope(context, vectors, pass.rope_table, rope_.layout, inverse, vectors);
}

Tensor Gqa::Project(Context& context, const Pass& pass, ConstTensor h, Arena& arena) const {
  const Tensor qkv = arena.New(precision_.act, Shape({h.dim(0), qkv_.out()}));
  qkv_.Run(context, h, qkv);
  Rotate(context, pass, /*inverse=*/false, qkv);
  return qkv;
}

void Gqa::Forward(Context& context, const Pass& pass, int64_t layer, ConstTensor h, Tensor x,
                  GqaSaved* saved, ActivationArenas arenas) const {
  GqaSaved local;
  GqaSaved& s = saved != nullptr ? *saved : local;
  const int64_t tokens = h.dim(0);
  const Shape heads_shape({tokens, heads_ * dim_});
  const bool kept_as_made = saved == nullptr || precision_.kept_heads == precision_.act;
  s.heads_out =
      arenas.kept->New(kept_as_made ? precision_.act : precision_.kept_heads, heads_shape);
  if (saved != nullptr) s.lse = arenas.kept->New(precision_.sum, Shape({tokens, heads_}));

  ArenaScope scope(*context.workspace);
  s.qkv = Project(context, pass, h, *arenas.recomputable);
  if (pass.cache != nullptr) {
    pass.cache->Write(context, layer, *pass.batch, s.qkv.Columns(heads_ * dim_, s.qkv.dim(1)));
  }
  const AttentionSequences sequences(context, pass, layer, Keys(s.qkv), Values(s.qkv));
  const Tensor heads_out =
      kept_as_made ? s.heads_out : context.workspace->New(precision_.act, heads_shape);
  context.backend->Attention(context, Queries(s.qkv), sequences.span(), rope_.softmax_scale,
                             heads_out.SplitLast(heads_, dim_), s.lse);
  out_.Run(context, heads_out, x, /*accumulate=*/true);
  if (!kept_as_made) context.backend->Cast(context, heads_out, s.heads_out);
  if (arenas.recomputable != arenas.kept) s.qkv = Tensor();
}

void Gqa::BackwardInput(Context& context, const Pass& pass, ConstTensor h, const GqaSaved& s,
                        ConstTensor dy, Tensor dh, Arena& keep,
                        PendingWeightGradients& pending) const {
  const Tensor d_qkv = keep.New(precision_.act, Shape({h.dim(0), qkv_.out()}));
  const Tensor heads_out = InType(context, s.heads_out, precision_.act, keep);
  {
    ArenaScope scope(*context.workspace);
    const Tensor qkv = s.qkv.empty() ? Project(context, pass, h, *context.workspace) : s.qkv;
    const Tensor d_heads = context.workspace->New(precision_.act, heads_out.shape());
    Matmul(context, out_.BackwardInput(dy, d_heads));
    const AttentionSequences sequences(*pass.batch, Keys(qkv), Values(qkv));
    context.backend->AttentionBackward(context, d_heads.SplitLast(heads_, dim_), Queries(qkv),
                                       sequences.span(), rope_.softmax_scale,
                                       heads_out.SplitLast(heads_, dim_), s.lse, Queries(d_qkv),
                                       Keys(d_qkv), Values(d_qkv));
    Rotate(context, pass, /*inverse=*/true, d_qkv);
  }
  out_.BackwardWeight(dy, heads_out, pending);
  Matmul(context, qkv_.BackwardInput(d_qkv, dh));
  qkv_.BackwardWeight(d_qkv, h, pending);
}

}  // namespace fathom

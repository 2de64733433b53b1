#include "model/mla.h"

#include "base/error.h"
#include "model/kept.h"

namespace fathom {

Mla::Mla(const ModelConfig& config, Precision precision, ParameterStore& store,
         const std::string& prefix)
    : config_(config),
      precision_(precision),
      rope_(MakeRopeParameters(config)),
      kv_norm_(&store.Get(prefix + "kv_a_layernorm.weight")) {
  const auto whole = [&](const char* name) {
    Parameter& parameter = store.Get(prefix + name + ".weight");
    return WeightRows{&parameter, 0, parameter.spec.shape[0]};
  };
  if (config.q_lora_rank > 0) {
    q_norm_ = &store.Get(prefix + "q_a_layernorm.weight");
    down_ = Linear({whole("q_a_proj"), whole("kv_a_proj_with_mqa")});
    q_up_ = Linear({whole("q_b_proj")});
  } else {
    down_ = Linear({whole("q_proj"), whole("kv_a_proj_with_mqa")});
  }
  kv_up_ = Linear({whole("kv_b_proj")});
  out_ = Linear({whole("o_proj")});
  Parameter& kv_b = store.Get(prefix + "kv_b_proj.weight");
  const int64_t nope = config.qk_nope_head_dim, v = config.v_head_dim;
  for (int64_t head = 0; head < config.num_attention_heads; ++head) {
    const int64_t row = head * (nope + v);
    key_up_.push_back(Linear({{&kv_b, row, row + nope}}));
    value_up_.push_back(Linear({{&kv_b, row + nope, row + nope + v}}));
  }
}

void Mla::Pack(Context& context, const PackedUses& uses, Arena& arena) {
  down_.Pack(context, precision_.projection, uses.common, arena);
  if (q_norm_ != nullptr) q_up_.Pack(context, precision_.projection, uses.common, arena);
  out_.Pack(context, precision_.projection, uses.common, arena);
  kv_up_.Pack(context, precision_.projection, uses.expanded, arena);
  // Absorbed queries are q_nope W_UK: the backward direction of the key projection.
  const PackedUse key_use{.backward_input = uses.absorbed};
  const PackedUse value_use{.forward = uses.absorbed};
  for (size_t head = 0; head < key_up_.size(); ++head) {
    key_up_[head].Pack(context, precision_.act, key_use, arena);
    value_up_[head].Pack(context, precision_.act, value_use, arena);
  }
}

Tensor Mla::QueryPart(Tensor down) const {
  return down.Columns(0, down.dim(1) - config_.latent_dim());
}
Tensor Mla::LatentPart(Tensor down) const {
  const int64_t begin = down.dim(1) - config_.latent_dim();
  return down.Columns(begin, begin + config_.kv_lora_rank);
}
Tensor Mla::RotaryKeyPart(Tensor down) const {
  return down.Columns(down.dim(1) - config_.qk_rope_head_dim, down.dim(1));
}

void Mla::Forward(Context& context, const Pass& pass, int64_t layer, ConstTensor h, Tensor x,
                  MlaSaved* saved, ActivationArenas arenas) const {
  MlaSaved local;
  MlaSaved& s = saved != nullptr ? *saved : local;
  Backend& backend = *context.backend;
  const int64_t tokens = h.dim(0), heads = config_.num_attention_heads;
  Arena& kept = *arenas.kept;

  s.down = kept.New(precision_.act, Shape({tokens, down_.out()}));
  if (q_norm_ != nullptr) s.q_inv_rms = kept.New(precision_.sum, Shape({tokens}));
  s.kv_inv_rms = kept.New(precision_.sum, Shape({tokens}));
  const Shape heads_shape({tokens, heads * config_.v_head_dim});
  const bool kept_as_made = saved == nullptr || precision_.kept_heads == precision_.act;
  s.heads_out = kept.New(kept_as_made ? precision_.act : precision_.kept_heads, heads_shape);
  if (saved != nullptr) s.lse = kept.New(precision_.sum, Shape({tokens, heads}));

  down_.Run(context, h, s.down);
  NormLatent(context, pass, s, *arenas.recomputable);
  if (pass.cache != nullptr) pass.cache->Write(context, layer, *pass.batch, s.latent);

  ArenaScope scope(*context.workspace);
  ProjectQueries(context, pass, s, *arenas.recomputable);
  const Tensor heads_out =
      kept_as_made ? s.heads_out : context.workspace->New(precision_.act, heads_shape);
  if (pass.form == AttentionForm::kExpanded) {
    ExpandLatent(context, s, *arenas.recomputable);
    AttendExpanded(context, pass, s, heads_out);
  } else {
    AttendAbsorbed(context, pass, layer, s, heads_out);
  }
  out_.Run(context, heads_out, x, /*accumulate=*/true);
  if (!kept_as_made) backend.Cast(context, heads_out, s.heads_out);
  if (arenas.recomputable != arenas.kept) s.latent = s.q_latent = s.q = s.up = Tensor();
}

void Mla::NormLatent(Context& context, const Pass& pass, MlaSaved& s, Arena& arena) const {
  const int64_t rope = config_.qk_rope_head_dim;
  s.latent = arena.New(precision_.act, Shape({s.down.dim(0), config_.latent_dim()}));
  context.backend->RmsNorm(context, LatentPart(s.down), kv_norm_->value, kNormEps,
                           s.latent.Columns(0, config_.kv_lora_rank), s.kv_inv_rms);
  context.backend->Rope(context, RotaryKeyPart(s.down).SplitLast(1, rope), pass.rope_table,
                        rope_.layout, false, RotaryKeyPart(s.latent).SplitLast(1, rope));
}

void Mla::ProjectQueries(Context& context, const Pass& pass, MlaSaved& s, Arena& arena) const {
  Backend& backend = *context.backend;
  const int64_t tokens = s.down.dim(0), heads = config_.num_attention_heads, qk = config_.qk_dim();
  if (q_norm_ != nullptr) {
    const Shape latent_shape({tokens, config_.q_lora_rank});
    s.q_latent = arena.New(precision_.projection, latent_shape);
    {
      ArenaScope scope(*context.workspace);
      const Tensor normed =
          precision_.fp8() ? context.workspace->New(precision_.act, latent_shape) : s.q_latent;
      backend.RmsNorm(context, QueryPart(s.down), q_norm_->value, kNormEps, normed, s.q_inv_rms);
      if (precision_.fp8()) backend.Cast(context, normed, s.q_latent);
    }
    const Tensor q = arena.New(precision_.act, Shape({tokens, heads * qk}));
    q_up_.Run(context, s.q_latent, q);
    s.q = q.SplitLast(heads, qk);
  } else {
    // A copy, so that rotating it leaves `down` as it is and a recomputation gives the same.
    s.q = arena.New(precision_.act, Shape({tokens, heads, qk}));
    backend.Cast(context, QueryPart(s.down), s.q.Reshape(Shape({tokens, heads * qk})));
  }
  const Tensor q_rope = s.q.Columns(config_.qk_nope_head_dim, qk);
  backend.Rope(context, q_rope, pass.rope_table, rope_.layout, false, q_rope);
}

void Mla::ExpandLatent(Context& context, MlaSaved& s, Arena& arena) const {
  const Tensor up = arena.New(precision_.act, Shape({s.latent.dim(0), kv_up_.out()}));
  kv_up_.Run(context, s.latent.Columns(0, config_.kv_lora_rank), up);
  s.up = up.SplitLast(config_.num_attention_heads, config_.qk_nope_head_dim + config_.v_head_dim);
}

Tensor Mla::ExpandedKeys(Context& context, const MlaSaved& s, Arena& arena) const {
  const int64_t heads = config_.num_attention_heads, nope = config_.qk_nope_head_dim,
                qk = config_.qk_dim();
  Tensor keys = arena.New(precision_.act, Shape({s.latent.dim(0), heads, qk}));
  context.backend->Cast(context, s.up.Columns(0, nope), keys.Columns(0, nope));
  context.backend->Cast(context, RotaryKeyPart(s.latent).Broadcast(1, heads),
                        keys.Columns(nope, qk));
  return keys;
}

ConstTensor Mla::ExpandedValues(const MlaSaved& s) const {
  return s.up.Columns(config_.qk_nope_head_dim, config_.qk_nope_head_dim + config_.v_head_dim);
}

void Mla::AttendExpanded(Context& context, const Pass& pass, const MlaSaved& s,
                         Tensor heads_out) const {
  ArenaScope scope(*context.workspace);
  const Tensor keys = ExpandedKeys(context, s, *context.workspace);
  const AttentionSequences sequences(*pass.batch, keys, ExpandedValues(s));
  context.backend->Attention(context, s.q, sequences.span(), rope_.softmax_scale,
                             heads_out.SplitLast(config_.num_attention_heads, config_.v_head_dim),
                             s.lse);
}

void Mla::AttendAbsorbed(Context& context, const Pass& pass, int64_t layer, const MlaSaved& s,
                         Tensor heads_out) const {
  ArenaScope scope(*context.workspace);
  Backend& backend = *context.backend;
  const int64_t tokens = s.latent.dim(0), heads = config_.num_attention_heads,
                kv_rank = config_.kv_lora_rank, nope = config_.qk_nope_head_dim;
  const Tensor queries =
      context.workspace->New(precision_.act, Shape({tokens, heads, config_.latent_dim()}));
  std::vector<MatmulProblem> problems;
  for (int64_t head = 0; head < heads; ++head) {
    problems.push_back(key_up_[static_cast<size_t>(head)].BackwardInput(
        s.q.Select(1, head).Columns(0, nope), queries.Select(1, head).Columns(0, kv_rank)));
  }
  backend.Matmul(context, problems);
  backend.Cast(context, s.q.Columns(nope, config_.qk_dim()),
               queries.Columns(kv_rank, config_.latent_dim()));

  const Tensor latents = context.workspace->New(precision_.act, Shape({tokens, heads, kv_rank}));
  const Tensor keys = s.latent.SplitLast(1, config_.latent_dim());
  const AttentionSequences sequences(context, pass, layer, keys, keys.Columns(0, kv_rank));
  backend.Attention(context, queries, sequences.span(), rope_.softmax_scale, latents, s.lse);
  const Tensor by_head = heads_out.SplitLast(heads, config_.v_head_dim);
  problems.clear();
  for (int64_t head = 0; head < heads; ++head) {
    value_up_[static_cast<size_t>(head)].Forward(latents.Select(1, head), by_head.Select(1, head),
                                                 false, problems);
  }
  backend.Matmul(context, problems);
}

void Mla::BackwardInput(Context& context, const Pass& pass, ConstTensor h, const MlaSaved& saved,
                        ConstTensor dy, Tensor dh, Arena& keep,
                        PendingWeightGradients& pending) const {
  Backend& backend = *context.backend;
  const int64_t tokens = h.dim(0), heads = config_.num_attention_heads, qk = config_.qk_dim();
  const int64_t kv_rank = config_.kv_lora_rank;
  MlaSaved s = saved;
  if (s.latent.empty()) {
    NormLatent(context, pass, s, keep);
    ProjectQueries(context, pass, s, keep);
  }
  if (s.up.empty()) ExpandLatent(context, s, keep);
  s.heads_out = InType(context, s.heads_out, precision_.act, keep);

  const Tensor d_down = keep.New(precision_.act, Shape({tokens, down_.out()}));
  const Tensor dlatent = keep.New(precision_.sum, Shape({tokens, config_.latent_dim()}));
  // Without q_lora_rank the queries are part of the down projection, and so is their gradient.
  const Tensor dq = q_norm_ != nullptr ? keep.New(precision_.act, Shape({tokens, heads, qk}))
                                       : QueryPart(d_down).SplitLast(heads, qk);
  {
    ArenaScope scope(*context.workspace);
    const Tensor d_heads = keep.New(precision_.act, Shape({tokens, out_.in()}));
    Matmul(context, out_.BackwardInput(dy, d_heads));
    out_.BackwardWeight(dy, s.heads_out, pending);
    AttentionBackward(context, pass, s, d_heads, dq, dlatent, keep, pending);
  }

  if (q_norm_ != nullptr) {
    const Tensor dq_rows = dq.Reshape(Shape({tokens, heads * qk}));
    const Tensor dq_latent = keep.New(precision_.act, Shape({tokens, config_.q_lora_rank}));
    Matmul(context, q_up_.BackwardInput(dq_rows, dq_latent));
    q_up_.BackwardWeight(dq_rows, s.q_latent, pending);
    backend.RmsNormBackwardInput(context, dq_latent, QueryPart(s.down), q_norm_->value, s.q_inv_rms,
                                 false, QueryPart(d_down));
    pending.AddNorm(dq_latent, QueryPart(s.down), s.q_inv_rms, q_norm_->grad);
  }
  const Tensor dlatent_norm = dlatent.Columns(0, kv_rank);
  backend.RmsNormBackwardInput(context, dlatent_norm, LatentPart(s.down), kv_norm_->value,
                               s.kv_inv_rms, false, LatentPart(d_down));
  pending.AddNorm(dlatent_norm, LatentPart(s.down), s.kv_inv_rms, kv_norm_->grad);
  const Tensor d_rope_key = RotaryKeyPart(dlatent).SplitLast(1, config_.qk_rope_head_dim);
  backend.Rope(context, d_rope_key, pass.rope_table, rope_.layout, true, d_rope_key);
  backend.Cast(context, RotaryKeyPart(dlatent), RotaryKeyPart(d_down));

  Matmul(context, down_.BackwardInput(d_down, dh));
  down_.BackwardWeight(d_down, h, pending);
}

void Mla::AttentionBackward(Context& context, const Pass& pass, const MlaSaved& s, Tensor d_heads,
                            Tensor dq, Tensor dlatent, Arena& keep,
                            PendingWeightGradients& pending) const {
  Backend& backend = *context.backend;
  const int64_t tokens = s.latent.dim(0), heads = config_.num_attention_heads,
                qk = config_.qk_dim();
  const int64_t nope = config_.qk_nope_head_dim, v = config_.v_head_dim,
                kv_rank = config_.kv_lora_rank;
  const Tensor keys = ExpandedKeys(context, s, *context.workspace);
  const Tensor dkeys = context.workspace->New(precision_.act, keys.shape());
  const Tensor d_up_rows = keep.New(precision_.act, Shape({tokens, kv_up_.out()}));
  const Tensor d_up = d_up_rows.SplitLast(heads, nope + v);

  const AttentionSequences sequences(*pass.batch, keys, ExpandedValues(s));
  backend.AttentionBackward(context, d_heads.SplitLast(heads, v), s.q, sequences.span(),
                            rope_.softmax_scale, s.heads_out.SplitLast(heads, v), s.lse, dq, dkeys,
                            d_up.Columns(nope, nope + v));
  backend.Cast(context, dkeys.Columns(0, nope), d_up.Columns(0, nope));
  Matmul(context, kv_up_.BackwardInput(d_up_rows, dlatent.Columns(0, kv_rank)));
  kv_up_.BackwardWeight(d_up_rows, s.latent.Columns(0, kv_rank), pending);

  const Tensor d_rope_key = RotaryKeyPart(dlatent);
  backend.Zero(context, d_rope_key);
  for (int64_t head = 0; head < heads; ++head) {
    backend.Add(context, dkeys.Select(1, head).Columns(nope, qk), d_rope_key);
  }
  const Tensor dq_rope = dq.Columns(nope, qk);
  backend.Rope(context, dq_rope, pass.rope_table, rope_.layout, true, dq_rope);
}

}  // namespace fathom

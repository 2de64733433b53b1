#include "model/mtp.h"

#include "model/embedding.h"

namespace fathom {
namespace {

std::string MtpPrefix(const ModelConfig& config, int64_t index) {
  return fmt::format("model.layers.{}.", config.num_hidden_layers + index);
}

}  // namespace

MtpModule::MtpModule(const ModelConfig& config, Precision precision, ParameterStore& store,
                     int64_t index)
    : config_(config),
      precision_(precision),
      embedding_(&store.Get("model.embed_tokens.weight")),
      e_norm_(&store.Get(MtpPrefix(config, index) + "enorm.weight")),
      h_norm_(&store.Get(MtpPrefix(config, index) + "hnorm.weight")),
      output_norm_(&store.Get(MtpPrefix(config, index) + "shared_head.norm.weight")),
      join_(store.Get(MtpPrefix(config, index) + "eh_proj.weight")),
      layer_(config, precision, store, config.num_hidden_layers + index) {}

void MtpModule::Pack(Context& context, const PackedUses& uses, Arena& arena) {
  join_.Pack(context, precision_.act, uses.common, arena);
  layer_.Pack(context, uses, arena);
}

Tensor MtpModule::Forward(Context& context, const Pass& pass, ConstTensor previous, ConstTensor ids,
                          Arena& arena, SavedActivations* saved, MtpSaved* mtp_saved) const {
  Backend& backend = *context.backend;
  const int64_t tokens = previous.dim(0), hidden = config_.hidden_size;
  const Tensor x =
      StreamArena(context, precision_, saved).New(precision_.sum, Shape({tokens, hidden}));
  MtpSaved s;
  s.embedding = arena.New(precision_.norm_input, Shape({tokens, hidden}));
  LookUp(context, *embedding_, ids, s.embedding);
  s.previous = arena.New(previous.dtype(), previous.shape());
  backend.Cast(context, previous, s.previous);
  s.e_inv_rms = arena.New(precision_.sum, Shape({tokens}));
  s.h_inv_rms = arena.New(precision_.sum, Shape({tokens}));
  const bool recompute = saved != nullptr && saved->recompute;
  {
    ArenaScope scope(*context.workspace);
    s.joined = Join(context, s, recompute ? *context.workspace : arena);
    join_.Run(context, s.joined, x);
  }
  if (recompute) s.joined = Tensor();
  if (mtp_saved != nullptr) *mtp_saved = s;
  return layer_.Forward(context, pass, x, saved);
}

Tensor MtpModule::Join(Context& context, const MtpSaved& s, Arena& arena) const {
  const int64_t hidden = config_.hidden_size;
  const Tensor joined = arena.New(precision_.act, Shape({s.embedding.dim(0), 2 * hidden}));
  context.backend->RmsNorm(context, s.embedding, e_norm_->value, config_.rms_norm_eps,
                           joined.Columns(0, hidden), s.e_inv_rms);
  context.backend->RmsNorm(context, s.previous, h_norm_->value, config_.rms_norm_eps,
                           joined.Columns(hidden, 2 * hidden), s.h_inv_rms);
  return joined;
}

void MtpModule::Backward(Context& context, const Pass& pass, SavedActivations& saved,
                         const MtpSaved& s, ConstTensor ids, Tensor dx, Tensor dprevious) const {
  Backend& backend = *context.backend;
  Arena& workspace = *context.workspace;
  const int64_t tokens = dx.dim(0), hidden = config_.hidden_size;
  ArenaScope scope(workspace);
  PendingWeightGradients pending;
  const Tensor dy = workspace.New(precision_.act, dx.shape());
  const Tensor d_joined = workspace.New(precision_.act, Shape({tokens, 2 * hidden}));
  const Tensor d_embedding = workspace.New(precision_.sum, dx.shape());
  {
    ArenaScope layer_scope(saved.backward);
    layer_.BackwardInput(context, pass, saved, dx, saved.backward, pending);
    pending.Apply(context);
  }
  backend.Cast(context, dx, dy);
  Matmul(context, join_.BackwardInput(dy, d_joined));
  join_.BackwardWeight(dy, s.joined.empty() ? Join(context, s, workspace) : s.joined, pending);
  const Tensor de = d_joined.Columns(0, hidden), dh = d_joined.Columns(hidden, 2 * hidden);
  backend.RmsNormBackwardInput(context, de, s.embedding, e_norm_->value, s.e_inv_rms, false,
                               d_embedding);
  pending.AddNorm(de, s.embedding, s.e_inv_rms, e_norm_->grad);
  backend.RmsNormBackwardInput(context, dh, s.previous, h_norm_->value, s.h_inv_rms, true,
                               dprevious);
  pending.AddNorm(dh, s.previous, s.h_inv_rms, h_norm_->grad);
  pending.Apply(context);
  if (embedding_->grad.empty()) return;  // frozen
  backend.EmbeddingBackward(context, ids, d_embedding, embedding_->grad);
}

}  // namespace fathom

#include "model/decoder_layer.h"

namespace fathom {
namespace {

std::string LayerPrefix(int64_t layer) { return fmt::format("model.layers.{}.", layer); }

}  // namespace

DecoderLayer::DecoderLayer(const ModelConfig& config, Precision precision, ParameterStore& store,
                           int64_t layer)
    : config_(config),
      precision_(precision),
      layer_(layer),
      input_norm_(&store.Get(LayerPrefix(layer) + "input_layernorm.weight")),
      post_attention_norm_(&store.Get(LayerPrefix(layer) + "post_attention_layernorm.weight")) {
  const std::string attention = LayerPrefix(layer) + "self_attn.";
  if (config.latent_attention()) {
    mla_.emplace(config, precision, store, attention);
  } else {
    gqa_.emplace(config, precision, store, attention);
  }
  if (config.IsMoeLayer(layer)) {
    moe_.emplace(config, precision, store, LayerPrefix(layer) + "mlp.");
  } else {
    mlp_.emplace(precision, store, LayerPrefix(layer) + "mlp.");
  }
}

void DecoderLayer::Pack(Context& context, const PackedUses& uses, Arena& arena) {
  if (mla_) mla_->Pack(context, uses, arena);
  if (gqa_) gqa_->Pack(context, uses, arena);
  if (moe_) moe_->Pack(context, uses.common, arena);
  if (mlp_) mlp_->Pack(context, uses.common, arena);
}

Tensor DecoderLayer::Forward(Context& context, const Pass& pass, Tensor x,
                             SavedActivations* saved) const {
  Backend& backend = *context.backend;
  Arena& workspace = *context.workspace;
  ArenaScope scope(workspace);
  LayerSaved* layer = saved != nullptr ? &saved->layers[static_cast<size_t>(layer_)] : nullptr;
  Arena& kept = saved != nullptr ? saved->arena : workspace;
  Arena& recomputable = saved != nullptr && !saved->recompute ? saved->arena : workspace;
  const auto next_stream = [&](Tensor stream) {
    if (saved == nullptr) return stream;
    const Tensor next = saved->arena.New(stream.dtype(), stream.shape());
    backend.Cast(context, stream, next);
    return next;
  };
  const auto norm = [&](Tensor stream, const Parameter& gain, Tensor* inv_rms, Tensor* h_kept) {
    if (saved != nullptr) *inv_rms = kept.New(precision_.sum, Shape({stream.dim(0)}));
    const Tensor h = recomputable.New(precision_.act, stream.shape());
    backend.RmsNorm(context, stream, gain.value, config_.rms_norm_eps, h,
                    saved != nullptr ? *inv_rms : Tensor());
    if (saved != nullptr && !saved->recompute) *h_kept = h;
    return h;
  };
  LayerSaved unused;
  LayerSaved& s = layer != nullptr ? *layer : unused;

  s.x_in = x;
  const Tensor h_in = norm(x, *input_norm_, &s.inv_rms_in, &s.h_in);
  x = next_stream(x);
  const ActivationArenas arenas{&kept, &recomputable};
  if (mla_) {
    mla_->Forward(context, pass, layer_, h_in, x, layer != nullptr ? &s.mla : nullptr, arenas);
  } else {
    gqa_->Forward(context, pass, layer_, h_in, x, layer != nullptr ? &s.gqa : nullptr, arenas);
  }

  s.x_mid = x;
  const Tensor h_mid = norm(x, *post_attention_norm_, &s.inv_rms_mid, &s.h_mid);
  x = next_stream(x);
  if (moe_) {
    moe_->Forward(context, pass, h_mid, x, layer != nullptr ? &s.moe : nullptr, kept);
  } else {
    s.gate_up = mlp_->Forward(context, h_mid, /*accumulate=*/true, x, kept);
  }
  return x;
}

ConstTensor DecoderLayer::Normed(Context& context, ConstTensor kept, ConstTensor x,
                                 const Parameter& gain, Tensor inv_rms, Arena& keep) const {
  if (!kept.empty()) return kept;
  const Tensor h = keep.New(precision_.act, x.shape());
  context.backend->RmsNorm(context, x, gain.value, config_.rms_norm_eps, h, inv_rms);
  return h;
}

void DecoderLayer::BackwardInput(Context& context, const Pass& pass, const SavedActivations& saved,
                                 Tensor dx, Arena& keep, PendingWeightGradients& pending) const {
  Backend& backend = *context.backend;
  const LayerSaved& s = saved.layers[static_cast<size_t>(layer_)];
  ArenaScope scope(*context.workspace);
  // The gradient of a block's output is that of the residual stream, rounded to what matrix
  // products take.
  const auto output_gradient = [&] {
    const Tensor dy = keep.New(precision_.act, dx.shape());
    backend.Cast(context, dx, dy);
    return dy;
  };
  const auto through_norm = [&](ConstTensor dh, ConstTensor x, const Parameter& gain,
                                ConstTensor inv_rms) {
    backend.RmsNormBackwardInput(context, dh, x, gain.value, inv_rms, /*accumulate=*/true, dx);
    pending.AddNorm(dh, x, inv_rms, gain.grad);
  };

  const ConstTensor h_mid =
      Normed(context, s.h_mid, s.x_mid, *post_attention_norm_, s.inv_rms_mid, keep);
  const Tensor dh_mid = keep.New(precision_.sum, dx.shape());
  const Tensor dy_mlp = output_gradient();
  if (moe_) {
    moe_->BackwardInput(context, pass, h_mid, s.moe, dy_mlp, dh_mid, keep, pending);
  } else {
    mlp_->BackwardInput(context, h_mid, s.gate_up, dy_mlp, /*accumulate=*/false, dh_mid, keep,
                        pending);
  }
  through_norm(dh_mid, s.x_mid, *post_attention_norm_, s.inv_rms_mid);

  const ConstTensor h_in = Normed(context, s.h_in, s.x_in, *input_norm_, s.inv_rms_in, keep);
  const Tensor dh_in = keep.New(precision_.sum, dx.shape());
  const Tensor dy_attention = output_gradient();
  if (mla_) {
    mla_->BackwardInput(context, pass, h_in, s.mla, dy_attention, dh_in, keep, pending);
  } else {
    gqa_->BackwardInput(context, pass, h_in, s.gqa, dy_attention, dh_in, keep, pending);
  }
  through_norm(dh_in, s.x_in, *input_norm_, s.inv_rms_in);
}

}  // namespace fathom

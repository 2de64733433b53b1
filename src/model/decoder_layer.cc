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
    moe_.emplace(config, precision, store, layer, LayerPrefix(layer) + "mlp.");
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
  const bool own_copy = precision_.norm_input != precision_.sum;
  // The residual stream goes on in a tensor of its own where backward keeps this one.
  const auto next_stream = [&](Tensor stream) {
    if (saved == nullptr || own_copy) return stream;
    const Tensor next = saved->arena.New(stream.dtype(), stream.shape());
    backend.Cast(context, stream, next);
    return next;
  };
  const auto norm = [&](Tensor stream, const Parameter& gain, Tensor* inv_rms, Tensor* h_kept) {
    if (saved != nullptr) *inv_rms = kept.New(precision_.sum, Shape({stream.dim(0)}));
    const Tensor operand = recomputable.New(precision_.projection, stream.shape());
    const Tensor act = precision_.fp8() ? workspace.New(precision_.act, stream.shape()) : operand;
    backend.RmsNorm(context, stream, gain.value, config_.rms_norm_eps, act,
                    saved != nullptr ? *inv_rms : Tensor());
    if (precision_.fp8()) backend.Cast(context, act, operand);
    if (saved != nullptr && !saved->recompute) *h_kept = operand;
    return NormedInput{act, operand};
  };
  LayerSaved unused;
  LayerSaved& s = layer != nullptr ? *layer : unused;

  s.x_in = InType(context, x, precision_.norm_input, kept);
  const NormedInput h_in = norm(s.x_in, *input_norm_, &s.inv_rms_in, &s.h_in);
  x = next_stream(x);
  const ActivationArenas arenas{&kept, &recomputable};
  if (mla_) {
    mla_->Forward(context, pass, layer_, h_in.operand, x, layer != nullptr ? &s.mla : nullptr,
                  arenas);
  } else {
    gqa_->Forward(context, pass, layer_, h_in.operand, x, layer != nullptr ? &s.gqa : nullptr,
                  arenas);
  }

  s.x_mid = InType(context, x, precision_.norm_input, kept);
  const NormedInput h_mid = norm(s.x_mid, *post_attention_norm_, &s.inv_rms_mid, &s.h_mid);
  x = next_stream(x);
  if (moe_) {
    moe_->Forward(context, pass, h_mid, x, layer != nullptr ? &s.moe : nullptr, kept);
  } else {
    mlp_->Forward(context, h_mid.operand, /*accumulate=*/true, x,
                  layer != nullptr ? &s.gate_up : nullptr, kept);
  }
  return x;
}

NormedInput DecoderLayer::Normed(Context& context, ConstTensor kept, ConstTensor x,
                                 const Parameter& gain, Tensor inv_rms, bool want_act,
                                 Arena& keep) const {
  if (!kept.empty() && !precision_.fp8()) return {kept, kept};
  if (!kept.empty() && !want_act) return {{}, kept};
  const Tensor act = (precision_.fp8() ? *context.workspace : keep).New(precision_.act, x.shape());
  context.backend->RmsNorm(context, x, gain.value, config_.rms_norm_eps, act, inv_rms);
  if (!kept.empty()) return {act, kept};
  return {act, InType(context, act, precision_.projection, keep)};
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

  const NormedInput h_mid = Normed(context, s.h_mid, s.x_mid, *post_attention_norm_, s.inv_rms_mid,
                                   /*want_act=*/moe_.has_value(), keep);
  const Tensor dh_mid = keep.New(precision_.sum, dx.shape());
  const Tensor dy_mlp = output_gradient();
  if (moe_) {
    moe_->BackwardInput(context, pass, h_mid, s.moe, dy_mlp, dh_mid, keep, pending);
  } else {
    mlp_->BackwardInput(context, h_mid.operand, s.gate_up, dy_mlp, /*accumulate=*/false, dh_mid,
                        keep, pending);
  }
  through_norm(dh_mid, s.x_mid, *post_attention_norm_, s.inv_rms_mid);

  const ConstTensor h_in = Normed(context, s.h_in, s.x_in, *input_norm_, s.inv_rms_in,
                                  /*want_act=*/false, keep)
                               .operand;
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

#include "model/transformer.h"

#include "base/error.h"
#include "model/embedding.h"
#include "model/kept.h"

namespace fathom {

Transformer::Transformer(const ModelConfig& config, Precision precision, ParameterStore& store,
                         Allocator& allocator)
    : config_(config),
      precision_(precision),
      rope_(MakeRopeParameters(config)),
      store_(&store),
      embedding_(&store.Get("model.embed_tokens.weight")),
      final_norm_(&store.Get("model.norm.weight")),
      head_(config, precision, store),
      packed_(MemoryRole::kPacked, allocator) {
  for (int64_t layer = 0; layer < config.num_hidden_layers; ++layer) {
    layers_.push_back(std::make_unique<DecoderLayer>(config, precision, store, layer));
  }
  for (int64_t k = 0; k < config.num_nextn_predict_layers; ++k) {
    mtp_.push_back(std::make_unique<MtpModule>(config, precision, store, k));
  }
}

void Transformer::Pack(Context& context, AttentionForm form, bool training,
                       FunctionRef<void(size_t)> progress) {
  if (packed_version_ != store_->version()) packed_uses_ = {};
  packed_version_ = store_->version();
  const PackedUse use{.forward = true, .backward_input = training};
  const bool absorbed = form == AttentionForm::kAbsorbed;
  PackedUses wanted{.common = use, .expanded = use, .absorbed = absorbed};
  if (absorbed && !training) wanted.expanded = {};
  const PackedUses missing = wanted.Without(packed_uses_);
  if (missing == PackedUses()) return;
  int64_t layer = 0;
  const auto done = [&](int64_t which) {
    store_->ReleaseFiles(which);
    progress(packed_.used());
  };
  for (const auto& part : layers_) {
    part->Pack(context, missing, packed_);
    done(layer++);
  }
  for (const auto& module : mtp_) {
    module->Pack(context, missing, packed_);
    done(layer++);
  }
  head_.Pack(context, missing.common, packed_);
  done(-1);
  packed_uses_ = packed_uses_.With(missing);
}

Pass Transformer::MakePass(Context& context, const Batch& batch, KvCache* cache, AttentionForm form,
                           Arena& arena) const {
  Pass pass{.batch = &batch, .cache = cache, .form = form};
  pass.rope_table = arena.New(precision_.sum, Shape({batch.size, config_.rope_dim()}));
  context.backend->RopeTable(context, batch.positions, rope_.inv_freq, rope_.table_scale,
                             pass.rope_table);
  return pass;
}

Tensor Transformer::Forward(Context& context, const Pass& pass, SavedActivations* saved) const {
  const Tensor x = Embed(context, pass.batch->tokens, StreamArena(context, precision_, saved));
  return ForwardLayers(context, pass, 0, config_.num_hidden_layers, x, saved);
}

Tensor Transformer::Embed(Context& context, ConstTensor ids, Arena& arena) const {
  const Tensor x = arena.New(precision_.sum, Shape({ids.dim(0), config_.hidden_size}));
  LookUp(context, *embedding_, ids, x);
  return x;
}

Tensor Transformer::ForwardLayers(Context& context, const Pass& pass, int64_t begin, int64_t end,
                                  Tensor x, SavedActivations* saved) const {
  const bool packed =
      pass.form == AttentionForm::kExpanded ? packed_uses_.expanded.forward : packed_uses_.absorbed;
  FATHOM_CHECK(packed_version_ == store_->version() && packed,
               "the weights were not packed for this form since they changed");
  if (saved != nullptr) saved->layers.resize(static_cast<size_t>(config_.total_layers()));
  for (int64_t layer = begin; layer < end; ++layer) {
    x = layers_[static_cast<size_t>(layer)]->Forward(context, pass, x, saved);
  }
  return x;
}

void Transformer::FinalNorm(Context& context, Tensor x, Tensor h, Tensor inv_rms) const {
  ArenaScope scope(*context.workspace);
  context.backend->RmsNorm(context, InType(context, x, precision_.norm_input, *context.workspace),
                           final_norm_->value, config_.rms_norm_eps, h, inv_rms);
}

void Transformer::BackwardLayers(Context& context, const Pass& pass, int64_t begin, int64_t end,
                                 SavedActivations& saved, Tensor dx) const {
  PendingWeightGradients pending;
  for (int64_t layer = end - 1; layer >= begin; --layer) {
    ArenaScope scope(saved.backward);
    layers_[static_cast<size_t>(layer)]->BackwardInput(context, pass, saved, dx, saved.backward,
                                                       pending);
    pending.Apply(context);
  }
}

void Transformer::BackwardFinalNorm(Context& context, ConstTensor dh, ConstTensor x,
                                    ConstTensor inv_rms, Tensor dx) const {
  context.backend->RmsNormBackwardInput(context, dh, x, final_norm_->value, inv_rms, false, dx);
  if (final_norm_->grad.empty()) return;  // frozen
  context.backend->RmsNormBackwardWeight(context, dh, x, inv_rms, final_norm_->grad);
}

void Transformer::BackwardEmbed(Context& context, ConstTensor ids, ConstTensor dx) const {
  if (embedding_->grad.empty()) return;  // frozen
  context.backend->EmbeddingBackward(context, ids, dx, embedding_->grad);
}

}  // namespace fathom

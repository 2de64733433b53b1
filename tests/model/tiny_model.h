#pragma once

// Tiny models of every family with everything in them, for tests of the model.

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backend/reference/elements.h"
#include "base/random.h"
#include "model/adapters.h"
#include "model/language_model_loss.h"
#include "ops/test_tensors.h"

namespace fathom::test {

inline ModelConfig TinyConfig() {
  ModelConfig config;
  config.vocab_size = 29;
  config.hidden_size = 12;
  config.num_hidden_layers = 2;
  config.num_attention_heads = 3;
  config.intermediate_size = 10;
  config.moe_intermediate_size = 6;
  config.first_k_dense_replace = 1;
  config.n_routed_experts = 8;
  config.n_shared_experts = 1;
  config.num_experts_per_tok = 3;
  config.n_group = 4;
  config.topk_group = 2;
  config.routed_scaling_factor = 2.5;
  config.q_lora_rank = 7;
  config.kv_lora_rank = 5;
  config.qk_nope_head_dim = 4;
  config.qk_rope_head_dim = 6;
  config.v_head_dim = 3;
  config.num_nextn_predict_layers = 1;
  config.max_position_embeddings = 256;
  config.rope_scaling = YarnScaling{.factor = 4, .original_max_position_embeddings = 16};
  config.initializer_range = 0.4;
  return config;
}

// DeepSeek-V2: a softmax gate, groups by their best expert, no bias, no MTP.
inline ModelConfig TinyV2() {
  ModelConfig config = TinyConfig();
  config.family = Family::kDeepseekV2;
  config.norm_topk_prob = false;
  config.num_nextn_predict_layers = 0;
  return config;
}

// Grouped-query attention with three heads to a key, biases and a tied head.
inline ModelConfig TinyQwen2() {
  ModelConfig config = TinyConfig();
  config.family = Family::kQwen2;
  config.n_routed_experts = config.n_shared_experts = 0;
  config.num_nextn_predict_layers = 0;
  config.num_attention_heads = 6;
  config.num_key_value_heads = 2;
  config.head_dim = 4;
  config.attention_bias = true;
  config.tie_word_embeddings = true;
  config.rope_layout = RopeLayout::kHalves;
  config.rope_scaling = {};
  return config;
}

// Llama 3's rotation, no biases, a head of its own.
inline ModelConfig TinyLlama() {
  ModelConfig config = TinyQwen2();
  config.family = Family::kLlama;
  config.attention_bias = false;
  config.tie_word_embeddings = false;
  config.rope_theta = 100;
  config.rope_scaling = Llama3Scaling{.original_max_position_embeddings = 32};
  return config;
}

// Parameters and model of one precision, initialised from a seed; gains and biases are random
// too.
class TinyModel {
 public:
  TinyModel(TestRun& run, const ModelConfig& config, Precision precision, uint64_t seed = 1)
      : store(config, precision.sum, run.context().backend->allocator()),
        model(config, precision, store, run.context().backend->allocator()) {
    InitializeParameters(config, seed, *run.context().pool, store);
    RandomStream random(seed + 1000);
    for (const auto& parameter : store.all()) {
      std::vector<double> values = LoadAll(parameter->master);
      if (parameter->spec.kind == ParameterKind::kNormGain) {
        for (double& value : values) value = 1 + 0.3 * random.NextNormal();
      } else if (parameter->spec.kind == ParameterKind::kRouterBias ||
                 parameter->spec.kind == ParameterKind::kBias) {
        for (double& value : values) value = 0.2 * random.NextNormal();
      }
      StoreAll(parameter->master, values);
    }
    store.MarkChanged();
    ZeroGradients();
    Pack(run.context());
  }

  // For training and inference in both forms of attention.
  void Pack(Context& context) {
    model.Pack(context, AttentionForm::kExpanded, /*training=*/true);
    model.Pack(context, AttentionForm::kAbsorbed, /*training=*/true);
  }

  void ZeroGradients() {
    for (const auto& parameter : store.all()) {
      if (parameter->grad.empty()) continue;
      StoreAll(parameter->grad,
               std::vector<double>(static_cast<size_t>(parameter->grad.elements())));
    }
  }

  ParameterStore store;
  Transformer model;
};

// Random tokens in sequences of these lengths; the last `depth + 1` targets of a sequence are not
// predicted.
inline LossInput RandomLossInput(const ModelConfig& config, std::vector<int64_t> lengths,
                                 uint64_t seed) {
  RandomStream random(seed);
  LossInput input;
  const auto depths = static_cast<size_t>(config.num_nextn_predict_layers + 1);
  input.inputs.resize(depths);
  input.targets.resize(depths);
  int64_t begin = 0;
  for (const int64_t length : lengths) {
    std::vector<int32_t> tokens;
    for (int64_t i = 0; i < length; ++i) {
      tokens.push_back(
          static_cast<int32_t>(random.NextBelow(static_cast<uint64_t>(config.vocab_size))));
    }
    for (size_t k = 0; k < depths; ++k) {
      for (size_t i = 0; i < tokens.size(); ++i) {
        input.inputs[k].push_back(i + k < tokens.size() ? tokens[i + k] : 0);
        input.targets[k].push_back(i + k + 1 < tokens.size() ? tokens[i + k + 1] : -1);
      }
    }
    input.sequences.push_back({.begin = begin, .count = length});
    begin += length;
  }
  return input;
}

// The gradients that lie in these parameters are those of the loss: for every tensor, along a
// random direction, so that its directional derivative is one number that all elements enter,
// within 1e-6 of the gradient's norm and `least`. changed: after masters were changed; loss: with
// the parameters as they are.
template <typename Changed, typename Loss>
void ExpectDerivativesOf(const std::vector<Parameter*>& parameters, uint64_t seed, double least,
                         const Changed& changed, const Loss& loss) {
  std::vector<std::vector<double>> gradients;  // before the loss is computed anew
  for (const Parameter* parameter : parameters) {
    gradients.push_back(parameter->grad.empty() ? std::vector<double>() : LoadAll(parameter->grad));
  }
  RandomStream random(seed);
  for (size_t p = 0; p < parameters.size(); ++p) {
    const Parameter& parameter = *parameters[p];
    if (parameter.grad.empty()) continue;
    const std::vector<double> values = LoadAll(parameter.master);
    std::vector<double> direction(values.size());
    double expected = 0, norm = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      direction[i] = random.NextNormal();
      expected += direction[i] * gradients[p][i];
      norm += gradients[p][i] * gradients[p][i];
    }
    constexpr double kStep = 2e-6;
    const auto loss_at = [&](double step) {
      std::vector<double> moved = values;
      for (size_t i = 0; i < values.size(); ++i) moved[i] += step * direction[i];
      StoreAll(parameter.master, moved);
      changed();
      return loss();
    };
    const double difference = (loss_at(kStep) - loss_at(-kStep)) / (2 * kStep);
    StoreAll(parameter.master, values);
    EXPECT_NEAR(difference, expected, 1e-6 * std::sqrt(norm) + least) << parameter.spec.name;
  }
}

// The same for all parameters of a model.
template <typename Loss>
void ExpectDerivatives(TestRun& run, TinyModel& tiny, uint64_t seed, double least,
                       const Loss& loss) {
  const auto changed = [&] {
    tiny.store.MarkChanged();
    tiny.Pack(run.context());
  };
  ExpectDerivativesOf(tiny.store.masters(), seed, least, changed, loss);
}

// A frozen copy of a tiny model, in bf16 if that is `stored`, with adapters beside it; with
// `trained`, gradients of zero.
class AdaptedModel {
 public:
  AdaptedModel(TestRun& run, const TinyModel& base, const AdapterOptions& options, bool trained,
               DType stored)
      : store(base.model.config(), run.context().backend->allocator()),
        values_(MemoryRole::kWeights) {
    for (const auto& parameter : base.store.all()) {
      const bool bias = parameter->spec.kind == ParameterKind::kRouterBias;
      const Tensor value =
          values_.New(bias ? parameter->master.dtype() : stored, parameter->spec.shape);
      ConvertElements(parameter->value, value);
      store.SetValue(parameter->spec.name, value);
    }
    for (const std::string& name : AdaptedMatrices(base.model.config(), options)) {
      store.AddAdapter(store.Get(name), options.rank, options.scale(), base.model.precision().sum,
                       trained);
    }
    InitializeAdapters(3, store);
    for (const auto& adapter : store.adapters()) {
      if (trained)
        StoreAll(adapter->grad, std::vector<double>(static_cast<size_t>(adapter->grad.elements())));
    }
    model.emplace(base.model.config(), base.model.precision(), store,
                  run.context().backend->allocator());
    Pack(run.context(), trained);
  }

  // B no longer zero.
  void Perturb(Context& context, bool trained) {
    RandomStream random(99);
    for (const auto& adapter : store.adapters()) {
      if (!adapter->spec.name.ends_with("lora_B.weight")) continue;
      std::vector<double> values(static_cast<size_t>(adapter->master.elements()));
      for (double& value : values) value = 0.3 * random.NextNormal();
      StoreAll(adapter->master, values);
    }
    store.MarkChanged();
    Pack(context, trained);
  }

  void Pack(Context& context, bool trained) {
    model->Pack(context, AttentionForm::kExpanded, trained);
    model->Pack(context, AttentionForm::kAbsorbed, trained);
  }

  ParameterStore store;
  std::optional<Transformer> model;

 private:
  Arena values_;
};

}  // namespace fathom::test

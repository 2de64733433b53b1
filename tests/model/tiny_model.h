#pragma once

// Tiny models of every family with everything in them, for tests of the model.

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "backend/reference/elements.h"
#include "base/random.h"
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

// The gradients that lie in the store are those of the loss: for every parameter tensor, along a
// random direction, so that its directional derivative is one number that all elements enter,
// within 1e-6 of the gradient's norm and `least`. loss: with the parameters as they are, packed.
template <typename Loss>
void ExpectDerivatives(TestRun& run, TinyModel& tiny, uint64_t seed, double least,
                       const Loss& loss) {
  std::vector<std::vector<double>> gradients;  // before the loss is computed anew
  for (const auto& parameter : tiny.store.all()) {
    gradients.push_back(parameter->grad.empty() ? std::vector<double>() : LoadAll(parameter->grad));
  }
  RandomStream random(seed);
  for (size_t p = 0; p < tiny.store.all().size(); ++p) {
    const Parameter& parameter = *tiny.store.all()[p];
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
      tiny.store.MarkChanged();
      tiny.Pack(run.context());
      return loss();
    };
    const double difference = (loss_at(kStep) - loss_at(-kStep)) / (2 * kStep);
    StoreAll(parameter.master, values);
    EXPECT_NEAR(difference, expected, 1e-6 * std::sqrt(norm) + least) << parameter.spec.name;
  }
}

}  // namespace fathom::test

// Adapters: W + scale B A, wherever a model multiplies with W.

#include "model/adapters.h"

#include <gtest/gtest.h>

#include <set>

#include "backend/cpu/cpu_backend.h"
#include "backend/reference/reference_backend.h"
#include "base/error.h"
#include "model/tiny_model.h"

namespace fathom::test {
namespace {

struct Variant {
  std::string name;
  AttentionForm form;
  bool recompute;
  ModelConfig config;
};

ModelConfig WithoutQueryRank() {
  ModelConfig config = TinyConfig();
  config.q_lora_rank = 0;
  return config;
}

class AdapterGradient : public testing::TestWithParam<Variant> {};

// Beside every projection, experts' too, with an MTP module and the balance loss behind.
TEST_P(AdapterGradient, MatchesCentralDifferences) {
  const Variant variant = GetParam();
  TestRun run(CreateReferenceBackend());
  const ModelConfig& config = variant.config;
  const TinyModel base(run, config, Precision::Double());
  AdaptedModel adapted(run, base, {.rank = 2, .alpha = 3, .routed_experts = true}, true,
                       DType::kF64);
  adapted.Perturb(run.context(), true);
  const LossInput input = RandomLossInput(config, {7, 1, 9}, 5);
  const LossOptions options{.form = variant.form,
                            .balance_alpha = 0.3,
                            .target_weight = {1.0 / 14, 0.3 / 12},
                            .balance_weight = 0.5};
  SavedActivations saved(HostAllocator());
  saved.recompute = variant.recompute;
  const auto loss = [&] {
    const LossOutput output =
        LanguageModelLoss(run.context(), *adapted.model, input, options, &saved);
    double sum = options.balance_weight * output.balance_loss;
    for (size_t k = 0; k < output.nll.size(); ++k) sum += options.target_weight[k] * output.nll[k];
    return sum;
  };
  loss();
  const auto changed = [&] {
    adapted.store.MarkChanged();
    adapted.Pack(run.context(), true);
  };
  ExpectDerivativesOf(adapted.store.masters(), 77, 1e-8, changed, loss);
}

INSTANTIATE_TEST_SUITE_P(
    Forms, AdapterGradient,
    testing::Values(Variant{"expanded", AttentionForm::kExpanded, false, TinyConfig()},
                    Variant{"absorbed", AttentionForm::kAbsorbed, false, TinyConfig()},
                    Variant{"absorbed_recompute", AttentionForm::kAbsorbed, true, TinyConfig()},
                    Variant{"no_q_lora", AttentionForm::kExpanded, true, WithoutQueryRank()},
                    Variant{"v2", AttentionForm::kExpanded, false, TinyV2()},
                    Variant{"qwen2", AttentionForm::kExpanded, false, TinyQwen2()},
                    Variant{"llama", AttentionForm::kAbsorbed, true, TinyLlama()}),
    [](const auto& variant) { return variant.param.name; });

// W = [1 2; 3 4], A = [1 0.5], B = [2; -1], scale 0.5: W + scale B A = [2 2.5; 2.5 3.75].
TEST(Adapter, AProductIsWithTheSum) {
  TestRun run(CreateCpuBackend());
  ModelConfig config = TinyQwen2();
  config.hidden_size = 2;
  config.intermediate_size = 2;
  ParameterStore store(config);
  Parameter& weight = store.Get("model.layers.0.mlp.down_proj.weight");
  std::vector<float> w = {1, 2, 3, 4};
  store.SetValue(weight.spec.name, ConstTensor(w.data(), DType::kF32, Shape({2, 2})));
  const Adapter& adapter = store.AddAdapter(weight, 1, 0.5, DType::kF32, /*trained=*/true);
  EXPECT_EQ(adapter.a->spec.name, "model.layers.0.mlp.down_proj.lora_A.weight");
  EXPECT_EQ(adapter.b->spec.name, "model.layers.0.mlp.down_proj.lora_B.weight");
  StoreAll(adapter.a->master, {1, 0.5});
  StoreAll(adapter.b->master, {2, -1});
  StoreAll(adapter.a->grad, {0, 0});
  StoreAll(adapter.b->grad, {0, 0});
  Arena arena(MemoryRole::kPacked);
  Linear linear(weight);
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    linear = Linear(weight);
    linear.Pack(run.context(), dtype, {.forward = true, .backward_input = true}, arena);
    const Tensor x = arena.New(dtype, Shape({1, 2})), y = arena.New(DType::kF32, Shape({1, 2})),
                 dx = arena.New(DType::kF32, Shape({1, 2}));
    StoreAll(x, {1, 2});
    linear.Run(run.context(), x, y);
    EXPECT_EQ(LoadAll(y), (std::vector<double>{2 + 5, 2.5 + 7.5}));
    Matmul(run.context(), linear.BackwardInput(x, dx));
    EXPECT_EQ(LoadAll(dx), (std::vector<double>{2 + 5, 2.5 + 7.5}));
  }
  // dy = [1 2], x = [3 4]: dW = [3 4; 6 8], dA = 0.5 B^T dW = [0 0], dB = 0.5 dW A^T = [2.5; 5].
  const Tensor dy = arena.New(DType::kBF16, Shape({1, 2})),
               x = arena.New(DType::kBF16, Shape({1, 2}));
  StoreAll(dy, {1, 2});
  StoreAll(x, {3, 4});
  PendingWeightGradients pending;
  linear.BackwardWeight(dy, x, pending);
  pending.Apply(run.context());
  EXPECT_EQ(LoadAll(adapter.a->grad), (std::vector<double>{0, 0}));
  EXPECT_EQ(LoadAll(adapter.b->grad), (std::vector<double>{2.5, 5}));
}

// Before the first step, in every precision and form.
TEST(Adapter, BOfZeroChangesNoBit) {
  for (const ModelConfig& config : {TinyConfig(), TinyV2(), TinyQwen2(), TinyLlama()}) {
    for (const Precision precision : {Precision::BF16(), Precision::F32()}) {
      TestRun run(CreateCpuBackend(), 2);
      const TinyModel base(run, config, precision);
      AdaptedModel adapted(run, base, {.rank = 3, .routed_experts = true}, true, DType::kF32);
      LossInput input = RandomLossInput(config, {7, 1, 9}, 5);
      input.inputs.resize(1);
      input.targets.resize(1);
      for (const AttentionForm form : {AttentionForm::kExpanded, AttentionForm::kAbsorbed}) {
        const auto expected = TokenLosses(run.context(), base.model, input, form, 1.0);
        EXPECT_EQ(TokenLosses(run.context(), *adapted.model, input, form, 1.0), expected);
        AdaptedModel moved(run, base, {.rank = 3}, false, DType::kF32);
        moved.Perturb(run.context(), false);
        EXPECT_NE(TokenLosses(run.context(), *moved.model, input, form, 1.0), expected);
      }
    }
  }
}

// No gradient, and no bit of a packed copy, of what is frozen.
TEST(Adapter, OnlyAdaptersAreTrained) {
  TestRun run(CreateCpuBackend());
  const ModelConfig config = TinyConfig();
  const TinyModel base(run, config, Precision::BF16());
  AdaptedModel adapted(run, base, {.rank = 2, .targets = {"o_proj"}}, true, DType::kBF16);
  // o_proj is [12, 9]; the arena rounds each tensor up to 64 bytes.
  ASSERT_EQ(adapted.store.adapters().size(), 4);
  EXPECT_EQ(adapted.store.masters().size(), 4);
  EXPECT_EQ(adapted.store.gradient_bytes(), adapted.store.weight_bytes());
  EXPECT_LE(adapted.store.gradient_bytes(), 4 * 128);
  for (const auto& parameter : adapted.store.all()) {
    EXPECT_TRUE(parameter->grad.empty() && parameter->master.empty()) << parameter->spec.name;
    EXPECT_EQ(parameter->adapter.has_value(),
              parameter->spec.name.ends_with("o_proj.weight") && parameter->spec.layer < 2);
  }
}

TEST(AdaptedMatrices, AreTheProjectionsOfTheFamily) {
  const auto names = [](const ModelConfig& config, const AdapterOptions& options) {
    std::set<std::string, std::less<>> projections;
    size_t count = 0;
    for (const std::string& name : AdaptedMatrices(config, options)) {
      EXPECT_TRUE(name.starts_with("model.layers.0.") || name.starts_with("model.layers.1."));
      const std::string module = name.substr(0, name.size() - std::string(".weight").size());
      projections.insert(module.substr(module.rfind('.') + 1));
      ++count;
    }
    return std::pair(projections, count);
  };
  using Names = std::set<std::string, std::less<>>;
  EXPECT_EQ(names(TinyQwen2(), {}), std::pair(Names({"q_proj", "k_proj", "v_proj", "o_proj",
                                                     "gate_proj", "up_proj", "down_proj"}),
                                              size_t{14}));
  const Names attention = {"q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj", "o_proj"};
  EXPECT_EQ(names(TinyConfig(), {}), std::pair(attention, size_t{10}));
  const Names v3 = {"q_a_proj",  "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj", "o_proj",
                    "gate_proj", "up_proj",  "down_proj"};
  // Layer 0 is dense, layer 1 has 8 experts and shared ones.
  const std::vector<std::string> all(v3.begin(), v3.end());
  EXPECT_EQ(names(TinyConfig(), {.targets = all}), std::pair(v3, size_t{16}));
  EXPECT_EQ(names(TinyConfig(), {.routed_experts = true}), std::pair(v3, size_t{16 + 24}));
  EXPECT_EQ(names(TinyConfig(), {.targets = {"o_proj", "up_proj"}}),
            std::pair(Names({"o_proj", "up_proj"}), size_t{4}));
}

TEST(AdaptedMatrices, NameTheNearestOfAnUnknownTarget) {
  try {
    AdaptedMatrices(TinyQwen2(), {.targets = {"q_porj"}});
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("did you mean 'q_proj'?"), std::string::npos)
        << error.what();
  }
  // What PEFT could adapt and this cannot.
  for (const char* name : {"lm_head", "embed_tokens", "gate", "kv_b_proj"})
    EXPECT_THROW(AdaptedMatrices(TinyQwen2(), {.targets = {name}}), Error) << name;
}

TEST(InitializeAdapters, IsUniformByFanInAndDependsOnNameAndSeed) {
  const ModelConfig config = TinyQwen2();
  const auto make = [&](uint64_t seed) {
    ParameterStore store(config);
    for (const char* name :
         {"model.layers.0.mlp.up_proj.weight", "model.layers.1.mlp.up_proj.weight"})
      store.AddAdapter(store.Get(name), 500, 1, DType::kF32, false);
    InitializeAdapters(seed, store);
    std::vector<std::vector<double>> values;
    for (const auto& adapter : store.adapters()) values.push_back(LoadAll(adapter->master));
    return values;
  };
  const auto first = make(1);
  EXPECT_EQ(first, make(1));
  EXPECT_NE(first[0], make(2)[0]);
  EXPECT_NE(first[0], first[2]);
  // [500, 12]: mean 0, variance bound^2 / 3 with bound = 1 / sqrt(12).
  double sum = 0, squares = 0;
  for (const double value : first[0]) {
    EXPECT_LE(std::abs(value), 1 / std::sqrt(12.0) + 1e-7);
    sum += value;
    squares += value * value;
  }
  EXPECT_NEAR(sum / 6000, 0, 0.01);
  EXPECT_NEAR(squares / 6000, 1.0 / 36, 0.002);
  for (const double value : first[1]) EXPECT_EQ(value, 0);
}

TEST(AdapterOptions, ScaleIsAlphaOverRankOrItsRoot) {
  EXPECT_EQ((AdapterOptions{.rank = 16, .alpha = 32}.scale()), 2);
  EXPECT_EQ((AdapterOptions{.rank = 16, .alpha = 32, .rslora = true}.scale()), 8);
}

}  // namespace
}  // namespace fathom::test

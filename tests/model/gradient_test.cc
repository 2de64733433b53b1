// The gradient of the whole loss (main model, MTP module, balance loss) by every parameter, against
// central differences of the double-precision forward.

#include <gtest/gtest.h>

#include "backend/reference/reference_backend.h"
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

class ModelGradient : public testing::TestWithParam<Variant> {};

double TotalLoss(const LossOutput& output, const LossOptions& options) {
  double loss = options.balance_weight * output.balance_loss;
  for (size_t k = 0; k < output.nll.size(); ++k) loss += options.target_weight[k] * output.nll[k];
  return loss;
}

TEST_P(ModelGradient, MatchesCentralDifferences) {
  const Variant variant = GetParam();
  TestRun run(CreateReferenceBackend());
  const ModelConfig& config = variant.config;
  const bool mtp = config.num_nextn_predict_layers > 0;
  TinyModel tiny(run, config, Precision::Double());
  const LossInput input = RandomLossInput(config, {7, 1, 9}, 5);
  const LossOptions options{.form = variant.form,
                            .balance_alpha = 0.3,
                            .target_weight = {1.0 / 14, 0.3 / 12},
                            .balance_weight = 0.5};
  SavedActivations saved(HostAllocator());
  saved.recompute = variant.recompute;
  const LossOutput output = LanguageModelLoss(run.context(), tiny.model, input, options, &saved);
  EXPECT_EQ(output.targets, mtp ? std::vector<int64_t>({14, 12}) : std::vector<int64_t>({14}));
  EXPECT_EQ(output.balance_loss > 0, config.n_routed_experts > 0);

  ExpectDerivatives(run, tiny, 77, 1e-8, [&] {
    return TotalLoss(LanguageModelLoss(run.context(), tiny.model, input, options, &saved), options);
  });
}

// The same with a teacher's probabilities in the loss.
class SoftTargetGradient : public testing::TestWithParam<double> {};

TEST_P(SoftTargetGradient, MatchesCentralDifferences) {
  TestRun run(CreateReferenceBackend());
  const ModelConfig config = TinyConfig();
  ModelConfig other = config;
  other.hidden_size *= 2;  // only the vocabularies have to be the same
  TinyModel tiny(run, config, Precision::Double()), teacher(run, other, Precision::Double());
  const LossInput input = RandomLossInput(config, {7, 1, 9}, 5);
  const SoftTargets soft{.teacher = &teacher.model,
                         .form = AttentionForm::kExpanded,
                         .weight = 0.7,
                         .temperature = GetParam()};
  LossOptions options{.form = AttentionForm::kExpanded, .target_weight = {1.0 / 14, 0.3 / 12}};
  options.soft = &soft;
  SavedActivations saved(HostAllocator());
  const auto loss = [&] {
    const LossOutput output = LanguageModelLoss(run.context(), tiny.model, input, options, &saved);
    return options.target_weight[0] *
               ((1 - soft.weight) * output.nll[0] +
                soft.weight * soft.temperature * soft.temperature * output.kl) +
           options.target_weight[1] * output.nll[1];
  };
  LanguageModelLoss(run.context(), tiny.model, input, options, &saved);
  ExpectDerivatives(run, tiny, 77, 1e-8, loss);
  // Without a way back it is the same; from itself a model is not far.
  const double kl = LanguageModelLoss(run.context(), tiny.model, input, options, &saved).kl;
  EXPECT_GT(kl, 0);
  EXPECT_DOUBLE_EQ(LanguageModelLoss(run.context(), tiny.model, input, options, nullptr).kl, kl);
  const SoftTargets itself{.teacher = &tiny.model, .form = AttentionForm::kExpanded};
  options.soft = &itself;
  EXPECT_NEAR(LanguageModelLoss(run.context(), tiny.model, input, options, nullptr).kl, 0, 1e-12);
}

INSTANTIATE_TEST_SUITE_P(Temperatures, SoftTargetGradient, testing::Values(1.0, 2.0),
                         [](const auto& param) { return param.index == 0 ? "one" : "two"; });

INSTANTIATE_TEST_SUITE_P(
    Forms, ModelGradient,
    testing::Values(Variant{"expanded", AttentionForm::kExpanded, false, TinyConfig()},
                    Variant{"expanded_recompute", AttentionForm::kExpanded, true, TinyConfig()},
                    Variant{"absorbed", AttentionForm::kAbsorbed, false, TinyConfig()},
                    Variant{"absorbed_recompute", AttentionForm::kAbsorbed, true, TinyConfig()},
                    Variant{"no_q_lora", AttentionForm::kExpanded, true, WithoutQueryRank()},
                    Variant{"no_q_lora_absorbed", AttentionForm::kAbsorbed, false,
                            WithoutQueryRank()},
                    Variant{"v2", AttentionForm::kExpanded, false, TinyV2()},
                    Variant{"qwen2", AttentionForm::kExpanded, false, TinyQwen2()},
                    Variant{"qwen2_recompute", AttentionForm::kAbsorbed, true, TinyQwen2()},
                    Variant{"llama", AttentionForm::kAbsorbed, false, TinyLlama()}),
    [](const auto& variant) { return variant.param.name; });

}  // namespace
}  // namespace fathom::test

// The trainer and the engine compute the same numbers.

#include "posttrain/grpo/policy_step.h"

#include <gtest/gtest.h>

#include "backend/cpu/cpu_backend.h"
#include "backend/reference/reference_backend.h"
#include "infer/transformer_executor.h"
#include "model/tiny_model.h"
#include "ops/test_tensors.h"
#include "train/tiny_run.h"

namespace fathom::test {
namespace {

// A model whose answers are lively: random weights, large.
struct Policy {
  Policy(TestRun& run, const ModelConfig& config, Precision precision)
      : store(config, precision.sum, run.backend().allocator()),
        transformer(config, precision, store, run.backend().allocator()) {
    InitializeParameters(config, 11, *run.context().pool, store, true);
  }
  ParameterStore store;
  Transformer transformer;
};

// So many answers to each prompt.
std::vector<Rollout> Answers(Engine& engine, const std::vector<std::vector<int32_t>>& prompts,
                             double temperature) {
  std::vector<RolloutRequest> requests;
  for (const auto& prompt : prompts) {
    for (uint64_t choice = 0; choice < 3; ++choice)
      requests.push_back({.prompt = prompt, .seed = 5 + prompts.size(), .choice = choice});
  }
  return MakeRollouts(engine, requests,
                      {.max_tokens = 20, .temperature = temperature, .stop_ids = {5, 6, 7, 8, 9}});
}

std::vector<Rollout> Write(TestRun& run, Policy& policy, int64_t step_tokens, double temperature) {
  policy.transformer.Pack(run.context(), AttentionForm::kAbsorbed, /*training=*/false);
  TransformerExecutor executor(run.context(), policy.transformer, 200);
  Engine engine(executor, {.step_tokens = step_tokens});
  return Answers(engine, {{40, 41, 42, 43}, {50, 51, 52, 53, 54, 55, 56}, {44}}, temperature);
}

class PolicyStepTest : public testing::TestWithParam<const char*> {
 protected:
  ModelConfig Model() const {
    return GetParam() == std::string_view("v3")   ? TinyRunModel()
           : GetParam() == std::string_view("v2") ? TinyV2Run()
                                                  : TinyQwen2Run();
  }
};

// Whatever the batches of both sides, the number of threads and the temperature.
TEST_P(PolicyStepTest, RolloutsHaveTheLogProbsOfTheTrainerBitForBit) {
  for (const Precision precision : {Precision::BF16(), Precision::F32()}) {
    for (const double temperature : {1.0, 0.7}) {
      for (const int threads : {1, 2}) {
        TestRun run(CreateCpuBackend(), threads);
        Policy policy(run, Model(), precision);
        const std::vector<Rollout> rollouts = Write(run, policy, 7 * threads, temperature);
        ASSERT_EQ(rollouts.size(), 9);
        std::vector<const Rollout*> pointers;
        for (const Rollout& rollout : rollouts) pointers.push_back(&rollout);
        for (const int64_t group : {1, 50, 1000}) {
          const auto logprobs = AnswerLogProbs(run.context(), policy.transformer, pointers,
                                               AttentionForm::kAbsorbed, temperature, group);
          ASSERT_EQ(logprobs.size(), rollouts.size());
          for (size_t i = 0; i < rollouts.size(); ++i)
            EXPECT_EQ(logprobs[i], rollouts[i].logprobs) << i << ", groups of " << group;
        }
      }
    }
  }
}

// The first update of a step: every ratio is 1 and nothing is clipped, in micro-batches of any
// size.
TEST_P(PolicyStepTest, TheFirstUpdateIsOnPolicyExactly) {
  TestRun run(CreateCpuBackend(), 2);
  TrainingSettings settings;
  settings.precision.attention = "absorbed";
  settings.precision.recipe = "bf16";
  settings.optimizer.weight_decay = 0;
  const PolicyLossOptions loss;
  std::vector<double> norms;
  for (const int64_t micro : {1, 60, 10000}) {
    Policy policy(run, Model(), settings.ModelPrecision());
    const std::vector<Rollout> rollouts = Write(run, policy, 64, 1.0);
    Optimizer optimizer(settings.optimizer, policy.store, run.backend().allocator());
    optimizer.Reset(run.context());
    settings.micro_batch_tokens = micro;
    PolicyStep step(settings, loss, 1.0, policy.transformer, policy.store, optimizer,
                    run.backend().allocator());
    std::vector<WeighedRollout> batch;
    double advantage = -1;
    for (const Rollout& rollout : rollouts) {
      const auto tokens = static_cast<double>(rollout.answer.size());
      batch.push_back({.rollout = &rollout,
                       .advantage = advantage,
                       .scale = 1 / (9 * tokens),
                       .reference_logprobs = rollout.logprobs});
      advantage += 0.25;
    }
    const PolicyStepResult result = step.Run(run.context(), batch, 0, 1e-3);
    EXPECT_EQ(result.bad, "");
    EXPECT_EQ(result.sums.deviation, 0);
    EXPECT_EQ(result.sums.kl, 0);
    EXPECT_EQ(result.sums.ratio, static_cast<double>(result.sums.tokens));
    norms.push_back(result.grad_norm);
    EXPECT_GT(result.grad_norm, 0);
    // A second one is off policy.
    EXPECT_GT(step.Run(run.context(), batch, 1, 1e-3).sums.deviation, 0);
  }
  // Sums of gradients in another order.
  EXPECT_NEAR(norms[1] / norms[0], 1, 1e-3);
  EXPECT_NEAR(norms[2] / norms[0], 1, 1e-3);
}

// With adapters beside frozen weights, as they begin and once they have moved, whatever the
// batches: the trainer packs what the engine has packed.
TEST_P(PolicyStepTest, RolloutsWithAdaptersHaveTheLogProbsOfTheTrainerBitForBit) {
  for (const Precision precision : {Precision::BF16(), Precision::F32()}) {
    TestRun run(CreateCpuBackend(), 2);
    const TinyModel base(run, Model(), precision);
    AdaptedModel adapted(run, base, {.rank = 3, .routed_experts = true}, true, precision.act);
    std::vector<std::vector<double>> before;
    for (const bool moved : {false, true}) {
      if (moved) adapted.Perturb(run.context(), true);
      TransformerExecutor executor(run.context(), *adapted.model, 200);
      Engine engine(executor, {.step_tokens = 7});
      const auto rollouts = Answers(engine, {{40, 41, 42, 43}, {44}}, 1.0);
      std::vector<const Rollout*> pointers;
      for (const Rollout& rollout : rollouts) pointers.push_back(&rollout);
      for (const int64_t group : {1, 50}) {
        const auto logprobs = AnswerLogProbs(run.context(), *adapted.model, pointers,
                                             AttentionForm::kAbsorbed, 1.0, group);
        for (size_t i = 0; i < rollouts.size(); ++i) EXPECT_EQ(logprobs[i], rollouts[i].logprobs);
        EXPECT_NE(logprobs, before);
        if (!moved && group == 50) before = logprobs;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Families, PolicyStepTest, testing::Values("v3", "v2", "qwen2"));

// A loss that is no sum of log-probs, at a temperature, through the whole model in double
// precision: sum_t logprob_t^2 / 2.
TEST(PolicyGradient, IsTheDerivativeOfTheLossThroughTheModel) {
  TestRun run(CreateReferenceBackend());
  const ModelConfig config = TinyConfig();
  TinyModel tiny(run, config, Precision::Double());
  LossInput input = RandomLossInput(config, {7, 1, 9}, 5);
  input.inputs.resize(1);  // the main model alone
  input.targets.resize(1);
  constexpr double kTemperature = 0.7;
  LossOptions options{
      .form = AttentionForm::kAbsorbed, .target_weight = {0}, .temperature = kTemperature};
  options.doutput = [](std::span<const double> logprobs) {
    return std::vector<double>(logprobs.begin(), logprobs.end());
  };
  SavedActivations saved(HostAllocator());
  LanguageModelLoss(run.context(), tiny.model, input, options, &saved);
  ExpectDerivatives(run, tiny, 78, 1e-7, [&] {
    double loss = 0;
    for (const double nll :
         TokenLosses(run.context(), tiny.model, input, AttentionForm::kAbsorbed, kTemperature))
      loss += nll * nll / 2;
    return loss;
  });
}

}  // namespace
}  // namespace fathom::test

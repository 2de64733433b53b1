// Learning rate, load balancing and the count of operations: what can be worked out by hand.

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "backend/cpu/cpu_backend.h"
#include "model/tiny_model.h"
#include "train/optimizer.h"
#include "train/throughput.h"

namespace fathom::test {
namespace {

TrainingSettings::Schedule Schedule(const char* type, int64_t warmup, double decay = 0.2,
                                    double floor = 0.1) {
  return {.type = type, .warmup_steps = warmup, .decay_fraction = decay, .min_lr_ratio = floor};
}

TEST(LearningRate, WarmUpRisesInEqualStepsToTheFullRate) {
  for (const char* type : {"wsd", "cosine", "constant"}) {
    SCOPED_TRACE(type);
    const TrainingSettings::Schedule schedule = Schedule(type, 4);
    EXPECT_DOUBLE_EQ(LearningRate(schedule, 0.8, 0, 100), 0.2);
    EXPECT_DOUBLE_EQ(LearningRate(schedule, 0.8, 1, 100), 0.4);
    EXPECT_DOUBLE_EQ(LearningRate(schedule, 0.8, 2, 100), 0.6);
    EXPECT_DOUBLE_EQ(LearningRate(schedule, 0.8, 3, 100), 0.8);
    EXPECT_DOUBLE_EQ(LearningRate(schedule, 0.8, 4, 100), 0.8);
  }
}

TEST(LearningRate, WithoutWarmUpTheFirstStepHasTheFullRate) {
  for (const char* type : {"wsd", "cosine", "constant"})
    EXPECT_DOUBLE_EQ(LearningRate(Schedule(type, 0), 0.5, 0, 10), 0.5) << type;
}

TEST(LearningRate, ConstantStays) {
  for (int step = 0; step < 50; ++step)
    EXPECT_DOUBLE_EQ(LearningRate(Schedule("constant", 0), 0.3, step, 50), 0.3);
}

TEST(LearningRate, WsdIsStableThenALineDown) {
  // 20 steps, the last 5 go down from 1 towards 0.1: 1, 0.82, 0.64, 0.46, 0.28, (0.1).
  const TrainingSettings::Schedule schedule = Schedule("wsd", 0, 0.25, 0.1);
  for (int step = 0; step < 15; ++step)
    EXPECT_DOUBLE_EQ(LearningRate(schedule, 1, step, 20), 1) << step;
  const double expected[] = {1, 0.82, 0.64, 0.46, 0.28};
  for (int i = 0; i < 5; ++i)
    EXPECT_NEAR(LearningRate(schedule, 1, 15 + i, 20), expected[i], 1e-12) << i;
  // No decay at all, and nothing but decay.
  EXPECT_DOUBLE_EQ(LearningRate(Schedule("wsd", 0, 0), 1, 19, 20), 1);
  EXPECT_DOUBLE_EQ(LearningRate(Schedule("wsd", 0, 1, 0), 1, 10, 20), 0.5);
}

TEST(LearningRate, CosineGoesFromFullToTheFloor) {
  // 2 steps of warm-up and 8 of cosine: at 2 the top, at 6 the middle.
  const TrainingSettings::Schedule schedule = Schedule("cosine", 2, 0, 0.2);
  EXPECT_DOUBLE_EQ(LearningRate(schedule, 1, 2, 10), 1);
  EXPECT_NEAR(LearningRate(schedule, 1, 6, 10), 0.6, 1e-12);
  EXPECT_NEAR(LearningRate(schedule, 1, 4, 10),
              0.2 + 0.8 * 0.5 * (1 + std::cos(std::numbers::pi / 4)), 1e-12);
  EXPECT_NEAR(LearningRate(schedule, 1, 10, 10), 0.2, 1e-12);
}

TEST(LearningRate, IsFiniteAndNotNegativeWhateverTheLengths) {
  for (const char* type : {"wsd", "cosine", "constant"}) {
    for (const int warmup : {0, 1, 5, 50}) {
      for (const int steps : {1, 2, 5}) {
        for (int step = 0; step < steps; ++step) {
          const double lr = LearningRate(Schedule(type, warmup, 1, 0), 1, step, steps);
          EXPECT_TRUE(lr > 0 && lr <= 1) << type << " " << warmup << " " << step << "/" << steps;
        }
      }
    }
  }
}

TEST(UpdateRouterBias, GivesToIdleExpertsAndTakesFromBusyOnes) {
  TestRun run(CreateCpuBackend());
  const ModelConfig config = TinyConfig();
  TinyModel tiny(run, config, Precision::F32());
  Parameter& bias = tiny.store.Get("model.layers.1.mlp.gate.e_score_correction_bias");
  StoreAll(bias.master, {0.5, 0.5, -1, 0, 0, 0, 0, 2});
  // The mean is 4.
  UpdateRouterBias(run.context(), bias, {4, 5, 3, 4, 4, 4, 4, 4}, 0.25);
  const std::vector<double> expected = {0.5, 0.25, -0.75, 0, 0, 0, 0, 2};
  EXPECT_EQ(LoadAll(bias.master), expected);
  EXPECT_EQ(LoadAll(bias.value), expected);  // the next forward sees it
}

TEST(TrainingFlops, AreSixAParameterAndToken) {
  const ModelConfig config = TinyConfig();
  const ParameterCounts counts = CountParameters(config);
  const double weights = static_cast<double>(counts.active_matmul + counts.mtp_active_matmul);
  EXPECT_DOUBLE_EQ(TrainingFlops(config, 10, 0), 60 * weights);
  // 3 layers (one of them MTP) of 3 heads, queries of 10 and values of 3: 117 multiply-adds a pair.
  EXPECT_DOUBLE_EQ(TrainingFlops(config, 0, 7), 6 * 117 * 7);
}

}  // namespace
}  // namespace fathom::test

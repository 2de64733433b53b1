#include "plan/training.h"

#include <gtest/gtest.h>

#include <string>

#include "base/error.h"
#include "plan/comparison.h"
#include "plan/prices.h"
#include "plan/programme.h"

namespace fathom {
namespace {

class TrainingTest : public testing::Test {
 protected:
  std::string LayoutError(const TrainingLayout& layout, const TrainingRun& run = {}) {
    try {
      CheckLayout(v3_, run, layout);
      CheckMemory(v3_, run, layout, hardware_.Get("h800"));
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }

  const Hardware hardware_ = Hardware::Load();
  const Architecture v3_ = DescribeArchitecture(PublishedConfig("v3"));
};

void ExpectParts(const std::string& message, const std::vector<std::string>& parts) {
  for (const std::string& part : parts) {
    EXPECT_NE(message.find(part), std::string::npos) << message << "\nlacks: " << part;
  }
}

// Nothing of this was fitted: kernels from DeepGEMM's and FlashMLA's READMEs, networks from the V3
// report, the schedule from DualPipe's README.
TEST_F(TrainingTest, StepTimeOfV3) {
  const StepTime step =
      PlanStep(v3_, TrainingRun{}, TrainingLayout{}, hardware_.Get("h800"), hardware_.kernels);
  fmt::print(
      "  products {}, attention {}, elementwise {}, exchange {} of which exposed {}, bubble {}, "
      "reduction {}, optimizer {}\n",
      Format(step.compute.products), Format(step.compute.attention),
      Format(step.compute.elementwise), Format(step.exchange), Format(step.exposed_exchange),
      Format(step.bubble), Format(step.gradient_reduction), Format(step.optimizer));
  EXPECT_EQ(step.micro_batches, 120);
  Compare("V3 step on 2048 H800, seconds", Claim::kPrediction, 19.926, step.total().value(), 0.4);
  const double steps = 14.8e12 / (15360 * 4096.0);
  Compare("V3 pre-training, H800-hours", Claim::kPrediction, 2.664e6,
          steps * 2048 * InHours(step.total()), 0.4);
  Compare("the same from the published step time", Claim::kIdentity, 2.664e6,
          steps * 2048 * 19.926 / 3600, 0.005);
  // One FP8 compute copy and f32 gradients of two copies of a stage, and activations, in 80 GB.
  EXPECT_LT(PlanMemory(v3_, {}, {}).total(), Bytes(80e9));
}

TEST_F(TrainingTest, PublishedCosts) {
  const DollarsPerSecond rent = Prices::Load().Rent("h800");
  Compare("V3: (2664 + 119 + 5) K H800-hours at $2", Claim::kIdentity, 5.576e6,
          (Hours(2664e3 + 119e3 + 5e3) * rent).value(), 0.001);
  Compare("R1: (101 + 5 + 41) K H800-hours at $2", Claim::kIdentity, 294e3,
          (Hours(101e3 + 5e3 + 41e3) * rent).value(), 0.001);
  Compare("R1-Zero: 512 devices x 198 h", Claim::kIdentity, 101e3, 512.0 * 198, 0.01);
}

// Kernels within a step reach less than alone. How much less is what another model's published
// throughput leaves (Llama 3, arXiv 2407.21783, Table 4: TP 8, PP 16, 16 M tokens a step), which is
// a fit, and V3's step time is then a prediction.
TEST_F(TrainingTest, KernelsWithinAStepFitLlama3) {
  const Architecture llama = DescribeArchitecture(PublishedConfig("llama-3.1-405b"));
  const TrainingRun run{.batch = 2048, .length = 8192, .precision = PlanPrecision::kBf16};
  for (const auto& [devices, published] : {std::pair{8192, 430.0}, {16384, 400.0}}) {
    const TrainingLayout layout{.devices = devices,
                                .tensor = 8,
                                .expert = 1,
                                .schedule = Schedule::kInterleaved,
                                .virtual_stages = 7};
    const StepTime step = PlanStep(llama, run, layout, hardware_.Get("h100"), hardware_.kernels);
    const Flops flops = TrainingFlops(llama, run.length, Masking::kCausal).total() *
                        Tokens(static_cast<double>(run.batch * run.length));
    Compare("Llama 3 405B, TFLOPS of each of " + std::to_string(devices) + " H100", Claim::kFit,
            published, flops / step.total() / devices / Flops(1e12) * Seconds(1), 0.02);
  }
}

// By hand: 1000 hours at $2, half of them again for experiments, two people for a year and a half.
TEST_F(TrainingTest, WholeProgramme) {
  Programme programme = Programme::Load();
  const auto set = [](SourcedValue& value, double number) { value = GivenValue(number, "test"); };
  set(programme.restarts, 0.1);
  set(programme.later_training, 0);
  set(programme.reinforcement, 0.05);
  set(programme.experiments, 0.5);
  set(programme.data, 7);
  set(programme.people, 2);
  set(programme.person_year, 100);
  set(programme.years, 1.5);
  const ProgrammeCost cost = CostOf(programme, Hours(1000), PerHour(2));
  EXPECT_NEAR(InHours(cost.all), 1650, 1e-9);
  EXPECT_NEAR(cost.compute.value(), 3300, 1e-9);
  EXPECT_NEAR(cost.people.value(), 300, 1e-9);
  EXPECT_NEAR(cost.total().value(), 3607, 1e-9);
  // R1's share of V3's published hours is what was published of it.
  Compare("R1 out of V3's hours", Claim::kIdentity, 294e3,
          (CostOf(Programme::Load(), Hours(2664e3), PerHour(2)).reinforcement * PerHour(2)).value(),
          0.01);
}

// One utilisation for all four, which comes from a throughput that the paper states for one of
// them: 380 tokens/s a device for 65B on A100s (arXiv 2302.13971, section 2.4). So 65B is an
// identity.
TEST_F(TrainingTest, Llama1DeviceHours) {
  const FlopsPerSecond peak = hardware_.Get("a100").Peak(PlanPrecision::kBf16);
  const auto architecture = [](const char* name) {
    return DescribeArchitecture(PublishedConfig(name));
  };
  const FlopsPerSecond reached =
      TrainingFlops(architecture("llama-1-65b"), 2048, Masking::kCausal).total() *
      TokensPerSecond(380);
  const double utilisation = reached / peak;
  fmt::print("  utilisation {:.1f} %\n", 100 * utilisation);
  struct Row {
    const char* name;
    double tokens, hours;
    Claim claim;
  };
  for (const Row& row : {Row{"llama-1-7b", 1.0e12, 82432, Claim::kPrediction},
                         Row{"llama-1-13b", 1.0e12, 135168, Claim::kPrediction},
                         Row{"llama-1-33b", 1.4e12, 530432, Claim::kPrediction},
                         Row{"llama-1-65b", 1.4e12, 1022362, Claim::kIdentity}}) {
    const Seconds time = DeviceTimeAtUtilisation(architecture(row.name), Tokens(row.tokens), 2048,
                                                 peak, utilisation);
    Compare(std::string(row.name) + ", A100-hours", row.claim, row.hours, InHours(time), 0.1);
  }
}

// DualPipe README's formulas with F = 1, B = 2, W = 0.5, F&B = 2.5 on 8 stages, by hand.
TEST_F(TrainingTest, Bubbles) {
  const ChunkTimes chunk{Seconds(1), Seconds(2), Seconds(0.5), Seconds(2.5)};
  EXPECT_DOUBLE_EQ(Bubble(Schedule::k1F1B, 8, chunk).value(), 21);
  EXPECT_DOUBLE_EQ(Bubble(Schedule::kZb1p, 8, chunk).value(), 14);
  EXPECT_DOUBLE_EQ(Bubble(Schedule::kDualPipe, 8, chunk).value(), 9);
  EXPECT_DOUBLE_EQ(Bubble(Schedule::k1F1B, 1, chunk).value(), 0);
  // No stage, no bubble, whatever the schedule.
  EXPECT_DOUBLE_EQ(Bubble(Schedule::kDualPipe, 2, chunk).value(), 0);
  // Two chunks of layers a device halve 1F1B's bubble (arXiv 2104.04473).
  EXPECT_DOUBLE_EQ(Bubble(Schedule::kInterleaved, 8, chunk, 2).value(), 10.5);
  // and keep P (1 + (P-1) / (P v)) micro-batches' activations (arXiv 2205.05198).
  EXPECT_DOUBLE_EQ(MicroBatchesInFlight(Schedule::kInterleaved, 8, 100, 2), 11.5);
  EXPECT_EQ(ScheduleNamed("dualpipev"), Schedule::kDualPipeV);
  EXPECT_THROW(ScheduleNamed("dual"), UsageError);
}

TEST_F(TrainingTest, MemoryFollowsTheLayout) {
  TrainingLayout plain{.devices = 2048, .schedule = Schedule::k1F1B};
  const TrainingMemory one = PlanMemory(v3_, {}, plain);
  TrainingLayout two = plain;
  two.schedule = Schedule::kDualPipe;
  // DualPipe holds parameters twice, and one micro-batch more.
  const TrainingMemory dual = PlanMemory(v3_, {}, two);
  EXPECT_DOUBLE_EQ(dual.weights / one.weights, 2);
  EXPECT_DOUBLE_EQ(dual.activations / one.activations, 17.0 / 16);
  TrainingLayout zero3 = plain;
  zero3.zero_stage = 3;
  EXPECT_LT(PlanMemory(v3_, {}, zero3).weights, one.weights);
  TrainingLayout tensor = plain;
  tensor.tensor = 2;
  EXPECT_DOUBLE_EQ(PlanMemory(v3_, {}, tensor).activations / one.activations, 0.5);
}

// A stage's weights go over the network twice a micro-batch; large micro-batches hide it.
TEST_F(TrainingTest, Zero3GathersWeights) {
  TrainingLayout layout{.devices = 2048, .pipeline = 1, .expert = 64, .zero_stage = 3};
  layout.schedule = Schedule::k1F1B;
  const StepTime exposed = PlanStep(v3_, {.batch = 2048, .length = 128}, layout,
                                    hardware_.Get("h800"), hardware_.kernels);
  EXPECT_GT(exposed.weight_gathering, Seconds(0.1));
  const StepTime hidden = PlanStep(v3_, {.batch = 2048, .length = 8192}, layout,
                                   hardware_.Get("h800"), hardware_.kernels);
  EXPECT_LT(hidden.weight_gathering, exposed.weight_gathering);
  layout.zero_stage = 2;
  EXPECT_EQ(PlanStep(v3_, {.batch = 2048, .length = 128}, layout, hardware_.Get("h800"),
                     hardware_.kernels)
                .weight_gathering,
            Seconds(0));
}

TEST_F(TrainingTest, ErrorsSayWhatFits) {
  ExpectParts(LayoutError({.devices = 2047}), {"devices", "2047", "the nearest that fits is 2048"});
  ExpectParts(LayoutError({.tensor = 3}), {"tp: 3", "128 heads", "nearest that fits is 2"});
  ExpectParts(LayoutError({.expert = 48}), {"ep: 48", "256 experts", "nearest that fits is"});
  // 2000 / 16 = 125 ranks; 2 x 16 x 64 devices are the nearest that 64 divides.
  ExpectParts(LayoutError({.devices = 2000}), {"ep: 64", "125", "fits is 1, or 2048 devices"});
  ExpectParts(LayoutError({.devices = 64, .pipeline = 64, .expert = 1}),
              {"pp: 64", "61 layers", "nearest that fits is 32"});
  // What is named fits: 62 stages would be even, but are more than there are layers.
  ExpectParts(LayoutError({.pipeline = 61}), {"pp: 61", "nearest that fits is 32"});
  ExpectParts(LayoutError({}, {.batch = 1000}), {"batch", "nearest that fits is 1024"});
  ExpectParts(LayoutError({.schedule = Schedule::kInterleaved, .virtual_stages = 4}),
              {"virtual-stages", "61 layers", "nearest that fits is 3"});
  ExpectParts(LayoutError({.devices = -8}), {"devices", "-8"});
  ExpectParts(LayoutError({.micro_batch = int64_t{1} << 62}), {"micro-batch", "not between"});
  ExpectParts(LayoutError({.devices = 2048, .pipeline = 2, .expert = 8}),
              {"memory", "H800", "has 80.0 GB", "nearest layout that fits is"});
  ExpectParts(LayoutError({.devices = 8, .pipeline = 2, .expert = 4}, {.batch = 16}),
              {"memory", "no layout on 8 devices fits"});
}

}  // namespace
}  // namespace fathom

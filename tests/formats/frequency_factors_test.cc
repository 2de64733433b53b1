#include "formats/frequency_factors.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/temporary_directory.h"
#include "formats/gguf_export.h"
#include "formats/gguf_model.h"
#include "formats/model_directory.h"
#include "model/rope.h"

namespace fathom::test {
namespace {

ModelConfig Llama(int64_t head_dim, double theta, const Llama3Scaling& scaling) {
  ModelConfig config;
  config.family = Family::kLlama;
  config.vocab_size = 5;
  config.hidden_size = 8;
  config.num_hidden_layers = 1;
  config.num_attention_heads = config.num_key_value_heads = 1;
  config.head_dim = head_dim;
  config.intermediate_size = 4;
  config.rope_layout = RopeLayout::kHalves;
  config.n_routed_experts = config.n_shared_experts = config.num_nextn_predict_layers = 0;
  config.rope_theta = theta;
  config.rope_scaling = scaling;
  return config;
}

// Llama 3.1 8B: theta 500000, heads of 128, factor 8.
TEST(FrequencyFactorsTest, OfLlama31) {
  const ModelConfig config = Llama(128, 500000, {});
  const std::vector<float> factors = FrequencyFactors(config);
  ASSERT_EQ(factors.size(), 64U);
  // Wavelength 2 pi 500000^(i / 64): below 8192 / 4 until pair 28, above 8192 from pair 35 on.
  EXPECT_EQ(factors[28], 1);
  EXPECT_NEAR(factors[35], 8, 1e-5);
  // Pair 32: 8192 / (2 pi 707.107) = 1.84386 turns, a third of 0.84386 is kept;
  // 1 / ((1 - 0.28129) / 8 + 0.28129) = 2.6945.
  EXPECT_NEAR(factors[32], 2.6945, 1e-4);
}

// The releases (Llama 3.1, 3.2) come back number by number, also where factors were computed in
// f32, as other exporters do.
TEST(FrequencyFactorsTest, OfTheReleasesTellTheirScaling) {
  for (const double factor : {8.0, 32.0}) {
    std::vector<float> factors = FrequencyFactors(Llama(64, 500000, {.factor = factor}));
    for (const float rounding : {0.0F, 5e-6F}) {
      for (size_t i = 0; i + 1 < factors.size(); i += 2) factors[i] *= 1 + rounding;
      const auto scaling = Llama3ScalingOf(factors, 500000);
      ASSERT_TRUE(scaling.has_value());
      EXPECT_EQ(scaling->factor, factor);
      EXPECT_EQ(scaling->low_freq_factor, 1);
      EXPECT_EQ(scaling->high_freq_factor, 4);
      EXPECT_EQ(scaling->original_max_position_embeddings, 8192);
    }
  }
}

struct Case {
  const char* what;
  int64_t head_dim;
  double theta;
  Llama3Scaling scaling;
};

// What a GGUF file holds is the factors alone; the frequencies they stand for come back.
TEST(FrequencyFactorsTest, FrequenciesComeBackFromAFile) {
  const Case cases[] = {
      {"Llama 3.1's", 16, 500000, {}},
      {"a small context", 16, 500000, {.original_max_position_embeddings = 64}},
      {"the smallest context", 32, 100, {.original_max_position_embeddings = 5}},
      {"other low and high factors",
       32,
       10000,
       {.factor = 4, .low_freq_factor = 2.5, .high_freq_factor = 30}},
      {"no pair between", 8, 500000, {.low_freq_factor = 2, .high_freq_factor = 2.1}},
      {"one pair between", 8, 500000, {.low_freq_factor = 1, .high_freq_factor = 20}},
      {"all pairs divided", 8, 500000, {.low_freq_factor = 3000, .high_freq_factor = 4000}},
      {"the lowest frequency is between too", 16, 100, {.original_max_position_embeddings = 256}},
      {"all are between", 8, 50, {.factor = 3, .low_freq_factor = 10, .high_freq_factor = 1500}},
      {"frequencies raised", 16, 500000, {.factor = 0.5}},
      {"one pair in all", 2, 10000, {.low_freq_factor = 1000, .high_freq_factor = 2000}},
  };
  ThreadPool pool(1);
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    const TemporaryDirectory directory;
    const ModelConfig config = Llama(c.head_dim, c.theta, c.scaling);
    ParameterStore store(config, DType::kF32, HostAllocator());
    InitializeParameters(config, 1, pool, store);
    SaveModel(directory.path(), config, store, DType::kF32);
    const auto source = ModelSource::Open(directory.path());
    ExportGguf(*source, directory / "m.gguf", BlockFormat::kF32, pool, [](uint64_t, uint64_t) {});
    const GgufModel read(directory / "m.gguf");
    const std::vector<double> expected = MakeRopeParameters(config).inv_freq;
    const std::vector<double> found = MakeRopeParameters(read.config()).inv_freq;
    ASSERT_EQ(found.size(), expected.size());
    for (size_t i = 0; i < found.size(); ++i)
      EXPECT_NEAR(found[i], expected[i], 2e-6 * expected[i]) << i;
  }
}

TEST(FrequencyFactorsTest, OthersAreNone) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kNone = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> others[] = {
      {},           {1, 1, 1, 1},  {1, 2, 1, 8},     {8, 4, 2, 1},         {1, 5, 5, 8},
      {1, 1, 0, 8}, {1, 1, -8, 8}, {1, kNone, 4, 8}, {1, 1, 4, kInfinity}, {1, 1, 4, kNone},
      {9, 1, 1, 8}};
  for (const std::vector<float>& factors : others)
    EXPECT_FALSE(Llama3ScalingOf(factors, 10000).has_value());
}

}  // namespace
}  // namespace fathom::test

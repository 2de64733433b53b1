#include "plan/architecture.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "plan/comparison.h"

namespace fathom {
namespace {

double GigaFlops(const char* model, Masking masking) {
  return TrainingFlops(DescribeArchitecture(PublishedConfig(model)), 4096, masking)
             .total()
             .value() /
         1e9;
}

TEST(ArchitectureTest, ParametersOfPublishedModels) {
  const auto counts = [](const char* model) { return CountParameters(PublishedConfig(model)); };
  Compare("V3 parameters", Claim::kPrediction, 671e9, static_cast<double>(counts("v3").total),
          0.005);
  Compare("V3 active parameters, without the embedding (36.7 B in README_WEIGHTS)",
          Claim::kPrediction, 36.7e9, static_cast<double>(counts("v3").active_matmul), 0.005);
  // The report's "37 B" is that number rounded.
  EXPECT_EQ(std::round(static_cast<double>(counts("v3").active_matmul) / 1e9), 37);
  Compare("V2 parameters", Claim::kPrediction, 236e9, static_cast<double>(counts("v2").total),
          0.005);
  Compare("LLaMA-3.1-405B parameters", Claim::kPrediction, 405e9,
          static_cast<double>(counts("llama-3.1-405b").total), 0.005);
  Compare("LLaMA-65B parameters (65.2 B in its paper)", Claim::kPrediction, 65.2e9,
          static_cast<double>(counts("llama-1-65b").total), 0.005);
  Compare("DeepSeek 67B parameters", Claim::kPrediction, 67e9,
          static_cast<double>(counts("deepseek-67b").total), 0.01);
}

// The layers of the description hold all parameters except embedding, head and final norm.
TEST(ArchitectureTest, LayersAddUp) {
  for (const char* model : {"v3", "v2-lite", "llama-1-7b", "nano"}) {
    const Architecture architecture = DescribeArchitecture(PublishedConfig(model));
    const ModelConfig& config = architecture.config;
    int64_t sum = 2 * config.vocab_size * config.hidden_size + config.hidden_size;
    double flops = architecture.head.forward_flops().value();
    for (const LayerShape& layer : architecture.layers) {
      sum += layer.parameters;
      for (const MatrixProduct& product : layer.products) flops += product.forward_flops().value();
    }
    EXPECT_EQ(sum, architecture.counts.total) << model;
    // Two operations a parameter that is multiplied with.
    EXPECT_DOUBLE_EQ(flops, 2.0 * static_cast<double>(architecture.counts.active_matmul)) << model;
  }
}

// ISCA 2025 (arXiv 2505.09343), Table 2, at 4096 tokens: it counts 3 x forward, causal, without
// MTP.
TEST(ArchitectureTest, TrainingFlopsPerToken) {
  Compare("V3 GFLOPs/token, causal", Claim::kPrediction, 250, GigaFlops("v3", Masking::kCausal),
          0.02);
  Compare("V2 GFLOPs/token, causal", Claim::kPrediction, 155, GigaFlops("v2", Masking::kCausal),
          0.02);
  Compare("LLaMA-3.1-405B GFLOPs/token, causal", Claim::kPrediction, 2448,
          GigaFlops("llama-3.1-405b", Masking::kCausal), 0.02);
  // The same table's TFLOPS at 272.80 B tokens a day on 2048 devices.
  const double tokens_per_second = 272.80e9 / 86400 / 2048;
  Compare("V3 TFLOPS a device, causal", Claim::kPrediction, 385,
          GigaFlops("v3", Masking::kCausal) * tokens_per_second / 1e3, 0.02);
  Compare("V3 TFLOPS a device, non-causal", Claim::kPrediction, 432,
          GigaFlops("v3", Masking::kNonCausal) * tokens_per_second / 1e3, 0.02);
}

TEST(ArchitectureTest, CacheBytes) {
  const auto bytes = [](const char* model, double bits = 16) {
    return CacheBytes(PublishedConfig(model), bits).value();
  };
  Compare("V3 cache bytes/token", Claim::kPrediction, 70272, bytes("v3"), 0);
  Compare("V2-Lite cache bytes/token", Claim::kPrediction, 31104, bytes("v2-lite"), 0);
  Compare("LLaMA-405B cache bytes/token", Claim::kPrediction, 516096, bytes("llama-3.1-405b"), 0);
  Compare("Qwen2.5-72B cache bytes/token", Claim::kPrediction, 327680, bytes("qwen2.5-72b"), 0);
  // DeepSeek-V2 report: deployed with 6 bits an element, against DeepSeek 67B in bf16.
  const double dense = bytes("deepseek-67b"), latent = bytes("v2", 6);
  fmt::print("  67B: 2 x 8 x 128 x 95 x 2 B = {}; V2: 576 x 60 x 6/8 B = {}\n", dense, latent);
  EXPECT_EQ(dense, 389120);
  EXPECT_EQ(latent, 25920);
  Compare("cache reduction of V2 against 67B", Claim::kPrediction, 0.933, 1 - latent / dense,
          0.001);
}

TEST(ArchitectureTest, AbsorbedAttentionReadsTheLatent) {
  const ModelConfig v3 = PublishedConfig("v3");
  // By hand: 2 x 128 x (128 + 64 + 128) and 2 x 128 x (512 + 64 + 512).
  EXPECT_EQ(AttentionFlopsPerKey(v3, AttentionForm::kExpanded).value(), 81920);
  EXPECT_EQ(AttentionFlopsPerKey(v3, AttentionForm::kAbsorbed).value(), 278528);
}

TEST(ArchitectureTest, VariantsOfAttention) {
  const ModelConfig v2 = PublishedConfig("v2");
  // DeepSeek-V2 report, Table 1: MHA caches 2 n_h d_h l, GQA 2 n_g d_h l; MLA is GQA of 2.25
  // groups.
  const double mha = CacheBytes(WithGroupedQueryAttention(v2, 128), 8).value();
  const double gqa = CacheBytes(WithGroupedQueryAttention(v2, 8), 8).value();
  EXPECT_EQ(mha, 2.0 * 128 * 128 * 60);
  EXPECT_EQ(gqa, 2.0 * 8 * 128 * 60);
  EXPECT_DOUBLE_EQ(CacheBytes(v2, 8).value() / (2 * 128 * 60), 2.25);
  // Experts stay.
  const Architecture variant = DescribeArchitecture(WithGroupedQueryAttention(v2, 8));
  EXPECT_EQ(variant.layers[5].routed_parameters,
            DescribeArchitecture(v2).layers[5].routed_parameters);
  EXPECT_THROW(WithGroupedQueryAttention(v2, 3), UsageError);
  EXPECT_THROW(WithGroupedQueryAttention(v2, 0), UsageError);
}

}  // namespace
}  // namespace fathom

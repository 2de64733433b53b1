// A model with FP8 weights against the original on the same values: tests/golden/model, see
// scripts/parity/README.md.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "backend/cpu/cpu_backend.h"
#include "backend/reference/reference_backend.h"
#include "formats/safetensors.h"
#include "infer/forward.h"
#include "infer/loaded_model.h"
#include "ops/test_tensors.h"

namespace fathom::test {
namespace {

class Fp8Golden : public testing::TestWithParam<bool> {
 protected:
  Fp8Golden()
      : directory_(std::filesystem::path(FATHOM_GOLDEN_DIR) / "model" / "deepseek_v3_fp8"),
        expected_(directory_ / "expected.safetensors"),
        run_(GetParam() ? CreateReferenceBackend() : CreateCpuBackend(), 2) {}

  void Compare(const Transformer& transformer, Precision precision) {
    Context& context = run_.context();
    for (int s = 0; s < 2; ++s) {
      ArenaScope scope(*context.workspace);
      const auto ids = expected_.Get(fmt::format("seq{}.input_ids", s)).span<int32_t>();
      const auto count = static_cast<int64_t>(ids.size());
      KvCache cache(transformer.config(), precision, CacheFormat::kAct, KvCache::Pages(count),
                    run_->allocator());
      std::vector<int32_t> rows(ids.size()), pages(static_cast<size_t>(cache.pages()));
      std::iota(rows.begin(), rows.end(), 0);
      std::iota(pages.begin(), pages.end(), 0);
      const Tensor h =
          ForwardRows(context, transformer, cache, ids, {{.count = count, .pages = pages}}, rows);
      const Tensor logits =
          context.workspace->New(precision.sum, Shape({count, transformer.config().vocab_size}));
      transformer.head().Logits(context, h, logits);
      const std::vector<double> ours = LoadAll(logits),
                                theirs = LoadAll(expected_.Get(fmt::format("seq{}.logits", s)));
      ASSERT_EQ(ours.size(), theirs.size());
      double largest = 0;
      for (size_t i = 0; i < ours.size(); ++i)
        largest = std::max(largest, std::abs(ours[i] - theirs[i]));
      EXPECT_LT(largest, 1e-4) << "sequence " << s;
    }
  }

  std::filesystem::path directory_;
  SafetensorsFile expected_;
  TestRun run_;
};

TEST_P(Fp8Golden, InferenceFromTheFilesGivesTheOriginalsLogits) {
  LoadedModel model(directory_, Precision::F32());
  model.Pack(run_.context(), {.pages = 1, .batch_tokens = 64, .logit_rows = 64});
  Compare(model.transformer(), Precision::F32());
}

TEST_P(Fp8Golden, MastersForTrainingGiveTheOriginalsLogits) {
  const ModelConfig config = ReadModelConfig(directory_);
  ParameterStore store(config, DType::kF32, HostAllocator());
  LoadMasters(directory_, config, store);
  Transformer transformer(config, Precision::F32(), store, run_->allocator());
  transformer.Pack(run_.context(), AttentionForm::kAbsorbed, /*training=*/false);
  Compare(transformer, Precision::F32());
}

INSTANTIATE_TEST_SUITE_P(Backends, Fp8Golden, testing::Bool(),
                         [](const auto& backend) { return backend.param ? "reference" : "cpu"; });

}  // namespace
}  // namespace fathom::test

// Models computed in the codes of their files.

#include <gtest/gtest.h>

#include <numeric>

#include "backend/cpu/cpu_backend.h"
#include "base/temporary_directory.h"
#include "formats/gguf_export.h"
#include "formats/model_directory.h"
#include "infer/forward.h"
#include "infer/loaded_model.h"
#include "model/tiny_model.h"
#include "text/bpe_trainer.h"

namespace fathom::test {
namespace {

class CodedModel : public testing::TestWithParam<BlockFormat> {
 protected:
  CodedModel() : run_(CreateCpuBackend(), 2) {
    config_ = TinyConfig();
    config_.vocab_size = 280;
    config_.hidden_size = 256;
    config_.intermediate_size = 512;
    config_.moe_intermediate_size = 256;
    config_.q_lora_rank = 256;
    config_.kv_lora_rank = 256;
    config_.qk_nope_head_dim = 32;
    config_.qk_rope_head_dim = 16;
    config_.v_head_dim = 64;
    config_.num_attention_heads = 4;
    config_.initializer_range = 0.05;
    config_.num_nextn_predict_layers = 0;
    ParameterStore store(config_, DType::kF32, HostAllocator());
    InitializeParameters(config_, 1, *run_.context().pool, store);
    SaveModel(directory_.path(), config_, store, DType::kBF16);
    const std::string_view text = "the cat sat on the mat";
    BpeTrainerOptions options;
    options.vocab_size = config_.vocab_size;
    TrainTokenizer(PreTokenizer::DeepSeekV3(), std::span(&text, 1), options, *run_.context().pool)
        .Save(directory_ / "tokenizer.json");
    const auto source = ModelSource::Open(directory_.path());
    ExportGguf(*source, file(), GetParam(), *run_.context().pool, [](uint64_t, uint64_t) {});
  }
  std::filesystem::path file() const { return directory_ / "m.gguf"; }

  // Logits of every token, in one batch or with a batch a token.
  TestTensor Logits(TestRun& run, const LoadedModel& model, int64_t chunk = 1000) {
    const int64_t count = 70;
    std::vector<int32_t> tokens(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) {
      tokens[static_cast<size_t>(i)] = static_cast<int32_t>(i * 37 % config_.vocab_size);
    }
    Context& context = run.context();
    std::vector<int32_t> pages(static_cast<size_t>(KvCache::Pages(count)));
    std::iota(pages.begin(), pages.end(), 0);
    KvCache cache(model.config(), model.precision(), CacheFormat::kAct, std::ssize(pages),
                  run->allocator());
    TestTensor logits(model.precision().sum, {count, config_.vocab_size});
    for (int64_t begin = 0; begin < count; begin += chunk) {
      const int64_t some = std::min(chunk, count - begin);
      ArenaScope scope(*context.workspace);
      std::vector<int32_t> rows(static_cast<size_t>(some));
      std::iota(rows.begin(), rows.end(), 0);
      const Tensor h = ForwardRows(
          context, model.transformer(), cache,
          std::span(tokens).subspan(static_cast<size_t>(begin), static_cast<size_t>(some)),
          {{.count = some, .first_position = begin, .pages = pages}}, rows);
      model.transformer().head().Logits(context, h, logits.Rows(begin, begin + some));
    }
    return logits;
  }

  TemporaryDirectory directory_;
  TestRun run_;
  ModelConfig config_;
};

TEST_P(CodedModel, LogitsAreThoseOfTheDecodedWeightsWithinTheTolerance) {
  LoadedModel coded(file()), decoded(file(), Precision::F32());
  coded.Pack(run_.context(), {.pages = 2, .batch_tokens = 128, .logit_rows = 128});
  decoded.Pack(run_.context(), {.pages = 2, .batch_tokens = 128, .logit_rows = 128});
  const TestTensor actual = Logits(run_, coded), expected = Logits(run_, decoded);
  // Rounded activations in every product; a token whose experts are nearly tied may choose others.
  int64_t close = 0;
  for (int64_t t = 0; t < actual.dim(0); ++t) {
    if (RelativeError(actual.Rows(t, t + 1), expected.Rows(t, t + 1)) < 0.05) ++close;
  }
  EXPECT_GE(close, actual.dim(0) * 9 / 10);
}

TEST_P(CodedModel, ATokenHasTheSameBitsInAnyChunk) {
  LoadedModel coded(file());
  coded.Pack(run_.context(), {.pages = 2, .batch_tokens = 128, .logit_rows = 128});
  const TestTensor whole = Logits(run_, coded);
  for (const int64_t chunk : {1, 7, 33}) ExpectSameBits(Logits(run_, coded, chunk), whole);
}

TEST_P(CodedModel, NoDecodedCopyIsHeld) {
  LoadedModel coded(file());
  coded.Pack(run_.context(), {.pages = 2, .batch_tokens = 128, .logit_rows = 128});
  uint64_t bytes = 0;
  for (const auto& parameter : coded.mapped().source().names()) {
    const StoredTensor* tensor = coded.mapped().source().Find(parameter);
    if (parameter != "model.embed_tokens.weight") bytes += tensor->bytes();
  }
  // Panels are filled up with lanes of zeros.
  EXPECT_LT(static_cast<double>(coded.transformer().packed_bytes()),
            1.15 * static_cast<double>(bytes));
}

INSTANTIATE_TEST_SUITE_P(Formats, CodedModel,
                         testing::Values(BlockFormat::kQ8_0, BlockFormat::kQ4K),
                         [](const auto& format) {
                           return format.param == BlockFormat::kQ8_0 ? "Q8_0" : "Q4_K";
                         });

}  // namespace
}  // namespace fathom::test

// Models computed in the codes of their files.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "backend/cpu/cpu_backend.h"
#include "base/random.h"
#include "base/temporary_directory.h"
#include "formats/gguf_export.h"
#include "formats/model_directory.h"
#include "infer/forward.h"
#include "infer/loaded_model.h"
#include "model/tiny_model.h"
#include "tensor/quantize.h"
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

// The error of rounding standard normal activations as products with these weights do, relative to
// them.
double RoundingError(DType weights) {
  RandomStream random(1);
  const int64_t count = ActivationBlock(weights);
  double errors = 0, squares = 0;
  for (int block = 0; block < 1000; ++block) {
    std::vector<float> x(static_cast<size_t>(count));
    for (float& value : x) value = static_cast<float>(random.NextNormal());
    float largest = 0;
    for (const float value : x) largest = std::max(largest, std::abs(value));
    const float scale = IntegerScale(largest);
    for (const float value : x) {
      const double error =
          static_cast<double>(scale) * RoundToInteger(value, scale) - static_cast<double>(value);
      errors += error * error;
      squares += static_cast<double>(value) * static_cast<double>(value);
    }
  }
  return std::sqrt(errors / squares);
}

double MedianError(const TestTensor& actual, const TestTensor& expected) {
  std::vector<double> errors;
  for (int64_t t = 0; t < actual.dim(0); ++t) {
    errors.push_back(RelativeError(actual.Rows(t, t + 1), expected.Rows(t, t + 1)));
  }
  std::nth_element(errors.begin(), errors.begin() + std::ssize(errors) / 2, errors.end());
  return errors[errors.size() / 2];
}

// What is lost to integers is what rounding each product's operand once must lose: errors of
// independent roundings add up by their squares, beside those of bf16 (which are measured, with the
// weights that the file was made of). Both ways: integers are used, and nothing else is wrong. The
// median does not see the few tokens that choose other experts.
TEST_P(CodedModel, TheErrorIsThatOfRoundingActivations) {
  const InferenceSize size{.pages = 2, .batch_tokens = 128, .logit_rows = 128};
  LoadedModel coded(file()), decoded(file(), Precision::F32());
  LoadedModel bf16(directory_.path()), f32(directory_.path(), Precision::F32());
  for (LoadedModel* model : {&coded, &decoded, &bf16, &f32}) model->Pack(run_.context(), size);
  const double of_bf16 = MedianError(Logits(run_, bf16), Logits(run_, f32));
  const double measured = MedianError(Logits(run_, coded), Logits(run_, decoded));
  // Query down, up; latent; output; gate and up; down: of each layer. And the head.
  const auto products = static_cast<double>(6 * config_.num_hidden_layers + 1);
  const double once = RoundingError(GetParam() == BlockFormat::kQ8_0 ? DType::kQ8_0 : DType::kQ4K);
  const double expected = std::sqrt(products * once * once + of_bf16 * of_bf16);
  EXPECT_GT(measured, 0.6 * expected);
  EXPECT_LT(measured, 1.6 * expected) << "rounding once: " << once << ", bf16: " << of_bf16;
  RecordProperty("measured", std::to_string(measured));
  RecordProperty("expected", std::to_string(expected));
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

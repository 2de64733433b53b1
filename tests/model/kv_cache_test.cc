// What a cache gives back of what was written to it.

#include "model/kv_cache.h"

#include <gtest/gtest.h>

#include "backend/cpu/cpu_backend.h"
#include "backend/reference/reference_backend.h"
#include "model/tiny_model.h"
#include "tensor/quantize.h"

namespace fathom::test {
namespace {

struct CacheCase {
  bool cpu;
  bool bf16;
  CacheFormat format;
};

class KvCacheTest : public testing::TestWithParam<CacheCase> {};

TEST_P(KvCacheTest, RowsComeBackFromPagesInAnyOrder) {
  TestRun run(GetParam().cpu ? CreateCpuBackend() : CreateReferenceBackend(), 2);
  Context& context = run.context();
  ModelConfig config = TinyConfig();
  config.kv_lora_rank = 130;  // a tile of 128 and a part of one
  config.qk_rope_head_dim = 6;
  const Precision precision = GetParam().bf16 ? Precision::BF16() : Precision::F32();
  KvCache cache(config, precision, GetParam().format, 6, HostAllocator());
  constexpr int64_t kTokens = 150, kFirst = 70, kLayer = 1;
  const std::vector<int32_t> pages = {4, 0, 3}, others = {5};
  TestTensor rows(precision.act, Shape({kTokens, config.latent_dim()}));
  RandomStream random(1);
  std::vector<double> values(static_cast<size_t>(rows.elements()));
  for (double& value : values) value = 3 * random.NextNormal();
  StoreAll(rows, values);
  values = LoadAll(rows);  // as act holds them
  // In two pieces, the second beside another sequence's.
  const std::vector<int32_t> ids(kTokens, 1);
  const auto write = [&](int64_t begin, int64_t end, bool beside) {
    std::vector<BatchSequence> sequences = {
        {.count = end - begin, .first_position = begin, .pages = pages}};
    TestTensor batch_rows(precision.act, Shape({end - begin + 1, config.latent_dim()}));
    context.backend->Cast(context, rows.Rows(begin, end), batch_rows.Rows(0, end - begin));
    if (beside) sequences.push_back({.begin = end - begin, .count = 1, .pages = others});
    const auto count = static_cast<size_t>(end - begin + (beside ? 1 : 0));
    const Batch batch =
        MakeBatch(context, *context.workspace, std::span(ids).first(count), sequences);
    cache.Write(context, kLayer, batch, batch_rows.Rows(0, batch.size));
  };
  ArenaScope scope(*context.workspace);
  write(0, kFirst, false);
  write(kFirst, kTokens, true);

  const Batch last = MakeBatch(context, *context.workspace, std::span(ids).first(1),
                               {{.count = 1, .first_position = kTokens - 1, .pages = pages}});
  const auto blocks = cache.Blocks(context, kLayer, last);
  ASSERT_EQ(blocks.size(), 1U);
  int64_t row = 0;
  const int64_t rank = config.kv_lora_rank;
  for (const KeyBlock& block : blocks[0]) {
    EXPECT_EQ(block.values.raw(), block.keys.raw());
    for (int64_t r = 0; r < block.keys.dim(0); ++r, ++row) {
      const std::vector<double> key = LoadAll(block.keys.Rows(r, r + 1).Select(0, 0).Select(0, 0));
      double largest[2] = {0, 0};
      for (int64_t j = 0; j < rank; ++j) {
        const double x = std::abs(values[static_cast<size_t>(row * config.latent_dim() + j)]);
        largest[j / kScaleTile] = std::max(largest[j / kScaleTile], x);
      }
      for (int64_t j = 0; j < config.latent_dim(); ++j) {
        const double x = values[static_cast<size_t>(row * config.latent_dim() + j)];
        const double y = key[static_cast<size_t>(j)];
        if (GetParam().format == CacheFormat::kAct) {
          ASSERT_EQ(y, x);
        } else if (j >= rank) {
          ASSERT_EQ(y, static_cast<float>(BF16(static_cast<float>(x))));
        } else {
          // Three bits of mantissa, subnormals below 2^-6 of scale: half a unit in the last place;
          // and what comes back is rounded to act.
          const double scale = largest[j / kScaleTile] / 448;
          const double unit = std::max(std::abs(x) / 16, scale / 1024);
          ASSERT_NEAR(y, x, unit + std::abs(x) / 256) << "row " << row << ", column " << j;
        }
      }
    }
  }
  EXPECT_EQ(row, kTokens);
}

INSTANTIATE_TEST_SUITE_P(Cases, KvCacheTest,
                         testing::Values(CacheCase{false, false, CacheFormat::kAct},
                                         CacheCase{true, true, CacheFormat::kAct},
                                         CacheCase{false, true, CacheFormat::kFp8Latent},
                                         CacheCase{true, false, CacheFormat::kFp8Latent},
                                         CacheCase{true, true, CacheFormat::kFp8Latent}),
                         [](const auto& one) {
                           return fmt::format("{}_{}_{}", one.param.cpu ? "cpu" : "reference",
                                              one.param.bf16 ? "bf16" : "f32",
                                              Name(one.param.format));
                         });

// A page that several sequences share is decoded once.
TEST(KvCache, ASharedPageIsDecodedOnce) {
  TestRun run(CreateCpuBackend(), 1);
  Context& context = run.context();
  KvCache cache(TinyConfig(), Precision::BF16(), CacheFormat::kFp8Latent, 3, HostAllocator());
  const std::vector<int32_t> ids = {1, 1}, first = {0, 1}, second = {0, 2};
  ArenaScope scope(*context.workspace);
  const Batch batch = MakeBatch(context, *context.workspace, ids,
                                {{.begin = 0, .count = 1, .first_position = 70, .pages = first},
                                 {.begin = 1, .count = 1, .first_position = 70, .pages = second}});
  const auto blocks = cache.Blocks(context, 0, batch);
  EXPECT_EQ(blocks[0][0].keys.raw(), blocks[1][0].keys.raw());
  EXPECT_NE(blocks[0][1].keys.raw(), blocks[1][1].keys.raw());
}

TEST(KvCache, Fp8IsForLatents) {
  EXPECT_THROW(KvCache(TinyQwen2(), Precision::BF16(), CacheFormat::kFp8Latent, 1, HostAllocator()),
               UsageError);
}

}  // namespace
}  // namespace fathom::test

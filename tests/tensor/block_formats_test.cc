#include "tensor/block_formats.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/file.h"

namespace fathom {
namespace {

// Made with the original implementations by scripts/parity/gguf_goldens.py.
const nlohmann::json& Golden() {
  static const auto golden =
      nlohmann::json::parse(ReadFile(FATHOM_GOLDEN_DIR "/formats/gguf_blocks.json"));
  return golden;
}

std::vector<std::byte> Bytes(const std::string& hex) {
  std::vector<std::byte> bytes;
  for (size_t i = 0; i < hex.size(); i += 2)
    bytes.push_back(static_cast<std::byte>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  return bytes;
}

std::vector<float> Floats(const std::string& hex) {
  const std::vector<std::byte> bytes = Bytes(hex);
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

uint32_t Bits(float x) { return std::bit_cast<uint32_t>(x); }

const std::vector<BlockFormat> kBlocks = {
    BlockFormat::kQ4_0, BlockFormat::kQ4_1, BlockFormat::kQ5_0, BlockFormat::kQ5_1,
    BlockFormat::kQ8_0, BlockFormat::kQ4K,  BlockFormat::kQ5K,  BlockFormat::kQ6K};

double RootMeanSquareError(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double difference = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    sum += difference * difference;
  }
  return std::sqrt(sum / static_cast<double>(a.size()));
}

std::vector<float> RoundTrip(BlockFormat format, const std::vector<float>& values) {
  const BlockLayout layout = LayoutOf(format);
  const auto count = static_cast<int64_t>(values.size());
  std::vector<std::byte> blocks(static_cast<size_t>(count / layout.elements * layout.bytes));
  EncodeBlocks(format, values.data(), count, blocks.data());
  std::vector<float> decoded(values.size());
  DecodeBlocks(format, blocks.data(), 0, count, decoded.data());
  return decoded;
}

TEST(BlockFormatsTest, BlocksMeanWhatTheOriginalSays) {
  for (const BlockFormat format : kBlocks) {
    const std::string name(LayoutOf(format).name);
    const std::vector<std::byte> blocks = Bytes(Golden()["decoded"][name]["blocks"]);
    const std::vector<float> expected = Floats(Golden()["decoded"][name]["values"]);
    std::vector<float> values(expected.size());
    DecodeBlocks(format, blocks.data(), 0, static_cast<int64_t>(values.size()), values.data());
    for (size_t i = 0; i < values.size(); ++i)
      ASSERT_EQ(Bits(values[i]), Bits(expected[i])) << name << " element " << i;
  }
}

TEST(BlockFormatsTest, AnyRangeOfElementsCanBeDecodedFromUnalignedBytes) {
  for (const BlockFormat format : kBlocks) {
    const std::string name(LayoutOf(format).name);
    std::vector<std::byte> blocks = Bytes(Golden()["decoded"][name]["blocks"]);
    blocks.insert(blocks.begin(), std::byte{0});
    const std::vector<float> expected = Floats(Golden()["decoded"][name]["values"]);
    for (const auto& [begin, count] :
         {std::pair<size_t, size_t>{0, 1}, {3, 29}, {31, 2}, {250, 262}, {255, 1}, {512, 0}}) {
      std::vector<float> values(count);
      DecodeBlocks(format, blocks.data() + 1, static_cast<int64_t>(begin),
                   static_cast<int64_t>(count), values.data());
      for (size_t i = 0; i < count; ++i)
        ASSERT_EQ(Bits(values[i]), Bits(expected[begin + i])) << name << " element " << begin + i;
    }
  }
}

TEST(BlockFormatsTest, Q8IsWrittenAsTheOriginalWritesIt) {
  const std::vector<float> values = Floats(Golden()["encoded"]["values"]);
  const std::vector<std::byte> expected = Bytes(Golden()["encoded"]["Q8_0"]);
  std::vector<std::byte> blocks(expected.size());
  EncodeBlocks(BlockFormat::kQ8_0, values.data(), static_cast<int64_t>(values.size()),
               blocks.data());
  EXPECT_EQ(blocks, expected);
}

TEST(BlockFormatsTest, Q4KAndQ6KLoseNoMoreThanTheOriginal) {
  const std::vector<float> values = Floats(Golden()["encoded"]["values"]);
  for (const BlockFormat format : {BlockFormat::kQ4K, BlockFormat::kQ6K}) {
    const double original = Golden()["encoded"][std::string(LayoutOf(format).name) + "_rmse"];
    EXPECT_LE(RootMeanSquareError(RoundTrip(format, values), values), 1.01 * original);
  }
}

TEST(BlockFormatsTest, ValuesOnAGridSurvive) {
  // Steps and minima that the formats can say: 0.5 q - 2 in each group of 32 (Q4_K), 0.25 q in each
  // group of 16 (Q6_K), 2 q (Q8_0; 254 / 127).
  std::vector<float> q4(256), q6(256), q8(32);
  for (int i = 0; i < 256; ++i) {
    q4[static_cast<size_t>(i)] = 0.5F * static_cast<float>(i % 16) - 2;
    q6[static_cast<size_t>(i)] = 0.25F * static_cast<float>(i % 16 == 0 ? -32 : i % 32);
  }
  for (int i = 0; i < 32; ++i) q8[static_cast<size_t>(i)] = 2 * static_cast<float>(127 - 8 * i);
  EXPECT_LT(RootMeanSquareError(RoundTrip(BlockFormat::kQ4K, q4), q4), 5e-3);
  EXPECT_LT(RootMeanSquareError(RoundTrip(BlockFormat::kQ6K, q6), q6), 1e-3);
  EXPECT_EQ(RoundTrip(BlockFormat::kQ8_0, q8), q8);
}

TEST(BlockFormatsTest, ZerosConstantsAndTinyValues) {
  for (const BlockFormat format : {BlockFormat::kQ8_0, BlockFormat::kQ4K, BlockFormat::kQ6K}) {
    EXPECT_EQ(RoundTrip(format, std::vector<float>(256)), std::vector<float>(256));
    for (const float value : {1.0F, -1.0F, 1000.0F, 1e-3F}) {
      const std::vector<float> values(256, value);
      EXPECT_LT(RootMeanSquareError(RoundTrip(format, values), values), 0.01 * std::fabs(value))
          << LayoutOf(format).name << " of " << value;
    }
    // Below what half precision can say: zero, and nothing worse.
    for (const float value : {1e-12F, 1e-42F}) {
      for (const float decoded : RoundTrip(format, std::vector<float>(256, value)))
        EXPECT_LE(std::fabs(decoded), 1e-6F);
    }
  }
}

TEST(BlockFormatsTest, TypesAreKnownByNumberAndName) {
  EXPECT_EQ(BlockFormatOf(12), BlockFormat::kQ4K);
  EXPECT_EQ(BlockFormatOf(30), BlockFormat::kBF16);
  EXPECT_EQ(BlockFormatOf(10), std::nullopt);
  EXPECT_EQ(BlockTypeName(10), "Q2_K");
  EXPECT_EQ(BlockTypeName(4711), "unknown");
}

}  // namespace
}  // namespace fathom

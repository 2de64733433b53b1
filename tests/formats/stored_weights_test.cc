// Weights in the types that checkpoints have, as a model directory presents them.

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/temporary_directory.h"
#include "formats/checkpoint_files.h"
#include "formats/model_source.h"
#include "model/config.h"
#include "tensor/float16.h"
#include "tensor/float8.h"

namespace fathom::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

const ordered_json kQuantization = {{"activation_scheme", "dynamic"},
                                    {"fmt", "e4m3"},
                                    {"quant_method", "fp8"},
                                    {"weight_block_size", {128, 128}}};

// A directory with a valid configuration and whatever tensors a test puts there.
class StoredWeights : public testing::Test {
 protected:
  std::unique_ptr<ModelSource> Open(const std::vector<RawTensor>& tensors,
                                    const ordered_json& quantization = kQuantization) {
    ModelConfig config;
    config.num_nextn_predict_layers = 0;
    ordered_json json = ordered_json::parse(config.ToJson("bfloat16"));
    if (!quantization.is_null()) json["quantization_config"] = quantization;
    WriteText(directory_ / "config.json", json.dump());
    WriteRaw(directory_ / "model.safetensors", tensors);
    return ModelSource::Open(directory_.path());
  }

  TemporaryDirectory directory_;
};

// Rows [begin, end) in f32.
std::vector<float> ReadF32(const StoredTensor& tensor, int64_t begin, int64_t end) {
  const int64_t columns = tensor.shape().rank() == 1 ? 1 : tensor.shape()[1];
  std::vector<float> values(static_cast<size_t>((end - begin) * columns));
  const Shape shape =
      tensor.shape().rank() == 1 ? Shape({end - begin}) : Shape({end - begin, columns});
  tensor.Read(begin, Tensor(values.data(), DType::kF32, shape));
  return values;
}

TEST_F(StoredWeights, Fp8BlocksAreCodesTimesScalesWithRaggedEdges) {
  constexpr int64_t kRows = 130, kColumns = 257;  // 2 x 3 blocks, the last 2 rows and 1 column
  std::vector<uint8_t> codes(kRows * kColumns);
  for (size_t i = 0; i < codes.size(); ++i) {
    codes[i] = static_cast<uint8_t>(i * 89 % 256);
    if ((codes[i] & 0x7f) == 0x7f) codes[i] = 0x7e;  // no NaN: values are compared
  }
  const std::vector<float> scales = {1, 0.5F, 3e-4F, 7, 0.1F, 1.0F / 3};
  const auto source = Open({MakeRaw("m.weight", "F8_E4M3", {kRows, kColumns}, codes),
                            MakeRaw("m.weight_scale_inv", "F32", {2, 3}, scales)});
  EXPECT_EQ(source->names(), std::vector<std::string>{"m.weight"});
  const StoredTensor& tensor = *source->Find("m.weight");
  EXPECT_EQ(tensor.type(), "F8_E4M3");
  EXPECT_EQ(tensor.shape(), Shape({kRows, kColumns}));
  EXPECT_EQ(tensor.bytes(), static_cast<uint64_t>(kRows * kColumns + 6 * 4));
  EXPECT_TRUE(tensor.View().empty());
  EXPECT_EQ(source->Find("m.weight_scale_inv"), nullptr);

  const auto expected = [&](int64_t row, int64_t column) {
    E4M3 code;
    code.bits = codes[static_cast<size_t>(row * kColumns + column)];
    return static_cast<float>(code) * scales[static_cast<size_t>(row / 128 * 3 + column / 128)];
  };
  for (const auto& [begin, end] : {std::pair<int64_t, int64_t>{0, kRows}, {127, 129}, {129, 130}}) {
    const auto count = static_cast<size_t>((end - begin) * kColumns);
    std::vector<BF16> bf16(count);
    std::vector<double> f64(count);
    const Shape shape({end - begin, kColumns});
    tensor.Read(begin, Tensor(bf16.data(), DType::kBF16, shape));
    tensor.Read(begin, Tensor(f64.data(), DType::kF64, shape));
    const std::vector<float> f32 = ReadF32(tensor, begin, end);
    for (size_t i = 0; i < count; ++i) {
      const float value =
          expected(begin + static_cast<int64_t>(i) / kColumns, static_cast<int64_t>(i) % kColumns);
      ASSERT_EQ(f32[i], value) << i;
      ASSERT_EQ(f64[i], static_cast<double>(value)) << i;
      ASSERT_EQ(bf16[i].bits, BF16(value).bits) << i;
    }
  }
}

TEST_F(StoredWeights, HalfPrecisionIsDecoded) {
  const std::vector<F16> values = {F16(1.5F), F16(-65504.0F), F16(0x1p-24F), F16(0.1F)};
  const auto source = Open({MakeRaw("v.weight", "F16", {2, 2}, values)});
  const StoredTensor& tensor = *source->Find("v.weight");
  EXPECT_EQ(tensor.type(), "F16");
  EXPECT_TRUE(tensor.View().empty());
  EXPECT_EQ(ReadF32(tensor, 0, 2),
            (std::vector<float>{1.5F, -65504, 0x1p-24F, static_cast<float>(F16(0.1F))}));
  EXPECT_EQ(ReadF32(tensor, 1, 2)[0], 0x1p-24F);
}

// A header whose length is odd, as old writers left it: no tensor is aligned.
TEST_F(StoredWeights, UnalignedTensorsAreRead) {
  Open({});
  std::vector<float> f32;
  std::vector<BF16> bf16;
  std::vector<F16> f16;
  for (int i = 0; i < 3000; ++i) {
    f32.push_back(static_cast<float>(i) * 0.7F);
    bf16.emplace_back(f32.back());
    f16.emplace_back(f32.back());
  }
  std::string header = R"({"a":{"dtype":"F32","shape":[2,1500],"data_offsets":[0,12000]},)"
                       R"("b":{"dtype":"BF16","shape":[3000],"data_offsets":[12000,18000]},)"
                       R"("c":{"dtype":"F16","shape":[3000],"data_offsets":[18000,24000]}})";
  if (header.size() % 2 == 0) header += ' ';
  const uint64_t length = header.size();
  std::string file(8, '\0');
  std::memcpy(file.data(), &length, 8);
  file += header + MakeRaw("", "F32", {}, f32).bytes + MakeRaw("", "BF16", {}, bf16).bytes +
          MakeRaw("", "F16", {}, f16).bytes;
  WriteText(directory_ / "model.safetensors", file);
  const auto source = ModelSource::Open(directory_.path());
  EXPECT_EQ(ReadF32(*source->Find("a"), 0, 2), f32);
  EXPECT_EQ(ReadF32(*source->Find("a"), 1, 2), std::vector<float>(f32.begin() + 1500, f32.end()));
  const std::vector<float> b = ReadF32(*source->Find("b"), 1, 3000);
  const std::vector<float> c = ReadF32(*source->Find("c"), 1, 3000);
  for (size_t i = 1; i < 3000; ++i) {
    EXPECT_EQ(b[i - 1], static_cast<float>(bf16[i]));
    EXPECT_EQ(c[i - 1], static_cast<float>(f16[i]));
  }
  EXPECT_TRUE(source->Find("a")->View().empty());
}

TEST_F(StoredWeights, CodesAndScalesThatDoNotBelongTogetherAreNamed) {
  const std::vector<uint8_t> codes(130 * 2);
  const RawTensor weight = MakeRaw("m.weight", "F8_E4M3", {130, 2}, codes);
  const RawTensor scale = MakeRaw("m.weight_scale_inv", "F32", {2, 1}, std::vector<float>{1, 1});
  EXPECT_NO_THROW(Open({weight, scale}));
  EXPECT_ERROR(Open({weight}), "m.weight: is F8_E4M3, but 'm.weight_scale_inv' is not there");
  EXPECT_ERROR(Open({scale}), "m.weight_scale_inv: is there without 'm.weight'");
  EXPECT_ERROR(Open({MakeRaw("m.weight", "BF16", {130, 1}, codes), scale}),
               "m.weight_scale_inv: is there, but 'm.weight' is BF16");
  EXPECT_ERROR(
      Open({weight, MakeRaw("m.weight_scale_inv", "F32", {1, 2}, std::vector<float>{1, 1})}),
      "m.weight_scale_inv: has shape [1, 2], but [130, 2] of codes in blocks of 128 x 128 "
      "have scales [2, 1]");
  EXPECT_ERROR(
      Open({weight, MakeRaw("m.weight_scale_inv", "BF16", {2, 1}, std::vector<uint16_t>{1, 1})}),
      "m.weight_scale_inv: scales of type BF16 are not supported");
  EXPECT_ERROR(Open({MakeRaw("m.weight", "F8_E4M3", {260}, codes), scale}), "only matrices");
  EXPECT_ERROR(Open({weight, MakeRaw("m.weight_scale", "F32", {}, std::vector<float>{1})}),
               "scales of whole tensors are not supported");
  EXPECT_ERROR(Open({weight, scale}, nullptr), "config.json has no quantization_config");
}

TEST_F(StoredWeights, OtherQuantizationIsAnErrorThatNamesTheField) {
  const auto with = [](const char* key, const ordered_json& value) {
    ordered_json quantization = kQuantization;
    if (value.is_null()) {
      quantization.erase(key);
    } else {
      quantization[key] = value;
    }
    return quantization;
  };
  EXPECT_ERROR(Open({}, with("quant_method", "gptq")), "quant_method 'gptq'");
  EXPECT_ERROR(Open({}, with("quant_method", nullptr)), "'quant_method' is missing");
  EXPECT_ERROR(Open({}, with("fmt", "e5m2")), "'e5m2' is not supported");
  EXPECT_ERROR(Open({}, with("activation_scheme", "static")), "'static' is not supported");
  EXPECT_ERROR(Open({}, with("weight_block_size", {64, 128})), "weight_block_size");
  EXPECT_ERROR(Open({}, with("weight_block_size", {128})), "weight_block_size");
  EXPECT_ERROR(Open({}, with("weight_block_size", nullptr)), "weight_block_size");
}

TEST_F(StoredWeights, WhatIsNoWeightIsAnErrorThatNamesIt) {
  EXPECT_ERROR(Open({MakeRaw("ids", "I64", {1}, std::vector<int64_t>{1})}),
               "ids: weights of type I64 are not supported");
  EXPECT_ERROR(Open({MakeRaw("w", "F8_E5M2", {1}, std::vector<uint8_t>{1})}), "w: weights of type");
  EXPECT_ERROR(Open({MakeRaw("w", "F32", {1, 1, 1, 1, 1}, std::vector<float>{1})}),
               "w: has 5 dimensions");
  EXPECT_ERROR(Open({MakeRaw("w", "F32", {}, std::vector<float>{1})}), "w: is one number");
}

}  // namespace
}  // namespace fathom::test

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/error.h"
#include "plan/comparison.h"
#include "plan/hardware.h"
#include "plan/prices.h"

namespace fathom {
namespace {

class DataTest : public testing::Test {
 protected:
  std::filesystem::path Write(const std::string& text) {
    const auto path = std::filesystem::path(testing::TempDir()) / "plan_data_test.toml";
    std::ofstream(path) << text;
    return path;
  }
  std::string HardwareError(const std::string& text) {
    try {
      Hardware::Load(Write(text));
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }
};

TEST_F(DataTest, BuiltInDevices) {
  const Hardware hardware = Hardware::Load();
  for (const char* key :
       {"h800", "h100", "h200", "h20", "a100", "b200", "ascend-910b", "ascend-910c"}) {
    const Accelerator& device = hardware.Get(key);
    EXPECT_FALSE(device.hbm_gb.source.empty()) << key;
    EXPECT_FALSE(device.hbm_gb.date.empty()) << key;
  }
  EXPECT_DOUBLE_EQ(hardware.Get("h800").Peak(PlanPrecision::kFp8).value(), 1979e12);
  EXPECT_DOUBLE_EQ(hardware.Get("h20").Peak(PlanPrecision::kBf16).value(), 148e12);
  // No FP8 on A100: INT8 in its place.
  EXPECT_DOUBLE_EQ(hardware.Get("a100").Peak(PlanPrecision::kFp8).value(), 624e12);
  // Sources that disagree give a range.
  EXPECT_LT(hardware.Get("ascend-910b").hbm_gb_per_s.low,
            hardware.Get("ascend-910b").hbm_gb_per_s.high);
}

TEST_F(DataTest, UserFileOverrides) {
  const Hardware hardware =
      Hardware::Load(Write("[device.h800]\nwatts = { low = 500, likely = 600, high = 700, source = "
                           "'us', date = '2026-01-02' }\n"));
  EXPECT_EQ(hardware.Get("h800").watts.likely, 600);
  EXPECT_EQ(hardware.Get("h800").hbm_gb.likely, 80);
}

TEST_F(DataTest, ErrorsNameFileKeyAndNearest) {
  const auto expect = [](const std::string& message, const std::vector<std::string>& parts) {
    for (const std::string& part : parts) {
      EXPECT_NE(message.find(part), std::string::npos) << message << "\nlacks: " << part;
    }
  };
  expect(HardwareError("[device.h800]\nwats = { value = 1, source = 's', date = '2026' }\n"),
         {"plan_data_test.toml: device.h800.wats", "not a known key", "device.h800.watts"});
  expect(HardwareError("[device.h800]\nwatts = { value = -1, source = 's', date = '2026' }\n"),
         {"device.h800.watts.value", "out of range"});
  expect(HardwareError("[device.h800]\nwatts = { value = 1, date = '2026' }\n"),
         {"device.h800.watts.source", "missing"});
  expect(HardwareError("[device.h800]\nwatts = { value = 1, source = 's', date = 'soon' }\n"),
         {"device.h800.watts.date", "not a date"});
  expect(HardwareError("[device.h800]\nwatts = { low = 3, likely = 2, high = 4, source = 's', date "
                       "= '2026' }\n"),
         {"device.h800.watts.likely", "not between"});
  expect(HardwareError("[device.new]\nwatts = { value = 1, source = 's', date = '2026' }\n"),
         {"device.new.bf16_tflops", "missing"});
  expect(HardwareError("[device.h800\n"), {"plan_data_test.toml:1", "not valid TOML"});
  try {
    Hardware::Load().Get("h80");
    FAIL();
  } catch (const UsageError& error) {
    expect(error.what(), {"'h80' is not known", "did you mean"});
  }
}

// FACTS: dollars a million tokens, cache hit / miss / output.
TEST_F(DataTest, PriceTables) {
  const Prices prices = Prices::Load();
  struct Row {
    const char* key;
    double hit, miss, output;
  };
  for (const Row& row :
       {Row{"deepseek-v3", 0.07, 0.27, 1.10}, Row{"deepseek-r1", 0.14, 0.55, 2.19},
        Row{"deepseek-v3.2", 0.028, 0.28, 0.42}, Row{"deepseek-v4-flash", 0.0028, 0.14, 0.28},
        Row{"deepseek-v4-pro", 0.003625, 0.435, 0.87},
        Row{"deepseek-v4.1-flash", 0.003, 0.15, 0.60},
        Row{"deepseek-v4-pro-autumn", 0.022, 0.66, 1.98}}) {
    const ApiPrice& price = prices.Api(row.key);
    EXPECT_EQ(price.hit->likely, row.hit) << row.key;
    EXPECT_EQ(price.miss.likely, row.miss) << row.key;
    EXPECT_EQ(price.output.likely, row.output) << row.key;
  }
  EXPECT_THROW(prices.Api("deepseek-r2"), UsageError);
}

// DeepGEMM's README: shares of 1979 TFLOPS. Twice the speed is twice the share.
TEST_F(DataTest, GemmShares) {
  Kernels kernels = Hardware::Load().kernels;
  EXPECT_DOUBLE_EQ(kernels.GemmShare(7168, 16384, false), 1358.0 / 1979);
  EXPECT_DOUBLE_EQ(kernels.GemmShare(4096, 7168, true), 1297.0 / 1979);
  // A shape nobody measured takes the nearest.
  EXPECT_DOUBLE_EQ(kernels.GemmShare(7000, 15000, false), 1358.0 / 1979);
  kernels.gemm_speed.likely = 0.5;
  EXPECT_DOUBLE_EQ(kernels.GemmShare(7168, 16384, false), 0.5 * 1358.0 / 1979);
}

// DeepEP's README: 155 + 273 us for 32 devices, 173 + 314 for 64; by hand, halfway between the two
// by the logarithm for 45.25 of them; smaller and larger groups than were measured take the last.
TEST_F(DataTest, LowLatencyExchange) {
  const Kernels kernels = Hardware::Load().kernels;
  EXPECT_NEAR(kernels.LowLatencyOf(32).dispatch.value(), 155e-6, 1e-12);
  EXPECT_NEAR(kernels.LowLatencyOf(std::sqrt(32.0 * 64)).dispatch.value(), 164e-6, 1e-12);
  EXPECT_NEAR(kernels.LowLatencyOf(std::sqrt(32.0 * 64)).combine.value(), 293.5e-6, 1e-12);
  EXPECT_NEAR(kernels.LowLatencyOf(2).combine.value(), 114e-6, 1e-12);
  EXPECT_NEAR(kernels.LowLatencyOf(4000).combine.value(), 360e-6, 1e-12);
}

TEST_F(DataTest, UserFileOverridesKernels) {
  const std::string number = "{ value = 100, source = 'ours', date = '2026' }\n";
  const Kernels kernels = Hardware::Load(Write("[kernels]\nattention_tflops = " + number)).kernels;
  EXPECT_DOUBLE_EQ(kernels.attention_compute(), 100.0 / 989);
  EXPECT_DOUBLE_EQ(kernels.GemmShare(7168, 16384, false), 1358.0 / 1979);
  const std::string gemm = "[[kernels.gemm]]\nn = 4096\nk = 4096\ntflops = " + number;
  EXPECT_DOUBLE_EQ(Hardware::Load(Write(gemm)).kernels.GemmShare(7168, 16384, false), 100.0 / 1979);
  // Another device's shares are of all numbers or of none.
  EXPECT_NE(HardwareError("[kernels]\nmeasured_on = 'h20'\n" + gemm).find("low_latency"),
            std::string::npos);
  EXPECT_NE(HardwareError("[kernels]\ncommunication_processors = { value = 132, source = 's', "
                          "date = '2026' }\n")
                .find("communication_processors"),
            std::string::npos);
}

}  // namespace
}  // namespace fathom

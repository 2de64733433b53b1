#include "serve/runs/series.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <string>

#include "serve/runs/load_history.h"

namespace fathom {
namespace {

using nlohmann::json;

template <typename T>
json Json(const T& series, size_t from = 0) {
  std::string text;
  series.AppendJson(from, text);
  return json::parse(text);
}

TEST(Series, HasEveryLineOfAShortRun) {
  Series series;
  for (int i = 1; i <= 3; ++i) {
    EXPECT_FALSE(series.Add({.step = i * 1., .tokens = i * 100., .time = 1e9 + i},
                            {{"loss", 5 - i}, {"lr", 0.1}}));
  }
  const json all = Json(series);
  EXPECT_EQ(all["stride"], 1);
  EXPECT_EQ(all["step"], (json{1, 2, 3}));
  EXPECT_EQ(all["tokens"], (json{100, 200, 300}));
  EXPECT_EQ(all["time"], (json{1000000001., 1000000002., 1000000003.}));
  EXPECT_EQ(all["values"]["loss"]["mean"], (json{4, 3, 2}));
  EXPECT_FALSE(all["values"]["loss"].contains("low"));
  const json news = Json(series, 2);
  EXPECT_EQ(news["from"], 2);
  EXPECT_EQ(news["step"], json::array({3}));
  EXPECT_EQ(news["values"]["lr"]["mean"], json::array({0.1}));
  EXPECT_EQ(Json(series, 99)["step"], json::array());
}

TEST(Series, WhatIsMissingOrNoNumberIsNull) {
  Series series;
  series.Add({.step = 1}, {{"loss", std::numeric_limits<double>::quiet_NaN()}, {"a", 1}});
  series.Add({.step = 2}, {{"loss", 2}});
  series.Add({.step = 3}, {{"loss", std::numeric_limits<double>::infinity()}, {"b", 1e308}});
  series.Add({.step = 4}, {{"a", 7}});
  const json values = Json(series)["values"];
  EXPECT_EQ(values["loss"]["mean"], (json{nullptr, 2, nullptr, nullptr}));
  EXPECT_EQ(values["a"]["mean"], (json{1, nullptr, nullptr, 7}));
}

// A million steps are as large as a few thousand, and nothing between them is lost to the eye.
TEST(Series, ALongRunIsShownByMeansAndExtremes) {
  Series series;
  constexpr int kSteps = 1'000'000, kPeak = 345'678;
  int thinned = 0;
  for (int i = 1; i <= kSteps; ++i) {
    thinned += series.Add({.step = i * 1., .tokens = i * 2., .time = 1e9},
                          {{"loss", i == kPeak ? 1e6 : i % 2}});
  }
  EXPECT_EQ(thinned, 8);
  EXPECT_EQ(series.stride(), 256u);
  EXPECT_LE(series.buckets(), Series::kMostBuckets);
  EXPECT_GT(series.buckets(), Series::kMostBuckets / 2 - 1);
  const json all = Json(series);
  const json& loss = all["values"]["loss"];
  EXPECT_LT(all.dump().size(), 200'000u);
  EXPECT_EQ(all["step"].back(), kSteps);
  for (size_t i = 0; i < all["step"].size(); ++i) {
    const bool has_peak = i == (kPeak - 1) / 256;
    EXPECT_EQ(loss["low"][i], 0) << i;
    EXPECT_EQ(loss["high"][i], has_peak ? 1e6 : 1) << i;
    if (!has_peak) {
      EXPECT_EQ(loss["mean"][i], 0.5) << i;
    }
  }
}

TEST(Series, HasNotMoreNamesThanItShould) {
  Series series;
  for (int i = 0; i < 1000; ++i) series.Add({.step = i * 1.}, {{std::to_string(i), 1}});
  EXPECT_EQ(Json(series)["values"].size(), Series::kMostNames);
  Series odd;
  odd.Add({.step = 1}, {{"\"</script>\n", 1}});
  EXPECT_TRUE(Json(odd)["values"].contains("\"</script>\n"));
}

TEST(LoadHistory, KeepsEveryEntryOfAUsualRun) {
  LoadHistory loads;
  for (int step = 1; step <= 3; ++step) EXPECT_FALSE(loads.Add(step, {{0.5, 1.5}, {1, 1}}));
  const json news = Json(loads, 1);
  EXPECT_EQ(news["from"], 1);
  EXPECT_EQ(news["step"], (json{2, 3}));
  EXPECT_EQ(news["load"][1], (json{{0.5, 1.5}, {1, 1}}));
}

TEST(LoadHistory, IsThinnedOutWhereItWouldBeLarge) {
  LoadHistory loads;
  const std::vector<std::vector<float>> load(64, std::vector<float>(256, 1));
  int thinned = 0;
  for (int step = 1; step <= 1000; ++step) {
    thinned += loads.Add(step, load);
    EXPECT_LE(loads.entries() * 64 * 256, LoadHistory::kMostShares);
  }
  EXPECT_GE(thinned, 3);
  const json all = Json(loads);
  EXPECT_EQ(all["step"].front(), 1);
  EXPECT_EQ(all["step"].back(), 1000);
  // Another model begins anew.
  EXPECT_TRUE(loads.Add(1001, {{1, 1}}));
  EXPECT_EQ(loads.entries(), 1u);
}

}  // namespace
}  // namespace fathom

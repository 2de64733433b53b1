#include "train/expert_load.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace fathom::test {
namespace {

using nlohmann::ordered_json;

TEST(MaxViolation, IsTheBusiestExpertsExcessOverTheMean) {
  EXPECT_DOUBLE_EQ(MaxViolation({5, 5, 5, 5}), 0);
  EXPECT_DOUBLE_EQ(MaxViolation({6, 2, 4, 4}), 0.5);
  EXPECT_DOUBLE_EQ(MaxViolation({8, 0, 0, 0}), 3);
  EXPECT_DOUBLE_EQ(MaxViolation({0, 0}), 0);
}

// The steps of a run in which the loads are written.
std::vector<int64_t> Logged(int64_t steps, int64_t entries) {
  std::vector<int64_t> logged;
  for (int64_t step = 1; step <= steps; ++step) {
    ordered_json line;
    LogExpertLoad({{{}, {1, 3}}}, step, steps, entries, line);
    EXPECT_EQ(line.at("max_violation"), 0.5);
    if (line.contains("expert_load")) logged.push_back(step);
  }
  return logged;
}

TEST(LogExpertLoad, WritesAsManyEntriesAsItIsToldTo) {
  EXPECT_EQ(Logged(10, 5), (std::vector<int64_t>{1, 2, 4, 6, 8, 10}));
  EXPECT_EQ(Logged(3, 200), (std::vector<int64_t>{1, 2, 3}));
  EXPECT_EQ(Logged(10, 0), std::vector<int64_t>{});
  EXPECT_EQ(Logged(10, 1), (std::vector<int64_t>{1, 10}));
  EXPECT_LE(Logged(100'003, 200).size(), 201);
}

TEST(LogExpertLoad, IsRelativeToTheMean) {
  ordered_json line;
  LogExpertLoad({{{}, {10, 20, 30, 40}, {0, 0, 0, 0}, {1, 0, 0, 2}}}, 1, 1, 1, line);
  EXPECT_EQ(line.at("expert_load"),
            (ordered_json{{0.4, 0.8, 1.2, 1.6}, {0., 0., 0., 0.}, {1.33, 0., 0., 2.67}}));
  ordered_json dense;
  LogExpertLoad({{{}, {}}}, 1, 1, 1, dense);
  EXPECT_TRUE(dense.empty());
}

TEST(AddLoad, SumsLayerByLayer) {
  ExpertLoad load;
  AddLoad({{{}, {1, 2}, {3, 4}}}, load);
  AddLoad({{{}, {10, 20}, {30, 40}}}, load);
  AddLoad({}, load);
  EXPECT_EQ(load.tokens, (std::vector<std::vector<int64_t>>{{}, {11, 22}, {33, 44}}));
}

}  // namespace
}  // namespace fathom::test

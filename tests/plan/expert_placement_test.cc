#include "plan/expert_placement.h"

#include <gtest/gtest.h>

#include <fstream>
#include <numeric>
#include <set>

#include "base/error.h"

namespace fathom {
namespace {

double Most(const ExpertPlacement& placement) {
  return *std::max_element(placement.device_load.begin(), placement.device_load.end());
}

// Two devices of three slots for four experts: 8 gets a replica (4 + 4), then 4 | 4 is the heaviest
// and the first of them, 8's, a third (8/3 each). Greedy packing of 4 (expert 1), 8/3 x 3, 2, 1
// puts 4 + 8/3 + 1 and 8/3 + 8/3 + 2.
TEST(ExpertPlacementTest, ByHand) {
  const ExpertPlacement placement =
      PlaceExperts({8, 4, 2, 1}, {.devices = 2, .servers = 1, .groups = 1, .slots = 3});
  EXPECT_EQ(placement.replicas, (std::vector<int>{3, 1, 1, 1}));
  EXPECT_NEAR(placement.device_load[0] + placement.device_load[1], 15, 1e-12);
  EXPECT_NEAR(Most(placement), 4 + 8.0 / 3 + 1, 1e-12);
  // Without redundancy: 8 alone with 1, and 4 with 2.
  const ExpertPlacement plain =
      PlaceWithoutRedundancy({8, 4, 2, 1}, {.devices = 2, .servers = 1, .groups = 1, .slots = 3});
  EXPECT_EQ(Most(plain), 9);
  EXPECT_NEAR(plain.balance(), 7.5 / 9, 1e-12);
}

// Hierarchical, two servers of two devices, four groups of two experts: the heaviest group (10) and
// the lightest (2) share a server, the middle ones (7, 5) the other.
TEST(ExpertPlacementTest, GroupsStayWithinAServer) {
  const ExpertPlacement placement =
      PlaceExperts({6, 4, 1, 1, 4, 3, 3, 2}, {.devices = 4, .servers = 2, .groups = 4, .slots = 3});
  std::set<int> first, second;
  for (const size_t device : {0, 1}) {
    for (const int expert : placement.experts[device]) first.insert(expert / 2);
    for (const int expert : placement.experts[device + 2]) second.insert(expert / 2);
  }
  EXPECT_EQ(first, (std::set<int>{0, 1}));
  EXPECT_EQ(second, (std::set<int>{2, 3}));
  EXPECT_NEAR(placement.device_load[0] + placement.device_load[1], 12, 1e-12);
}

TEST(ExpertPlacementTest, Invariants) {
  for (const double exponent : {0.0, 0.5, 1.0, 2.0}) {
    for (const PlacementShape shape :
         {PlacementShape{32, 4, 8, 9}, {144, 1, 1, 2}, {16, 2, 8, 16}, {7, 1, 1, 40}}) {
      for (const uint64_t seed : {1, 2, 3}) {
        const std::vector<double> loads = ZipfLoads(256, exponent, seed);
        const ExpertPlacement placement = PlaceExperts(loads, shape);
        std::vector<int> seen(256, 0);
        for (const std::vector<int>& device : placement.experts) {
          EXPECT_LE(device.size(), static_cast<size_t>(shape.slots));
          for (const int expert : device) ++seen[static_cast<size_t>(expert)];
        }
        EXPECT_EQ(seen, placement.replicas);  // every expert, as often as its load is split
        EXPECT_EQ(std::count(seen.begin(), seen.end(), 0), 0);
        // Loads of devices are those of their replicas.
        for (size_t d = 0; d < placement.experts.size(); ++d) {
          double load = 0;
          for (const int expert : placement.experts[d]) {
            load += loads[static_cast<size_t>(expert)] / seen[static_cast<size_t>(expert)];
          }
          EXPECT_NEAR(load, placement.device_load[d], 1e-12);
        }
        EXPECT_LE(Most(placement), Most(PlaceWithoutRedundancy(loads, shape)) + 1e-12);
        EXPECT_LE(placement.balance(), 1 + 1e-12);
      }
    }
  }
}

TEST(ExpertPlacementTest, Errors) {
  EXPECT_THROW(PlaceExperts({1, 2, 3}, {.devices = 2, .servers = 1, .slots = 1}), UsageError);
  EXPECT_THROW(PlaceExperts({1, 2}, {.devices = 3, .servers = 2, .slots = 1}), UsageError);
  EXPECT_THROW(PlaceExperts({1, -2}, {.devices = 1, .slots = 2}), UsageError);
  EXPECT_THROW(PlaceExperts({1, 2}, {.devices = 0, .slots = 2}), UsageError);
  const auto path = std::filesystem::path(testing::TempDir()) / "plan_loads.txt";
  std::ofstream(path) << "1, 2\n3 4e0";
  EXPECT_EQ(ReadLoads(path, 4), (std::vector<double>{1, 2, 3, 4}));
  EXPECT_THROW(ReadLoads(path, 5), Error);
  std::ofstream(path) << "1 two";
  EXPECT_THROW(ReadLoads(path, 2), Error);
  std::ofstream(path) << "1 nan";
  EXPECT_THROW(ReadLoads(path, 2), Error);
}

}  // namespace
}  // namespace fathom

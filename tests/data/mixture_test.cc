#include "data/mixture.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "base/temporary_directory.h"

namespace fathom {
namespace {

TEST(Mixture, EveryStretchHoldsTheShares) {
  const Mixture mixture({5, 3, 2, 0.01});
  std::vector<uint64_t> counts(4);
  for (uint64_t row = 0; row < 20000; ++row) {
    for (size_t s = 0; s < 4; ++s)
      ASSERT_LE(
          std::abs(static_cast<double>(counts[s]) - static_cast<double>(row) * mixture.shares()[s]),
          2);
    const auto before = counts;
    const Mixture::Place place = mixture.Next(counts);
    ASSERT_EQ(place.index, before[static_cast<size_t>(place.source)]);
  }
  EXPECT_EQ(counts[0] + counts[1] + counts[2] + counts[3], 20000u);
}

TEST(Mixture, AnyRowCanBeReachedDirectly) {
  for (const auto& weights : std::vector<std::vector<double>>{
           {1}, {1, 1}, {1, 1, 1}, {0.7, 0.2, 0.1}, {1e-6, 1, 3.3}, {1, 2, 3, 4, 5, 6, 7}}) {
    const Mixture mixture(weights);
    std::vector<uint64_t> counts(weights.size());
    for (uint64_t row = 0; row < 3000; ++row) {
      ASSERT_EQ(mixture.Counts(row), counts) << row;
      mixture.Next(counts);
    }
  }
  const Mixture mixture({0.7, 0.2, 0.1});
  auto counts = mixture.Counts(1'000'000'000'000);
  mixture.Next(counts);
  EXPECT_EQ(mixture.Counts(1'000'000'000'001), counts);
}

TEST(Mixture, EqualWeightsAlternate) {
  const Mixture mixture({2, 2});
  std::vector<uint64_t> counts(2);
  for (int row = 0; row < 10; ++row) EXPECT_EQ(mixture.Next(counts).source, row % 2);
}

TEST(Mixture, BadWeightsAreErrors) {
  for (const double weight : {0.0, -1.0, std::nan(""), HUGE_VAL})
    EXPECT_ERROR(Mixture({1, weight}), "a source has weight");
}

}  // namespace
}  // namespace fathom

#include "data/permutation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <vector>

namespace fathom {
namespace {

TEST(Permutation, ReachesEveryPlaceOnce) {
  for (const uint64_t size : {1, 2, 3, 5, 15, 16, 17, 255, 256, 257, 1000, 65537}) {
    const Permutation permutation(size, 11);
    std::vector<bool> seen(size);
    for (uint64_t i = 0; i < size; ++i) {
      const uint64_t place = permutation(i);
      ASSERT_LT(place, size);
      ASSERT_FALSE(seen[place]);
      seen[place] = true;
    }
  }
}

TEST(Permutation, StaysInRangeWhenHuge) {
  constexpr uint64_t kSize = (uint64_t{1} << 61) + 12345;
  const Permutation permutation(kSize, 3);
  for (uint64_t i = 0; i < 1000; ++i) EXPECT_LT(permutation(kSize - 1 - i * 999983), kSize);
}

// Over many keys every element comes to every place equally often, and every pair of elements
// comes in either order.
TEST(Permutation, IsEven) {
  for (const uint64_t size : {4, 10, 33}) {
    constexpr int kKeys = 20000;
    std::vector<int> counts(size * size);
    int ascending = 0;
    for (uint64_t key = 0; key < kKeys; ++key) {
      const Permutation permutation(size, key);
      for (uint64_t i = 0; i < size; ++i) ++counts[i * size + permutation(i)];
      ascending += permutation(0) < permutation(1) ? 1 : 0;
    }
    const double expected = static_cast<double>(kKeys) / static_cast<double>(size);
    for (const int count : counts) EXPECT_NEAR(count, expected, 5.5 * std::sqrt(expected));
    EXPECT_NEAR(ascending, kKeys / 2, 5 * std::sqrt(kKeys / 4.0));
  }
}

}  // namespace
}  // namespace fathom

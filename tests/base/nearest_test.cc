#include "base/nearest.h"

#include <gtest/gtest.h>

namespace fathom {
namespace {

TEST(Nearest, IsATypoAwayOrNothing) {
  const std::set<std::string, std::less<>> keys = {"lr", "beta1", "beta2", "weight_decay"};
  EXPECT_EQ(Nearest("weight_decya", keys), "weight_decay");
  EXPECT_EQ(Nearest("beta_2", keys), "beta2");
  EXPECT_EQ(Nearest("completely_different", keys), std::nullopt);
  EXPECT_EQ(Nearest("x", {}), std::nullopt);
  const std::set<std::string, std::less<>> options = {"seed", "speed"};
  EXPECT_EQ(Nearest("sped", options), "speed");
  EXPECT_EQ(Nearest("sead", options), "seed");
}

TEST(NearestHint, NamesTheNearestOrWhatThereIs) {
  EXPECT_EQ(NearestHint("beta_2", {"beta1", "beta2"}, "known are beta1, beta2"),
            "did you mean 'beta2'?");
  EXPECT_EQ(NearestHint("completely_different", {"beta1", "beta2"}, "known are beta1, beta2"),
            "known are beta1, beta2");
}

}  // namespace
}  // namespace fathom

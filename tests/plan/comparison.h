#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <string>

namespace fathom {

// Identity: arithmetic over published inputs that has to give the published result. Prediction:
// from a model that has not seen the result. Fit: what a number of the model was taken from.
enum class Claim { kIdentity, kPrediction, kFit };

// Prints published, computed and error, and fails when the error is larger than `limit`.
inline void Compare(const std::string& what, Claim claim, double published, double computed,
                    double limit) {
  constexpr const char* kNames[] = {"identity", "prediction", "fit"};
  const double error = computed / published - 1;
  fmt::print(
      "  {:<10} {:<58} published {:>14.6g}  computed {:>14.6g}  error {:+6.2f} % (limit {:g} %)\n",
      kNames[static_cast<size_t>(claim)], what, published, computed, 100 * error, 100 * limit);
  std::fflush(stdout);
  EXPECT_LE(std::abs(error), limit) << what;
}

}  // namespace fathom

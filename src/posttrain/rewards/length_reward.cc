#include "posttrain/rewards/length_reward.h"

#include <algorithm>

#include "base/error.h"

namespace fathom {

double OverlongPenalty(int64_t tokens, int64_t longest, int64_t buffer) {
  if (tokens <= longest - buffer) return 0;
  if (tokens > longest || buffer == 0) return -1;
  return static_cast<double>(longest - buffer - tokens) / static_cast<double>(buffer);
}

std::vector<double> RelativeLengthRewards(std::span<const int64_t> tokens,
                                          std::span<const bool> right) {
  FATHOM_CHECK(tokens.size() == right.size());
  std::vector<double> rewards(tokens.size());
  if (tokens.empty()) return rewards;
  const auto [shortest, longest] = std::minmax_element(tokens.begin(), tokens.end());
  const auto range = static_cast<double>(*longest - *shortest);
  if (range == 0) return rewards;
  for (size_t i = 0; i < rewards.size(); ++i) {
    const double reward = 0.5 - static_cast<double>(tokens[i] - *shortest) / range;
    rewards[i] = right[i] ? reward : std::min(0.0, reward);
  }
  return rewards;
}

}  // namespace fathom

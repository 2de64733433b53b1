#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace fathom {

// The soft punishment of what is too long (DAPO, arXiv 2503.14476, equation 13): 0 up to
// longest - buffer tokens, falling evenly to -1 at `longest`, -1 beyond. buffer >= 0.
double OverlongPenalty(int64_t tokens, int64_t longest, int64_t buffer);

// Kimi k1.5's length reward (arXiv 2501.12599, section 2.3.3) of the answers to one problem: 0.5
// for the shortest, -0.5 for the longest, evenly between; wrong answers get no more than 0. All 0
// where all are equally long.
std::vector<double> RelativeLengthRewards(std::span<const int64_t> tokens,
                                          std::span<const bool> right);

}  // namespace fathom

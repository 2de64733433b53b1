#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace fathom {

// How many tokens each routed expert of a model has got.
struct ExpertLoad {
  // By layer (absolute) and expert; empty for layers without experts.
  std::vector<std::vector<int64_t>> tokens;

  // offsets [experts + 1]: expert e got rows [offsets[e], offsets[e + 1]) (ExpertRows).
  void Add(int64_t layer, std::span<const int64_t> offsets) {
    if (layer >= static_cast<int64_t>(tokens.size())) tokens.resize(static_cast<size_t>(layer) + 1);
    std::vector<int64_t>& counts = tokens[static_cast<size_t>(layer)];
    counts.resize(offsets.size() - 1);
    for (size_t e = 0; e < counts.size(); ++e) counts[e] += offsets[e + 1] - offsets[e];
  }
};

}  // namespace fathom

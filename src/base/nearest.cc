#include "base/nearest.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <vector>

namespace fathom {
namespace {

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

size_t CommonPrefix(std::string_view a, std::string_view b) {
  const size_t most = std::min(a.size(), b.size());
  size_t length = 0;
  while (length < most && a[length] == b[length]) ++length;
  return length;
}

}  // namespace

std::optional<std::string> Nearest(std::string_view word,
                                   const std::set<std::string, std::less<>>& candidates) {
  std::optional<std::string> best;
  size_t best_distance = std::max<size_t>(2, word.size() / 2);
  for (const std::string& candidate : candidates) {
    const size_t distance = EditDistance(word, candidate);
    // Of two that are as near, the one that begins more like it: --sped is speed, not seed.
    if (distance <= best_distance && (!best || distance < best_distance ||
                                      CommonPrefix(word, candidate) > CommonPrefix(word, *best))) {
      best = candidate;
      best_distance = distance;
    }
  }
  // Or the beginning of one: warmup for warmup_steps.
  if (!best && word.size() >= 3) {
    const auto longer = candidates.lower_bound(word);
    if (longer != candidates.end() && longer->starts_with(word)) best = *longer;
  }
  return best;
}

std::string NearestHint(std::string_view word, const std::set<std::string, std::less<>>& candidates,
                        std::string_view otherwise) {
  const auto nearest = Nearest(word, candidates);
  return nearest ? fmt::format("did you mean '{}'?", *nearest) : std::string(otherwise);
}

}  // namespace fathom

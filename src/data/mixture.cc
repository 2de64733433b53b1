#include "data/mixture.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"

namespace fathom {

Mixture::Mixture(std::vector<double> weights) : shares_(std::move(weights)) {
  FATHOM_CHECK(!shares_.empty());
  for (const double weight : shares_) {
    if (!(std::isfinite(weight) && weight > 0))
      throw Error("data sources", fmt::format("a source has weight {}", weight),
                  "weights are above 0; leave a source out instead");
  }
  const double sum = std::accumulate(shares_.begin(), shares_.end(), 0.0);
  for (double& share : shares_) share /= sum;
}

std::vector<uint64_t> Mixture::Counts(uint64_t rows) const {
  // All rows that are due before `time` are the first ones, and there are at most `rows` of them:
  // a source has at most time * share + 1/2. The few that are left are stepped through.
  const double time =
      std::max(0.0, static_cast<double>(rows) - static_cast<double>(shares_.size()) - 1);
  std::vector<uint64_t> counts(shares_.size());
  uint64_t done = 0;
  for (size_t s = 0; s < shares_.size(); ++s) {
    auto count = static_cast<uint64_t>(time * shares_[s]);
    while (Due(s, count) < time) ++count;
    while (count > 0 && Due(s, count - 1) >= time) --count;
    counts[s] = count;
    done += count;
  }
  FATHOM_CHECK(done <= rows);
  for (; done < rows; ++done) Next(counts);
  return counts;
}

Mixture::Place Mixture::Next(std::vector<uint64_t>& counts) const {
  size_t first = 0;
  for (size_t s = 1; s < shares_.size(); ++s) {
    if (Due(s, counts[s]) < Due(first, counts[first])) first = s;
  }
  return {static_cast<int>(first), counts[first]++};
}

}  // namespace fathom

#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace fathom {

// Which source each training row comes from, so that every stretch of rows holds the sources in
// the proportion of their weights, as evenly as whole rows allow. The k-th row of a source of
// weight w (weights sum to 1) is due at (k + 1/2) / w; rows come in the order of these times, ties
// to the lower source. A pure function of the row number.
class Mixture {
 public:
  // Weights of any scale, each above 0. Throws Error otherwise.
  explicit Mixture(std::vector<double> weights);

  struct Place {
    int source;
    // How many rows of that source come before.
    uint64_t index;
  };

  // The number of rows of each source among the first `rows`.
  std::vector<uint64_t> Counts(uint64_t rows) const;

  // Given the counts at some row, says where that row comes from and advances the counts past it.
  Place Next(std::vector<uint64_t>& counts) const;

  // Of the first source, ..., the last; they sum to 1.
  const std::vector<double>& shares() const { return shares_; }

 private:
  // When row `index` of a source is due.
  double Due(size_t source, uint64_t index) const {
    return (static_cast<double>(index) + 0.5) / shares_[source];
  }

  std::vector<double> shares_;
};

}  // namespace fathom

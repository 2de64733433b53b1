#include <cmath>

#include "backend/reference/elements.h"
#include "backend/reference/reference_backend.h"

namespace fathom {

void ReferenceBackend::RopeTable(Context&, ConstTensor positions, std::span<const double> inv_freq,
                                 double scale, Tensor table) {
  const auto pairs = static_cast<int64_t>(inv_freq.size());
  CheckShape(table, {positions.dim(0), 2 * pairs}, "table");
  for (int64_t t = 0; t < positions.dim(0); ++t) {
    for (int64_t j = 0; j < pairs; ++j) {
      const double angle = LoadIndex(positions, t) * inv_freq[static_cast<size_t>(j)];
      Store(table, t, 2 * j, scale * std::cos(angle));
      Store(table, t, 2 * j + 1, scale * std::sin(angle));
    }
  }
}

void ReferenceBackend::Rope(Context&, ConstTensor x, ConstTensor table, bool inverse, Tensor y) {
  const int64_t tokens = x.dim(0), heads = x.dim(1), d = x.dim(2);
  CheckShape(table, {tokens, d}, "table");
  CheckShape(y, {tokens, heads, d}, "y");
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t h = 0; h < heads; ++h) {
      for (int64_t j = 0; j < d; j += 2) {
        const double cosine = Load(table, t, j);
        const double sine = inverse ? -Load(table, t, j + 1) : Load(table, t, j + 1);
        const double even = Load(x, t, h, j), odd = Load(x, t, h, j + 1);
        Store(y, t, h, j, even * cosine - odd * sine);
        Store(y, t, h, j + 1, even * sine + odd * cosine);
      }
    }
  }
}

}  // namespace fathom

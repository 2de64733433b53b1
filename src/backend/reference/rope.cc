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

void ReferenceBackend::Rope(Context&, ConstTensor x, ConstTensor table, RopeLayout layout,
                            bool inverse, Tensor y) {
  const int64_t tokens = x.dim(0), heads = x.dim(1), d = x.dim(2);
  CheckShape(table, {tokens, d}, "table");
  CheckShape(y, {tokens, heads, d}, "y");
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t h = 0; h < heads; ++h) {
      for (int64_t j = 0; j < d / 2; ++j) {
        const double cosine = Load(table, t, 2 * j);
        const double sine = inverse ? -Load(table, t, 2 * j + 1) : Load(table, t, 2 * j + 1);
        const int64_t first = layout == RopeLayout::kInterleaved ? 2 * j : j;
        const int64_t second = layout == RopeLayout::kInterleaved ? 2 * j + 1 : j + d / 2;
        const double a = Load(x, t, h, first), b = Load(x, t, h, second);
        Store(y, t, h, first, a * cosine - b * sine);
        Store(y, t, h, second, a * sine + b * cosine);
      }
    }
  }
}

}  // namespace fathom

#pragma once

// Where finished sums go.

#include "backend/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fathom::cpu::HWY_NAMESPACE {

// Where the tile at c of `columns` (at most kVectors vectors) goes.
struct TileTarget {
  void* c;
  int64_t stride, columns;
  Element type;
  bool accumulate;
  const void* next = nullptr;  // of the tile after this one, while accumulating
};

template <typename T>
static void StoreTile(const float* tile, int64_t tile_stride, int64_t rows, T* c,
                      const TileTarget& to) {
  for (int64_t i = 0; i < rows; ++i) {
    const float* from = tile + i * tile_stride;
    T* row = c + i * to.stride;
    ForVectors(to.columns, [&](int64_t j, auto part) {
      Floats x = Load(from + j);
      if (to.accumulate) x = part.Load(row + j) + x;
      part.Store(x, row + j);
    });
  }
}

}  // namespace fathom::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

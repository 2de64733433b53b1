#pragma once

// Where finished sums go, and asking for what comes.

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
  int64_t tiles = 1;           // of two panels each, side by side, all of them whole
  bool asks = false;           // B is passed for the first time: ask for what comes of it
};

// Weights stream by from memory: what is used that many bytes later is asked for now. Nearer, it
// does not come in time; further, some of it is gone when it is used (first-level caches have 32 or
// 48 KiB).
inline constexpr int64_t kAhead = 8192;

// Asks for `kBytes` from `from` on, in whole lines. Not for many at a time: these would wait for
// each other, and the products for them.
template <int64_t kBytes>
FATHOM_INLINE void AskFor(const void* from) {
  HWY_UNROLL(32)
  for (int64_t line = 0; line < kBytes; line += 64)
    _mm_prefetch(static_cast<const char*>(from) + line, _MM_HINT_T0);
}

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

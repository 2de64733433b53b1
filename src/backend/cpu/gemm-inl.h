#pragma once

// The micro-kernel of every matrix product: a strip of up to kStrip rows times a panel of kPanel
// columns, accumulated in registers over the whole depth in ascending order. An output is the same
// sum whatever tile it lies in. A bf16 pair is added as vdpbf16ps does it, where there is one; as
// two fused multiply-adds, the even element first, elsewhere.

#include "backend/cpu/fp8-inl.h"
#include "backend/cpu/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fathom::cpu::HWY_NAMESPACE {

// Strips of up to this many rows take two panels together: one alone has too few sums under way to
// hide the latency of an addition.
inline constexpr int64_t kPairedRows = HWY_TARGET == HWY_AVX2 ? 3 : 4;

// How A lies, and its words.
enum class Rows {
  kColumns,  // a strip made from columns: [steps][rows]
  kLines,    // a strip made from rows: lines of kLine words, one of each row after the other
  kAsTheyLie,
};
template <typename A, int kRows, Rows kLayout>
class Operand {
 public:
  Operand(const A* a, [[maybe_unused]] int64_t stride) {
    a_[0] = a;
    if constexpr (kLayout == Rows::kAsTheyLie) {
      stride_ = stride;
      for (int i = 1; i < kBases; ++i) a_[i] = a + 3 * i * stride;
    }
  }
  // The word of row i in step q from here; kLine steps on, and `steps`, whole lines, of a strip.
  HWY_INLINE A operator()(int i, int64_t q) const {
    if constexpr (kLayout == Rows::kColumns) return a_[0][q * kRows + i];
    if constexpr (kLayout == Rows::kLines) return a_[0][i * kLine + q];
    return a_[i / 3][i % 3 * stride_ + q];
  }
  HWY_INLINE void Advance() {
    for (int i = 0; i < kBases; ++i) a_[i] += kLayout == Rows::kAsTheyLie ? kLine : kLine * kRows;
  }
  HWY_INLINE void Skip(int64_t steps) { a_[0] += steps * kRows; }

 private:
  // An address reaches the rows none, one and two strides from it without a register for each.
  static constexpr int kBases = kLayout == Rows::kAsTheyLie ? (kRows + 2) / 3 : 1;
  const A* a_[kBases];
  int64_t stride_ = 0;
};

// One step of the depth: word a(i) of row i, and b's vectors at `offset`.
struct F32Product {
  using A = float;
  using B = float;
  static constexpr int64_t kMostRows = kStrip<Element::kF32>;
  static constexpr int64_t kPerStep = 1;  // elements of depth
  template <int kRows, int kVectors, typename Word>
  static HWY_INLINE void Step(const Word& a, const float* const* b, int64_t offset,
                              Floats (&sum)[kRows][kVectors]) {
    Floats bv[kVectors];
    HWY_UNROLL(4)
    for (int v = 0; v < kVectors; ++v) {
      bv[v] = Load(b[v / 2] + offset + v % 2 * kLanes);
    }
    HWY_UNROLL(12)
    for (int i = 0; i < kRows; ++i) {
      const Floats av = Set(a(i));
      HWY_UNROLL(4)
      for (int v = 0; v < kVectors; ++v) sum[i][v] = MulAdd(av, bv[v], sum[i][v]);
    }
  }
};

struct BF16Product {
  using A = uint32_t;  // pairs
  using B = uint32_t;
  static constexpr int64_t kMostRows = kStrip<Element::kBF16>;
  static constexpr int64_t kPerStep = 2;
  template <int kRows, int kVectors, typename Word>
  static HWY_INLINE void Step(const Word& a, const uint32_t* const* b, int64_t offset,
                              Floats (&sum)[kRows][kVectors]) {
#ifdef __AVX512BF16__
    __m512i bv[kVectors];
    HWY_UNROLL(4)
    for (int v = 0; v < kVectors; ++v) {
      bv[v] = _mm512_loadu_si512(b[v / 2] + offset + v % 2 * kLanes);
    }
    HWY_UNROLL(12)
    for (int i = 0; i < kRows; ++i) {
      const __m512i av = _mm512_set1_epi32(static_cast<int>(a(i)));
      HWY_UNROLL(4)
      for (int v = 0; v < kVectors; ++v) {
        sum[i][v].raw = _mm512_dpbf16_ps(sum[i][v].raw, (__m512bh)av, (__m512bh)bv[v]);
      }
    }
#else
    Floats even[kVectors], odd[kVectors];
    HWY_UNROLL(4)
    for (int v = 0; v < kVectors; ++v) {
      const auto pair = hn::LoadU(kWords, b[v / 2] + offset + v % 2 * kLanes);
      even[v] = hn::BitCast(kFloats, hn::ShiftLeft<16>(pair));
      odd[v] = hn::BitCast(kFloats, hn::And(pair, hn::Set(kWords, 0xffff0000u)));
    }
    HWY_UNROLL(4)
    for (int i = 0; i < kRows; ++i) {
      const auto pair = hn::Set(kWords, a(i));
      const Floats first = hn::BitCast(kFloats, hn::ShiftLeft<16>(pair));
      HWY_UNROLL(4)
      for (int v = 0; v < kVectors; ++v) sum[i][v] = MulAdd(first, even[v], sum[i][v]);
      const Floats second = hn::BitCast(kFloats, hn::And(pair, hn::Set(kWords, 0xffff0000u)));
      HWY_UNROLL(4)
      for (int v = 0; v < kVectors; ++v) sum[i][v] = MulAdd(second, odd[v], sum[i][v]);
    }
#endif
  }
};

// c += sum, c [kRows, kVectors vectors].
template <int kRows, int kVectors>
FATHOM_INLINE void AddSums(const Floats (&sum)[kRows][kVectors], float* c, int64_t stride) {
  HWY_UNROLL(12)
  for (int i = 0; i < kRows; ++i) {
    HWY_UNROLL(4)
    for (int v = 0; v < kVectors; ++v) {
      float* at = c + i * stride + v * kLanes;
      Store(Load(at) + sum[i][v], at);
    }
  }
}

template <int kRows, int kVectors>
FATHOM_INLINE void StoreSums(const Floats (&sum)[kRows][kVectors], const TileTarget& to) {
  if (to.type == Element::kF32 && to.columns == kVectors * kLanes) {
    auto* c = static_cast<float*>(to.c);
    if (to.accumulate) {
      AddSums<kRows, kVectors>(sum, c, to.stride);
    } else {
      HWY_UNROLL(12)
      for (int i = 0; i < kRows; ++i) {
        HWY_UNROLL(4)
        for (int v = 0; v < kVectors; ++v) Store(sum[i][v], c + i * to.stride + v * kLanes);
      }
    }
    return;
  }
#ifdef __AVX512BF16__
  if constexpr (kVectors == 2) {
    if (to.type == Element::kBF16 && to.columns == kPanel && !to.accumulate) {
      auto* c = static_cast<uint16_t*>(to.c);
      HWY_UNROLL(12)
      for (int i = 0; i < kRows; ++i) {
        _mm512_storeu_si512(c + i * to.stride,
                            (__m512i)_mm512_cvtne2ps_pbh(sum[i][1].raw, sum[i][0].raw));
      }
      return;
    }
  }
#endif
  alignas(64) float tile[kRows * kVectors * kLanes];
  HWY_UNROLL(12)
  for (int i = 0; i < kRows; ++i) {
    HWY_UNROLL(4)
    for (int v = 0; v < kVectors; ++v) Store(sum[i][v], tile + (i * kVectors + v) * kLanes);
  }
  Typed(to.type, to.c, [&](auto* c) { StoreTile(tile, kVectors * kLanes, kRows, c, to); });
}

// Steps [begin, end) of the depth; begin is a multiple of kLine where the strip was made from rows.
// Short loops have an end that the processor foresees. asks: b is passed for the first time.
template <typename Product, int kRows, int kVectors, Rows kLayout>
FATHOM_INLINE void AddSteps(Operand<typename Product::A, kRows, kLayout> a,
                            const typename Product::B* const* b, int64_t begin, int64_t end,
                            bool asks, Floats (&sum)[kRows][kVectors]) {
  constexpr int kUnroll = 8;
  const auto step = [&](int64_t q, int64_t p) __attribute__((always_inline)) {
    const auto word = [&](int i) __attribute__((always_inline)) { return a(i, q); };
    Product::template Step<kRows, kVectors>(word, b, p * kPanel, sum);
  };
  int64_t p = begin;
  for (; p + kLine <= end; p += kLine, a.Advance()) {
    HWY_UNROLL(2)
    for (int half = 0; half < kLine; half += kUnroll) {
      // What comes gives so many products that the processor does not look far enough ahead by
      // itself. A single row is as fast without.
      if constexpr (kRows > 1) {
        constexpr int kPanels = (kVectors + 1) / 2;
        if (asks) {
          for (int panel = 0; panel < kPanels; ++panel) {
            const auto* now = reinterpret_cast<const char*>(b[panel] + (p + half) * kPanel);
            AskFor<kUnroll * kPanel * sizeof(typename Product::B)>(now + kAhead / kPanels);
          }
        }
      }
      HWY_UNROLL(8)
      for (int q = half; q < half + kUnroll; ++q) step(q, p + q);
    }
  }
  for (int64_t q = 0; p < end; ++p, ++q) step(q, p);
}

// kVectors = 1: the left half of a panel; 2: a panel; 4: two panels, at b[0] and b[1].
template <typename Product, int kRows, int kVectors, Rows kLayout>
FATHOM_INLINE void OneTile(const Operand<typename Product::A, kRows, kLayout>& a,
                           const typename Product::B* const* b, int64_t steps,
                           const TileTarget& to) {
  Floats sum[kRows][kVectors];
  HWY_UNROLL(12)
  for (int i = 0; i < kRows; ++i) {
    HWY_UNROLL(4)
    for (int v = 0; v < kVectors; ++v) sum[i][v] = Zero();
  }
  // What the next sums are added to comes into the cache while these are made.
  if (to.next != nullptr) {
    HWY_UNROLL(12)
    for (int i = 0; i < kRows; ++i) {
      AskFor<kVectors * kLanes * sizeof(float)>(static_cast<const float*>(to.next) + i * to.stride);
    }
  }
  AddSteps<Product, kRows, kVectors, kLayout>(a, b, 0, steps, to.asks, sum);
  StoreSums<kRows, kVectors>(sum, to);
}

// C += of two panels over less than a line of steps, where C is the work: with nothing else in the
// way.
template <typename Product, int kRows, Rows kLayout>
FATHOM_INLINE void AddShortTile(const Operand<typename Product::A, kRows, kLayout>& a,
                                const typename Product::B* const* b, int64_t steps, float* c,
                                int64_t stride) {
  Floats sum[kRows][4];
  HWY_UNROLL(4)
  for (int i = 0; i < kRows; ++i) {
    HWY_UNROLL(4)
    for (int v = 0; v < 4; ++v) sum[i][v] = Zero();
  }
  for (int64_t q = 0; q < steps; ++q) {
    const auto word = [&](int i) __attribute__((always_inline)) { return a(i, q); };
    Product::template Step<kRows, 4>(word, b, q * kPanel, sum);
  }
  AddSums<kRows, 4>(sum, c, stride);
}

// Panels are `panel_stride` words apart, rows that are not packed `a_stride`.
template <typename Product, int kRows, int kVectors, Rows kLayout>
static HWY_NOINLINE void Tile(const void* a_strip, int64_t a_stride, const void* b_panel,
                              int64_t panel_stride, int64_t steps, const TileTarget& to) {
  const Operand<typename Product::A, kRows, kLayout> a(
      static_cast<const typename Product::A*>(a_strip), a_stride);
  const typename Product::B* b[2];
  b[0] = static_cast<const typename Product::B*>(b_panel);
  b[1] = b[0] + panel_stride;
  if constexpr (kVectors == 4) {
    // Tiles of few rows are so many, and so small, that a call for each would be felt.
    if (steps < kLine && to.type == Element::kF32 && to.accumulate &&
        to.columns == kVectors * kLanes) {
      auto* c = static_cast<float*>(to.c);
      for (int64_t tile = 0; tile < to.tiles; ++tile) {
        AddShortTile<Product, kRows, kLayout>(a, b, steps, c, to.stride);
        b[0] += 2 * panel_stride;
        b[1] += 2 * panel_stride;
        c += 2 * kPanel;
      }
      return;
    }
    TileTarget at = to;
    for (int64_t tile = 0; tile < to.tiles; ++tile) {
      OneTile<Product, kRows, kVectors, kLayout>(a, b, steps, at);
      b[0] += 2 * panel_stride;
      b[1] += 2 * panel_stride;
      at.c = static_cast<char*>(at.c) + 2 * kPanel * (to.type == Element::kF32 ? 4 : 2);
      if (to.next != nullptr) at.next = static_cast<const float*>(at.next) + 2 * kPanel;
    }
  } else {
    OneTile<Product, kRows, kVectors, kLayout>(a, b, steps, to);
  }
}

// The same for FP8: within a block of 128 of the depth the codes' values are summed as above; the
// finished sum, times the block's scales, is added to the total.
template <typename Product, int kRows, int kVectors, Rows kLayout>
static HWY_NOINLINE void ScaledTile(const void* a_strip, const void* b_panel, int64_t steps,
                                    const float* a_scales, const float* b_scales, int64_t blocks,
                                    const TileTarget& to) {
  constexpr int64_t kSteps = kTile / Product::kPerStep;
  const Operand<typename Product::A, kRows, kLayout> a(
      static_cast<const typename Product::A*>(a_strip), 0);
  const typename Product::B* b[1] = {static_cast<const typename Product::B*>(b_panel)};
  alignas(64) float total[kRows][kVectors * kLanes] = {};
  for (int64_t block = 0; block < blocks; ++block) {
    Floats sum[kRows][kVectors];
    HWY_UNROLL(12)
    for (int i = 0; i < kRows; ++i) {
      HWY_UNROLL(2)
      for (int v = 0; v < kVectors; ++v) sum[i][v] = Zero();
    }
    const int64_t begin = block * kSteps, end = steps - begin < kSteps ? steps : begin + kSteps;
    auto here = a;
    here.Skip(begin);
    AddSteps<Product, kRows, kVectors, kLayout>(here, b, begin, end, to.asks, sum);
    HWY_UNROLL(12)
    for (int i = 0; i < kRows; ++i) {
      const Floats row = Set(a_scales[i * blocks + block]);
      HWY_UNROLL(2)
      for (int v = 0; v < kVectors; ++v) {
        const Floats scale = row * Load(b_scales + block * kPanel + v * kLanes);
        float* at = &total[i][v * kLanes];
        Store(MulAdd(sum[i][v], scale, Load(at)), at);
      }
    }
  }
  Floats sum[kRows][kVectors];
  HWY_UNROLL(12)
  for (int i = 0; i < kRows; ++i) {
    HWY_UNROLL(2)
    for (int v = 0; v < kVectors; ++v) sum[i][v] = Load(&total[i][v * kLanes]);
  }
  StoreSums<kRows, kVectors>(sum, to);
}

using TileFunction = void (*)(const void*, int64_t, const void*, int64_t, int64_t,
                              const TileTarget&);

// Indexed by rows - 1.
template <typename Product, int kVectors, Rows kLayout, int... kIndex>
struct TileList {
  static constexpr TileFunction kTiles[] = {&Tile<Product, kIndex + 1, kVectors, kLayout>...};
};
template <typename Product, int kVectors, Rows kLayout>
FATHOM_INLINE TileFunction TileFor(int64_t rows) {
  if constexpr (kVectors == 4) {
    if constexpr (kPairedRows == 3) {
      return TileList<Product, 4, kLayout, 0, 1, 2>::kTiles[rows - 1];
    } else {
      return TileList<Product, 4, kLayout, 0, 1, 2, 3>::kTiles[rows - 1];
    }
  } else if constexpr (Product::kMostRows == 4) {
    return TileList<Product, kVectors, kLayout, 0, 1, 2, 3>::kTiles[rows - 1];
  } else if constexpr (Product::kMostRows == 6) {
    return TileList<Product, kVectors, kLayout, 0, 1, 2, 3, 4, 5>::kTiles[rows - 1];
  } else {
    return TileList<Product, kVectors, kLayout, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11>::kTiles[rows -
                                                                                              1];
  }
}

using ScaledTileFunction = void (*)(const void*, const void*, int64_t, const float*, const float*,
                                    int64_t, const TileTarget&);
template <int kVectors, Rows kLayout, int... kIndex>
struct ScaledTileList {
  static constexpr ScaledTileFunction kTiles[] = {
      &ScaledTile<BF16Product, kIndex + 1, kVectors, kLayout>...};
};
template <int kVectors, Rows kLayout>
FATHOM_INLINE ScaledTileFunction ScaledTileFor(int64_t rows) {
  if constexpr (BF16Product::kMostRows == 4) {
    return ScaledTileList<kVectors, kLayout, 0, 1, 2, 3>::kTiles[rows - 1];
  } else {
    return ScaledTileList<kVectors, kLayout, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11>::kTiles[rows -
                                                                                           1];
  }
}

// Words that a row takes: what a strip's first row times them is where the strip starts.
template <Rows kLayout>
FATHOM_INLINE int64_t WordsOfRow(int64_t steps, int64_t stride) {
  if constexpr (kLayout == Rows::kAsTheyLie) return stride;
  return kLayout == Rows::kLines ? (steps + kLine - 1) / kLine * kLine : steps;
}

template <Rows kLayout>
static void MultiplyScaled(const MultiplyArgs& args) {
  const int64_t b_depth = args.b_depth > 0 ? args.b_depth : args.depth;
  const int64_t steps = (args.depth + 1) / 2, panel_words = (b_depth + 1) / 2 * kPanel;
  const int64_t blocks = (args.depth + kTile - 1) / kTile;
  const int64_t panel_scales = (b_depth + kTile - 1) / kTile * kPanel;
  const Strips strips = Strips::Of(args.rows, BF16Product::kMostRows);
  const int64_t a_words = WordsOfRow<kLayout>(steps, 0);
  const int64_t c_bytes = args.c_type == Element::kF32 ? 4 : 2;
  const bool asks = AsksAhead();
  const auto* a = static_cast<const uint32_t*>(args.a);
  const auto* b = static_cast<const uint32_t*>(args.b);
  const float* b_scales = args.b_scales;
  for (int64_t j = 0; j < args.columns; j += kPanel, b += panel_words, b_scales += panel_scales) {
    const int64_t columns = args.columns - j < kPanel ? args.columns - j : kPanel;
    for (int64_t s = 0; s < strips.count; ++s) {
      const int64_t begin = strips.Begin(s), rows = strips.Begin(s + 1) - begin;
      const TileTarget to{.c = static_cast<char*>(args.c) + (begin * args.c_stride + j) * c_bytes,
                          .stride = args.c_stride,
                          .columns = columns,
                          .type = args.c_type,
                          .accumulate = args.accumulate,
                          .asks = s == 0 && asks};
      const ScaledTileFunction tile =
          columns > kLanes ? ScaledTileFor<2, kLayout>(rows) : ScaledTileFor<1, kLayout>(rows);
      tile(a + begin * a_words, b, steps, args.a_scales + begin * blocks, b_scales, blocks, to);
    }
  }
}

// Tiles of one panel, or of two together, by all strips; or of one strip by all panels where C is
// more to read and write than A and B are (few steps): then its rows are passed from left to right.
template <typename Product, Rows kLayout>
static void MultiplyOf(const MultiplyArgs& args) {
  const int64_t steps = (args.depth + Product::kPerStep - 1) / Product::kPerStep;
  const int64_t b_depth = args.b_depth > 0 ? args.b_depth : args.depth;
  const int64_t panel_words = (b_depth + Product::kPerStep - 1) / Product::kPerStep * kPanel;
  const int64_t most = args.strip > 0 ? args.strip : Product::kMostRows;
  const Strips strips = Strips::Of(args.rows, most);
  const int64_t a_words = WordsOfRow<kLayout>(steps, args.a_stride);
  const int64_t c_bytes = args.c_type == Element::kF32 ? 4 : 2;
  const bool asks = AsksAhead();
  const bool ahead = args.accumulate && args.c_type == Element::kF32;
  const auto* a = static_cast<const uint32_t*>(args.a);
  const auto* b = static_cast<const uint32_t*>(args.b);
  const int64_t width = args.rows <= kPairedRows || most <= kPairedRows ? 2 * kPanel : kPanel;
  const auto at = [&](int64_t row, int64_t column) {
    return static_cast<char*>(args.c) + (row * args.c_stride + column) * c_bytes;
  };
  // `tiles` of strip s from column j on; the last of them may be cut short if it is the only one.
  const auto run = [&](int64_t s, int64_t j, int64_t tiles, const void* next) {
    const int64_t left = args.columns - j, columns = left < width ? left : width;
    const int64_t begin = strips.Begin(s), rows = strips.Begin(s + 1) - begin;
    const TileTarget to{.c = at(begin, j),
                        .stride = args.c_stride,
                        .columns = columns,
                        .type = args.c_type,
                        .accumulate = args.accumulate,
                        .next = ahead ? next : nullptr,
                        .tiles = tiles,
                        .asks = s == 0 && asks};
    const TileFunction function = columns > kPanel   ? TileFor<Product, 4, kLayout>(rows)
                                  : columns > kLanes ? TileFor<Product, 2, kLayout>(rows)
                                                     : TileFor<Product, 1, kLayout>(rows);
    function(a + begin * a_words, args.a_stride, b + j / kPanel * panel_words, panel_words, steps,
             to);
  };
  if (width > kPanel && args.accumulate) {
    const int64_t whole = args.columns / width;
    for (int64_t s = 0; s < strips.count; ++s) {
      if (whole > 0) run(s, 0, whole, at(strips.Begin(s), width));
      if (whole * width < args.columns) run(s, whole * width, 1, nullptr);
    }
    return;
  }
  for (int64_t j = 0; j < args.columns; j += width) {
    for (int64_t s = 0; s < strips.count; ++s) run(s, j, 1, at(strips.Begin(s + 1), j));
  }
}

template <Rows kLayout>
static void MultiplyUnscaled(const MultiplyArgs& args) {
  if (args.type == Element::kF32) {
    MultiplyOf<F32Product, kLayout>(args);
  } else {
    MultiplyOf<BF16Product, kLayout>(args);
  }
}

static void Multiply(const MultiplyArgs& args) {
  if (args.a_scales != nullptr) {
    args.a_from_columns ? MultiplyScaled<Rows::kColumns>(args) : MultiplyScaled<Rows::kLines>(args);
  } else if (args.a_from_columns) {
    MultiplyUnscaled<Rows::kColumns>(args);
  } else if (args.a_stride != 0) {
    MultiplyUnscaled<Rows::kAsTheyLie>(args);
  } else {
    MultiplyUnscaled<Rows::kLines>(args);
  }
}

}  // namespace fathom::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#pragma once

// Scores of few queries with the keys of a chunk, softmax over them for one query row, and sums of
// its values. A key's lane follows from its position in the chunk, and keys that a query may not
// see contribute exact zeros.

#include <utility>

#include "backend/cpu/pack-inl.h"
#include "backend/cpu/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fathom::cpu::HWY_NAMESPACE {

static void ChunkSoftmax(float* s, float scale, int64_t count, int64_t padded, float* max,
                         float* sum) {
  const Floats factor = Set(scale), lowest = Set(-__builtin_inff());
  Floats most[2] = {lowest, lowest};
  int64_t j = 0;
  for (; j + 2 * kLanes <= count; j += 2 * kLanes) {
    most[0] = hn::Max(most[0], Load(s + j) * factor);
    most[1] = hn::Max(most[1], Load(s + j + kLanes) * factor);
  }
  for (; j < count; j += kLanes) {
    const auto seen = hn::FirstN(kFloats, static_cast<size_t>(count - j));
    const Floats z = (count - j >= kLanes ? Load(s + j) : LoadN(s + j, count - j)) * factor;
    most[0] = hn::Max(most[0], hn::IfThenElse(seen, z, lowest));
  }
  const float m = MaxOf(hn::Max(most[0], most[1]));
  const Floats shift = Set(m);
  *max = m;
  *sum = SumVectors(count, [&](int64_t i, auto part, Floats total) {
    const Floats p = KeepLanes(part, Exp(hn::MulSub(part.Load(s + i), factor, shift)));
    part.Store(p, s + i);
    return total + p;
  });
  for (j = count; j < padded; ++j) s[j] = 0;
}

#ifdef __AVX512BF16__
// Sixteen keys, of which the first `count` exist, times up to sixteen queries, the lanes. kEven:
// the keys lie equally far apart, which leaves registers for where they are. `next` [kLanes]: the
// keys to ask for, or null.
template <bool kEven>
static HWY_NOINLINE void ScoreKeysTile(const ScoreKeysArgs& args, const char* const* keys,
                                       const void* const* next, int64_t count, float* out) {
  constexpr int kTogether = kEven ? 4 : 1;  // keys that are found from one address
  const int64_t apart = keys[1] - keys[0], pairs = args.depth / 2;
  const int64_t offset[4] = {0, apart, 2 * apart, 3 * apart};
  const char* base[kLanes / kTogether];
  for (int i = 0; i < kLanes / kTogether; ++i) base[i] = keys[i * kTogether];
  __m512 sum[kLanes];
  HWY_UNROLL(16)
  for (int i = 0; i < kLanes; ++i) sum[i] = _mm512_setzero_ps();
  const auto* queries = static_cast<const uint32_t*>(args.queries);
  const auto step = [&](int64_t p, int64_t ahead) __attribute__((always_inline)) {
    const auto q = (__m512bh)_mm512_loadu_si512(queries + (p + ahead) * kPanel);
    HWY_UNROLL(16)
    for (int i = 0; i < kLanes; ++i) {
      int32_t pair;
      __builtin_memcpy(&pair, base[i / kTogether] + offset[i % kTogether] + ahead * 4,
                       sizeof(pair));
      sum[i] = _mm512_dpbf16_ps(sum[i], q, (__m512bh)_mm512_set1_epi32(pair));
    }
  };
  int64_t p = 0;
  for (; p + kLine <= pairs; p += kLine) {
    if (next != nullptr) AskForRows(next, kLanes, p * 4);
    HWY_UNROLL(16)
    for (int q = 0; q < kLine; ++q) step(p, q);
    for (const char*& at : base) at += kLine * 4;
  }
  for (int64_t q = 0; p + q < pairs; ++q) step(p, q);
  Words v[kLanes];
  HWY_UNROLL(16)
  for (int i = 0; i < kLanes; ++i) v[i] = Words{_mm512_castps_si512(sum[i])};
  Transpose(v);
  for (int64_t r = 0; r < args.rows; ++r) {
    StoreN(hn::BitCast(kFloats, v[r]), out + r * args.stride, count);
  }
}

static void ScoreKeys(const ScoreKeysArgs& args) {
  const bool asks = AsksAhead();
  for (int64_t begin = 0; begin < args.count; begin += kLanes) {
    const int64_t left = args.count - begin, count = left < kLanes ? left : kLanes;
    const char* keys[kLanes];
    for (int64_t i = 0; i < kLanes; ++i) {
      keys[i] = static_cast<const char*>(args.keys[begin + (i < count ? i : count - 1)]);
    }
    bool even = true;
    for (int64_t i = 2; i < kLanes; ++i) {
      even = even && keys[i] - keys[i - 1] == keys[1] - keys[0];
    }
    const void* const* next = asks && left >= 2 * kLanes ? args.keys + begin + kLanes : nullptr;
    const auto tile = even ? &ScoreKeysTile<true> : &ScoreKeysTile<false>;
    tile(args, keys, next, count, args.out + begin);
  }
}
inline constexpr auto* kScoreKeys = &ScoreKeys;

// kRows rows of weights times 32 columns of the values, which start `offset` bytes into their rows.
// Neighbouring rows are interleaved on the way through the registers, each quarter of a vector by
// itself: the columns are in order again when the sums are stored.
template <int kRows>
static HWY_NOINLINE void SumValuesTile(const uint32_t* weights, const SumValuesArgs& args,
                                       int64_t offset, bool asks, float* out) {
  const auto row = [&](int64_t k) __attribute__((always_inline)) {
    return static_cast<const char*>(args.values[k]) + offset;
  };
  __m512 sum[kRows][2];
  HWY_UNROLL(12)
  for (int i = 0; i < kRows; ++i) sum[i][0] = sum[i][1] = _mm512_setzero_ps();
  for (int64_t begin = 0; begin < args.count; begin += 2 * kLine, weights += kRows * kLine) {
    const int64_t end = args.count - begin < 2 * kLine ? args.count : begin + 2 * kLine;
    const uint32_t* pair = weights;
    for (int64_t k = begin; k < end; k += 2, ++pair) {
      if (asks && k + kRowsAhead + 1 < args.count) {
        _mm_prefetch(row(k + kRowsAhead), _MM_HINT_T0);
        _mm_prefetch(row(k + kRowsAhead + 1), _MM_HINT_T0);
      }
      const __m512i even = _mm512_loadu_si512(row(k));
      const __m512i odd = k + 1 < end ? _mm512_loadu_si512(row(k + 1)) : _mm512_setzero_si512();
      const auto low = (__m512bh)_mm512_unpacklo_epi16(even, odd);
      const auto high = (__m512bh)_mm512_unpackhi_epi16(even, odd);
      HWY_UNROLL(12)
      for (int i = 0; i < kRows; ++i) {
        const auto weight = (__m512bh)_mm512_set1_epi32(static_cast<int>(pair[i * kLine]));
        sum[i][0] = _mm512_dpbf16_ps(sum[i][0], weight, low);
        sum[i][1] = _mm512_dpbf16_ps(sum[i][1], weight, high);
      }
    }
  }
  const __m512i first = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
  const __m512i second = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
  HWY_UNROLL(12)
  for (int i = 0; i < kRows; ++i) {
    const __m512d low = _mm512_castps_pd(sum[i][0]), high = _mm512_castps_pd(sum[i][1]);
    _mm512_storeu_pd(out + i * args.columns, _mm512_permutex2var_pd(low, first, high));
    _mm512_storeu_pd(out + i * args.columns + kLanes, _mm512_permutex2var_pd(low, second, high));
  }
}

using SumValuesFunction = void (*)(const uint32_t*, const SumValuesArgs&, int64_t, bool, float*);
template <int... kIndex>
FATHOM_INLINE SumValuesFunction SumValuesFor(int64_t rows, std::integer_sequence<int, kIndex...>) {
  static constexpr SumValuesFunction kTiles[] = {&SumValuesTile<kIndex + 1>...};
  return kTiles[rows - 1];
}

// The values' part of 32 columns stays in the first-level cache for all strips.
static void SumValues(const SumValuesArgs& args) {
  constexpr int64_t kMost = kStrip<Element::kBF16>;
  const Strips strips = Strips::Of(args.rows, kMost);
  const int64_t words = (args.count + 2 * kLine - 1) / (2 * kLine) * kLine;  // of a row of weights
  const auto* weights = static_cast<const uint32_t*>(args.weights);
  for (int64_t j = 0; j < args.columns; j += 2 * kLanes) {
    for (int64_t s = 0; s < strips.count; ++s) {
      const int64_t begin = strips.Begin(s);
      const auto tile =
          SumValuesFor(strips.Begin(s + 1) - begin, std::make_integer_sequence<int, kMost>());
      tile(weights + begin * words, args, j * 2, s == 0, args.out + begin * args.columns + j);
    }
  }
}
inline constexpr auto* kSumValues = &SumValues;
#else
inline constexpr void (*kScoreKeys)(const ScoreKeysArgs&) = nullptr;
inline constexpr void (*kSumValues)(const SumValuesArgs&) = nullptr;
#endif

// e^x of one number, by the same polynomial.
FATHOM_INLINE float ExpOne(float x) { return hn::GetLane(Exp(Set(x))); }

static void MergeChunk(float chunk_max, float chunk_sum, const float* chunk, float* max, float* sum,
                       float* out, int64_t n) {
  const float most = chunk_max > *max ? chunk_max : *max;
  const float keep = ExpOne(*max - most), take = ExpOne(chunk_max - most);
  *max = most;
  *sum = *sum * keep + chunk_sum * take;
  const Floats old = Set(keep), fresh = Set(take);
  ForVectors(n, [&](int64_t j, auto part) {
    part.Store(MulAdd(part.Load(chunk + j), fresh, part.Load(out + j) * old), out + j);
  });
}

static void SoftmaxBackward(float* s, float* dp, float scale, float lse, float delta, int64_t count,
                            int64_t padded) {
  const Floats factor = Set(scale), l = Set(lse), d = Set(delta);
  ForVectors(count, [&](int64_t j, auto part) {
    const Floats p = Exp(hn::MulSub(part.Load(s + j), factor, l));
    part.Store(p, s + j);
    part.Store(factor * p * (part.Load(dp + j) - d), dp + j);
  });
  for (int64_t j = count; j < padded; ++j) s[j] = dp[j] = 0;
}

}  // namespace fathom::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

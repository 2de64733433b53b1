#pragma once

// Quantised rows and operands of FP8 products (tensor/quantize.h defines the numbers). The products
// themselves multiply codes' values as bf16, which holds them exactly (gemm-inl.h).

#include "backend/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fathom::cpu::HWY_NAMESPACE {

using IntTag = hn::RebindToSigned<FloatTag>;
using Ints = hn::Vec<IntTag>;
inline constexpr IntTag kInts;

inline constexpr int64_t kTile = 128;  // kScaleTile of tensor/quantize.h

FATHOM_INLINE Ints BitsOf(Floats x) { return hn::BitCast(kInts, x); }
FATHOM_INLINE Floats FloatsOf(Ints x) { return hn::BitCast(kFloats, x); }
FATHOM_INLINE Ints SetBits(uint32_t x) { return hn::Set(kInts, static_cast<int32_t>(x)); }
FATHOM_INLINE Ints Magnitude(Floats x) { return hn::And(BitsOf(x), SetBits(0x7fffffff)); }

// The bits of the largest magnitude, in whose order NaN comes after infinity.
template <typename T>
FATHOM_INLINE Ints LargestBits(const T* x, int64_t n, Ints most) {
  ForVectors(n, [&](int64_t i, auto part) { most = hn::Max(most, Magnitude(part.Load(x + i))); });
  return most;
}

FATHOM_INLINE float ScaleOf(Code code, uint32_t largest_bits) {
  if (largest_bits >= 0x7f800000u) return __builtin_nanf("");
  if (largest_bits == 0) return 1;
  float scale = __builtin_bit_cast(float, largest_bits) / (code == Code::kE5M6 ? 65024.0f : 448.0f);
  if (scale < 0x1p-120f) scale = 0x1p-120f;
  if (code == Code::kE4M3) return scale;
  // Up to the next power of two: a carry into the exponent unless the mantissa is zero.
  return __builtin_bit_cast(float, (__builtin_bit_cast(uint32_t, scale) + 0x7fffffu) & 0x7f800000u);
}
FATHOM_INLINE float ScaleOf(Code code, Ints largest_bits) {
  return ScaleOf(code, static_cast<uint32_t>(hn::GetLane(hn::MaxOfLanes(kInts, largest_bits))));
}

// x (|x| < 2^100, or NaN) rounded to `kBits` of mantissa, multiples of the smallest below
// 2^kLeastExponent, at most `largest`. Adding 1.5 x 2^k to a magnitude below 2^(k - 1) and taking
// it away again rounds to multiples of 2^(k - 23), halves to even.
template <int kBits, int kLeastExponent>
FATHOM_INLINE Floats RoundToFormat(Floats x, float largest) {
  const Ints least = SetBits(static_cast<uint32_t>((127 + kLeastExponent) << 23));
  const Ints exponent = hn::And(hn::Max(Magnitude(x), least), SetBits(0x7f800000));
  const Floats shift = FloatsOf(exponent + SetBits(((23 - kBits) << 23) + 0x400000));
  const Floats rounded = (FloatsOf(Magnitude(x)) + shift) - shift;
  const Floats most = Set(largest);
  // The order of the operands keeps a NaN.
#if HWY_TARGET == HWY_AVX2
  const Floats limited{_mm256_min_ps(most.raw, rounded.raw)};
#else
  const Floats limited{_mm512_min_ps(most.raw, rounded.raw)};
#endif
  return hn::CopySign(limited, x);
}
FATHOM_INLINE Floats RoundE4M3(Floats x) { return RoundToFormat<3, -6>(x, 448.0f); }
FATHOM_INLINE Floats RoundE5M6(Floats x) { return RoundToFormat<6, -14>(x, 65024.0f); }

// The codes of values that E4M3 has.
FATHOM_INLINE Ints CodesOf(Floats x) {
  const Ints magnitude = Magnitude(x);
  const Ints normal = hn::ShiftRight<20>(magnitude) - SetBits((127 - 7) << 3);
  const Ints small = hn::NearestInt(FloatsOf(magnitude) * Set(512.0f));
  Ints code = hn::IfThenElse(magnitude < SetBits((127 - 6) << 23), small, normal);
  code = hn::IfThenElse(magnitude > SetBits(0x7f800000), SetBits(0x7f), code);
  return hn::Or(code, hn::And(hn::ShiftRight<24>(BitsOf(x)), SetBits(0x80)));
}

FATHOM_INLINE void StoreCodes(Ints codes, uint8_t* out, int64_t n) {
#if HWY_TARGET == HWY_AVX2
  const hn::Rebind<uint8_t, IntTag> bytes;
  if (n >= kLanes) {
    hn::StoreU(hn::DemoteTo(bytes, codes), bytes, out);
    return;
  }
  alignas(16) uint8_t buffer[kLanes];
  hn::StoreU(hn::DemoteTo(bytes, codes), bytes, buffer);
  for (int64_t i = 0; i < n; ++i) out[i] = buffer[i];
#else
  const auto mask = static_cast<__mmask16>(n >= kLanes ? 0xffff : (1u << n) - 1);
  _mm_mask_storeu_epi8(out, mask, _mm512_cvtepi32_epi8(codes.raw));
#endif
}

// bf16 values of E4M3 codes, whole vectors of 2 kLanes; below the smallest normal by table.
#if HWY_TARGET == HWY_AVX2
FATHOM_INLINE void DecodeVector(const uint8_t* codes, uint16_t* y) {
  const __m256i table = _mm256_broadcastsi128_si256(
      _mm_setr_epi16(0x0000, 0x3b00, 0x3b80, 0x3bc0, 0x3c00, 0x3c20, 0x3c40, 0x3c60));
  const __m256i x = _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes)));
  const __m256i magnitude = _mm256_and_si256(x, _mm256_set1_epi16(0x7f));
  const __m256i sign = _mm256_slli_epi16(_mm256_and_si256(x, _mm256_set1_epi16(0x80)), 8);
  const __m256i normal =
      _mm256_add_epi16(_mm256_slli_epi16(magnitude, 4), _mm256_set1_epi16(0x3c00));
  const __m256i index = _mm256_add_epi16(_mm256_mullo_epi16(magnitude, _mm256_set1_epi16(0x0202)),
                                         _mm256_set1_epi16(0x0100));
  const __m256i is_small = _mm256_cmpgt_epi16(_mm256_set1_epi16(8), magnitude);
  const __m256i is_nan = _mm256_cmpeq_epi16(magnitude, _mm256_set1_epi16(0x7f));
  __m256i value = _mm256_blendv_epi8(normal, _mm256_shuffle_epi8(table, index), is_small);
  value = _mm256_blendv_epi8(value, _mm256_set1_epi16(0x7fc0), is_nan);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(y), _mm256_or_si256(value, sign));
}
#else
FATHOM_INLINE void DecodeVector(const uint8_t* codes, uint16_t* y) {
  const __m512i table = _mm512_broadcast_i32x4(
      _mm_setr_epi16(0x0000, 0x3b00, 0x3b80, 0x3bc0, 0x3c00, 0x3c20, 0x3c40, 0x3c60));
  const __m512i x =
      _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes)));
  const __m512i magnitude = _mm512_and_si512(x, _mm512_set1_epi16(0x7f));
  const __m512i sign = _mm512_slli_epi16(_mm512_and_si512(x, _mm512_set1_epi16(0x80)), 8);
  const __m512i normal =
      _mm512_add_epi16(_mm512_slli_epi16(magnitude, 4), _mm512_set1_epi16(0x3c00));
  const __m512i index = _mm512_add_epi16(_mm512_mullo_epi16(magnitude, _mm512_set1_epi16(0x0202)),
                                         _mm512_set1_epi16(0x0100));
  const __mmask32 is_small = _mm512_cmplt_epu16_mask(magnitude, _mm512_set1_epi16(8));
  const __mmask32 is_nan = _mm512_cmpeq_epu16_mask(magnitude, _mm512_set1_epi16(0x7f));
  __m512i value = _mm512_mask_blend_epi16(is_small, normal, _mm512_shuffle_epi8(table, index));
  value = _mm512_mask_blend_epi16(is_nan, value, _mm512_set1_epi16(0x7fc0));
  _mm512_storeu_si512(y, _mm512_or_si512(value, sign));
}
#endif

static void DecodeCodes(const uint8_t* codes, int64_t n, uint16_t* y) {
  int64_t i = 0;
  for (; i + 2 * kLanes <= n; i += 2 * kLanes) DecodeVector(codes + i, y + i);
  if (i == n) return;
  uint8_t from[2 * kLanes] = {};
  uint16_t to[2 * kLanes];
  for (int64_t j = i; j < n; ++j) from[j - i] = codes[j];
  DecodeVector(from, to);
  for (int64_t j = i; j < n; ++j) y[j] = to[j - i];
}

static void EncodeCodes(const uint16_t* x, int64_t n, uint8_t* codes) {
  ForVectors(
      n, [&](int64_t i, auto part) { StoreCodes(CodesOf(part.Load(x + i)), codes + i, n - i); });
}

// Calls f(begin, count) for the tiles of a row.
template <typename F>
FATHOM_INLINE void ForTiles(int64_t n, F&& f) {
  for (int64_t begin = 0; begin < n; begin += kTile)
    f(begin, n - begin < kTile ? n - begin : kTile);
}

// The lower halves of E5M6's planes: element j's bits in the lower half of byte j mod ceil(n / 2).
static void StoreE5M6(const uint16_t* halves, int64_t n, uint8_t* codes) {
  const int64_t half = (n + 1) / 2;
  for (int64_t j = 0; j < n; ++j) codes[j] = static_cast<uint8_t>(halves[j] >> 8);
  for (int64_t j = 0; j < n - half; ++j) {
    codes[n + j] = static_cast<uint8_t>(((halves[j] >> 4) & 15) | (halves[half + j] & 0xf0));
  }
  if (n % 2 != 0) codes[n + half - 1] = static_cast<uint8_t>((halves[half - 1] >> 4) & 15);
}
static void LoadE5M6(const uint8_t* codes, int64_t n, uint16_t* halves) {
  const int64_t half = (n + 1) / 2;
  for (int64_t j = 0; j < half; ++j) {
    halves[j] = static_cast<uint16_t>((codes[j] << 8) | ((codes[n + j] & 15) << 4));
  }
  for (int64_t j = half; j < n; ++j) {
    halves[j] = static_cast<uint16_t>((codes[j] << 8) | (codes[n + j - half] & 0xf0));
  }
}

FATHOM_INLINE void StoreHalves(Floats x, uint16_t* y) {
#if HWY_TARGET == HWY_AVX2
  _mm_storeu_si128(reinterpret_cast<__m128i*>(y), _mm256_cvtps_ph(x.raw, 0));
#else
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(y), _mm512_cvtps_ph(x.raw, 0));
#endif
}
FATHOM_INLINE Floats LoadHalves(const uint16_t* x) {
#if HWY_TARGET == HWY_AVX2
  return Floats{_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x)))};
#else
  return Floats{_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(x)))};
#endif
}

static float LargestMagnitude(Element x_type, const void* x_any, int64_t n) {
  return Typed(x_type, x_any, [&](auto* x) {
    const Ints bits = hn::MaxOfLanes(kInts, LargestBits(x, n, hn::Zero(kInts)));
    return __builtin_bit_cast(float, hn::GetLane(bits));
  });
}

static void QuantizeRow(Code code, Element x_type, const void* x_any, int64_t n, float at_least,
                        uint8_t* codes, float* scales) {
  const Ints floor = BitsOf(Set(at_least));
  Typed(x_type, x_any, [&](auto* x) {
    ForTiles(n, [&](int64_t begin, int64_t count) {
      const auto* tile = x + begin;
      const float scale = ScaleOf(code, LargestBits(tile, count, floor));
      *scales++ = scale;
      const Floats inverse = Set(1.0f / scale);
      if (code == Code::kE5M6) {
        uint16_t halves[kTile + kLanes];
        ForVectors(count, [&](int64_t i, auto part) {
          StoreHalves(RoundE5M6(part.Load(tile + i) * inverse), halves + i);
        });
        StoreE5M6(halves, count, codes);
        codes += count + (count + 1) / 2;
        return;
      }
      ForVectors(count, [&](int64_t i, auto part) {
        StoreCodes(CodesOf(RoundE4M3(part.Load(tile + i) * inverse)), codes + i, count - i);
      });
      codes += count;
    });
  });
}

static void DequantizeRow(Code code, const uint8_t* codes, const float* scales, int64_t n,
                          Element y_type, void* y_any) {
  Typed(y_type, y_any, [&](auto* y) {
    ForTiles(n, [&](int64_t begin, int64_t count) {
      const Floats scale = Set(*scales++);
      uint16_t values[kTile + kLanes];
      const bool wide = code == Code::kE5M6;
      if (wide) {
        LoadE5M6(codes, count, values);
      } else {
        DecodeCodes(codes, count, values);
      }
      codes += wide ? count + (count + 1) / 2 : count;
      auto* to = y + begin;
      ForVectors(count, [&](int64_t i, auto part) {
        part.Store((wide ? LoadHalves(values + i) : Load(values + i)) * scale, to + i);
      });
    });
  });
}

static void RoundRow(Code code, Element x_type, const void* x_any, int64_t n, float at_least,
                     uint16_t* y, float* scales) {
  const Ints floor = BitsOf(Set(at_least));
  Typed(x_type, x_any, [&](auto* x) {
    ForTiles(n, [&](int64_t begin, int64_t count) {
      const auto* tile = x + begin;
      const float scale = ScaleOf(code, LargestBits(tile, count, floor));
      *scales++ = scale;
      const Floats inverse = Set(1.0f / scale);
      auto* to = y + begin;
      ForVectors(count, [&](int64_t i, auto part) {
        part.Store(RoundE4M3(part.Load(tile + i) * inverse), to + i);
      });
    });
  });
}

static float RoundSquare(Code code, Element x_type, const void* const* rows, int64_t first,
                         int64_t count, int64_t columns, float at_least, uint16_t* y) {
  return Typed(x_type, rows[0], [&](auto* any) {
    using T = std::remove_pointer_t<decltype(any)>;
    Ints most = BitsOf(Set(at_least));
    for (int64_t r = 0; r < count; ++r) {
      most = LargestBits(static_cast<T*>(rows[r]) + first, columns, most);
    }
    const float scale = ScaleOf(code, most);
    const Floats inverse = Set(1.0f / scale);
    for (int64_t r = 0; r < count; ++r) {
      const auto* x = static_cast<T*>(rows[r]) + first;
      uint16_t* to = y + r * kTile;
      ForVectors(columns, [&](int64_t i, auto part) {
        part.Store(RoundE4M3(part.Load(x + i) * inverse), to + i);
      });
    }
    return scale;
  });
}

static void RoundColumns(Element x_type, const void* const* rows, int64_t first, int64_t count,
                         int64_t columns, float at_least, uint16_t* y, int64_t y_stride,
                         float* scales) {
  Typed(x_type, rows[0], [&](auto* any) {
    using T = std::remove_pointer_t<decltype(any)>;
    ForVectors(columns, [&](int64_t j, auto part) {
      Ints most = BitsOf(Set(at_least));
      for (int64_t r = 0; r < count; ++r) {
        most = hn::Max(most, Magnitude(part.Load(static_cast<T*>(rows[r]) + first + j)));
      }
      // ScaleOf for powers of two, lane by lane.
      const Ints nan = SetBits(0x7fc00000);
      const Floats least = Set(0x1p-120f);
      Ints scale = BitsOf(hn::Max(FloatsOf(most) / Set(448.0f), least));
      scale = hn::And(scale + SetBits(0x7fffff), SetBits(0x7f800000));
      scale = hn::IfThenElse(most == hn::Zero(kInts), BitsOf(Set(1.0f)), scale);
      scale = hn::IfThenElse(most > SetBits(0x7f7fffff), nan, scale);
      part.Store(FloatsOf(scale), scales + j);
      const Floats inverse = Set(1.0f) / FloatsOf(scale);
      for (int64_t r = 0; r < count; ++r) {
        const Floats x = part.Load(static_cast<T*>(rows[r]) + first + j);
        part.Store(RoundE4M3(x * inverse), y + r * y_stride + j);
      }
    });
  });
}

}  // namespace fathom::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

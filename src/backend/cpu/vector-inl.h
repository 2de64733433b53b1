#pragma once

// Vectors of f32 on the instruction set this translation unit is compiled for, loaded from and
// stored to f32 or bf16 (as uint16_t).

#include <hwy/highway.h>
#include <immintrin.h>

#include "backend/cpu/kernel_table.h"

HWY_BEFORE_NAMESPACE();
namespace fathom::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using FloatTag = hn::ScalableTag<float>;
using WordTag = hn::RebindToUnsigned<FloatTag>;
using HalfTag = hn::Rebind<uint16_t, FloatTag>;
using Floats = hn::Vec<FloatTag>;
inline constexpr FloatTag kFloats;
inline constexpr WordTag kWords;
inline constexpr HalfTag kHalves;
inline constexpr int64_t kLanes = HWY_LANES(float);

// Lanes of a panel, and most rows of a strip. On AVX2 there are twelve accumulators in sixteen
// registers, and a bf16 panel takes four registers to unpack.
inline constexpr int64_t kPanel = 2 * kLanes;
template <Element kType>
inline constexpr int64_t kStrip = HWY_TARGET != HWY_AVX2 ? 12 : (kType == Element::kF32 ? 6 : 4);

inline constexpr int64_t kLine = kStripLine;
// Of rows that lie far apart the processor does not guess the next one: this many later is asked
// for.
inline constexpr int64_t kRowsAhead = 16;

#define FATHOM_INLINE static HWY_INLINE

FATHOM_INLINE Floats Set(float x) { return hn::Set(kFloats, x); }
FATHOM_INLINE Floats Zero() { return hn::Zero(kFloats); }

FATHOM_INLINE Floats Load(const float* p) { return hn::LoadU(kFloats, p); }
FATHOM_INLINE Floats Load(const uint16_t* p) {
  return hn::BitCast(kFloats, hn::ShiftLeft<16>(hn::PromoteTo(kWords, hn::LoadU(kHalves, p))));
}

// One rounding to nearest even; a NaN stays a quiet NaN.
FATHOM_INLINE hn::Vec<HalfTag> ToBF16(Floats x) {
#ifdef __AVX512BF16__
  return hn::Vec<HalfTag>{(__m256i)_mm512_cvtneps_pbh(x.raw)};
#else
  const auto bits = hn::BitCast(kWords, x);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(kWords, 1));
  auto rounded = hn::ShiftRight<16>(bits + hn::Set(kWords, 0x7fff) + odd);
  const auto quiet = hn::Or(hn::ShiftRight<16>(bits), hn::Set(kWords, 0x40));
  rounded = hn::IfThenElse(hn::RebindMask(kWords, hn::IsNaN(x)), quiet, rounded);
  const __m256i packed = _mm256_packus_epi32(rounded.raw, rounded.raw);
  return hn::Vec<HalfTag>{_mm256_castsi256_si128(_mm256_permute4x64_epi64(packed, 0x08))};
#endif
}

FATHOM_INLINE void Store(Floats x, float* p) { hn::StoreU(x, kFloats, p); }
FATHOM_INLINE void Store(Floats x, uint16_t* p) { hn::StoreU(ToBF16(x), kHalves, p); }

// The first n < kLanes elements; lanes beyond are zero, memory beyond is not touched.
FATHOM_INLINE Floats LoadN(const float* p, int64_t n) {
#if HWY_TARGET == HWY_AVX2
  const auto mask = hn::FirstN(kFloats, static_cast<size_t>(n));
  return hn::MaskedLoad(mask, kFloats, p);
#else
  return Floats{_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), p)};
#endif
}
FATHOM_INLINE Floats LoadN(const uint16_t* p, int64_t n) {
#if HWY_TARGET == HWY_AVX2
  alignas(16) uint16_t buffer[8] = {};
  for (int64_t i = 0; i < n; ++i) buffer[i] = p[i];
  return Load(buffer);
#else
  const __m256i half = _mm256_maskz_loadu_epi16(static_cast<__mmask16>((1u << n) - 1), p);
  return Floats{_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16))};
#endif
}
FATHOM_INLINE void StoreN(Floats x, float* p, int64_t n) {
#if HWY_TARGET == HWY_AVX2
  hn::BlendedStore(x, hn::FirstN(kFloats, static_cast<size_t>(n)), kFloats, p);
#else
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1), x.raw);
#endif
}
FATHOM_INLINE void StoreN(Floats x, uint16_t* p, int64_t n) {
#if HWY_TARGET == HWY_AVX2
  alignas(16) uint16_t buffer[8];
  Store(x, buffer);
  for (int64_t i = 0; i < n; ++i) p[i] = buffer[i];
#else
  _mm256_mask_storeu_epi16(p, static_cast<__mmask16>((1u << n) - 1), ToBF16(x).raw);
#endif
}

using hn::MulAdd;  // MulAdd(a, b, c) = a b + c, one rounding

// Calls f(i, Full) for whole vectors and once f(i, Part) for what is left: Full and Part load and
// store.
struct Full {
  template <typename T>
  HWY_INLINE Floats Load(const T* p) const {
    return HWY_NAMESPACE::Load(p);
  }
  template <typename T>
  HWY_INLINE void Store(Floats x, T* p) const {
    HWY_NAMESPACE::Store(x, p);
  }
};
struct Part {
  int64_t n;
  template <typename T>
  HWY_INLINE Floats Load(const T* p) const {
    return LoadN(p, n);
  }
  template <typename T>
  HWY_INLINE void Store(Floats x, T* p) const {
    StoreN(x, p, n);
  }
};
template <typename F>
FATHOM_INLINE void ForVectors(int64_t n, F&& f) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) f(i, Full{});
  if (i < n) f(i, Part{n - i});
}

FATHOM_INLINE float SumOf(Floats x) { return hn::GetLane(hn::SumOfLanes(kFloats, x)); }
FATHOM_INLINE float MaxOf(Floats x) { return hn::GetLane(hn::MaxOfLanes(kFloats, x)); }

// e^x to about one unit in the last place: e^x = 2^n e^r with r in [-ln 2 / 2, ln 2 / 2], the
// Taylor polynomial of degree 7 of e^r. Below the normal range the result is 0, NaN stays NaN. Our
// own, so that a lane's value depends on nothing but its argument.
FATHOM_INLINE Floats Exp(Floats x) {
  // The order of the operands keeps a NaN.
#if HWY_TARGET == HWY_AVX2
  const Floats clamped{
      _mm256_min_ps(_mm256_set1_ps(100.0f), _mm256_max_ps(_mm256_set1_ps(-110.0f), x.raw))};
#else
  const Floats clamped{
      _mm512_min_ps(_mm512_set1_ps(100.0f), _mm512_max_ps(_mm512_set1_ps(-110.0f), x.raw))};
#endif
  const Floats n = hn::Round(clamped * Set(1.44269504088896341f));
  Floats r = hn::NegMulAdd(n, Set(0.693145751953125f), clamped);
  r = hn::NegMulAdd(n, Set(1.42860682e-6f), r);
  Floats p = Set(1.0f / 5040);
  p = MulAdd(p, r, Set(1.0f / 720));
  p = MulAdd(p, r, Set(1.0f / 120));
  p = MulAdd(p, r, Set(1.0f / 24));
  p = MulAdd(p, r, Set(1.0f / 6));
  p = MulAdd(p, r, Set(0.5f));
  p = MulAdd(p, r, Set(1.0f));
  p = MulAdd(p, r, Set(1.0f));
#if HWY_TARGET == HWY_AVX2
  // 2^n in two factors, as n may be outside the exponents of f32.
  const __m256i whole = _mm256_cvtps_epi32(n.raw);
  const __m256i half = _mm256_srai_epi32(whole, 1);
  const __m256i rest = _mm256_sub_epi32(whole, half);
  const __m256i bias = _mm256_set1_epi32(127);
  const __m256 f0 = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23));
  const __m256 f1 = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23));
  return Floats{_mm256_mul_ps(_mm256_mul_ps(p.raw, f0), f1)};
#else
  return Floats{_mm512_scalef_ps(p.raw, n.raw)};
#endif
}

// 1 / (1 + e^-x).
FATHOM_INLINE Floats Sigmoid(Floats x) { return Set(1.0f) / (Set(1.0f) + Exp(hn::Neg(x))); }

// Calls f with a typed pointer for each element type.
template <typename F>
FATHOM_INLINE auto Typed(Element type, const void* p, F&& f) {
  return type == Element::kF32 ? f(static_cast<const float*>(p))
                               : f(static_cast<const uint16_t*>(p));
}
template <typename F>
FATHOM_INLINE auto Typed(Element type, void* p, F&& f) {
  return type == Element::kF32 ? f(static_cast<float*>(p)) : f(static_cast<uint16_t*>(p));
}

}  // namespace fathom::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

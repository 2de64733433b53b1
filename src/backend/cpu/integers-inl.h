#pragma once

// Vectors of integer codes, on the instruction set this translation unit is compiled for.

#include "backend/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fathom::cpu::HWY_NAMESPACE {

#if HWY_TARGET == HWY_AVX2

using Codes = __m256i;
FATHOM_INLINE Codes LoadCodes(const void* p) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(p));
}
FATHOM_INLINE void SaveCodes(Codes x, void* p) { _mm256_storeu_si256(static_cast<__m256i*>(p), x); }
FATHOM_INLINE Codes SetWord(int32_t x) { return _mm256_set1_epi32(x); }
FATHOM_INLINE Codes And(Codes a, Codes b) { return _mm256_and_si256(a, b); }
FATHOM_INLINE Codes Or(Codes a, Codes b) { return _mm256_or_si256(a, b); }
FATHOM_INLINE Codes Add32(Codes a, Codes b) { return _mm256_add_epi32(a, b); }
FATHOM_INLINE Codes Sub32(Codes a, Codes b) { return _mm256_sub_epi32(a, b); }
template <int kBits>
FATHOM_INLINE Codes Left16(Codes x) {
  return _mm256_slli_epi16(x, kBits);
}
template <int kBits>
FATHOM_INLINE Codes Right16(Codes x) {
  return _mm256_srli_epi16(x, kBits);
}
template <int kBits>
FATHOM_INLINE Codes Left32(Codes x) {
  return _mm256_slli_epi32(x, kBits);
}
template <int kBits>
FATHOM_INLINE Codes Right32(Codes x) {
  return _mm256_srli_epi32(x, kBits);
}
template <int kBits>
FATHOM_INLINE Codes RightSigned32(Codes x) {
  return _mm256_srai_epi32(x, kBits);
}
template <int kBits>
FATHOM_INLINE Codes RightSigned16(Codes x) {
  return _mm256_srai_epi16(x, kBits);
}
// The bits of a where those of mask are set, of b elsewhere.
FATHOM_INLINE Codes Select(Codes mask, Codes a, Codes b) {
  return _mm256_or_si256(_mm256_and_si256(mask, a), _mm256_andnot_si256(mask, b));
}
// Of each word, the sum of the products of its two 16-bit halves.
FATHOM_INLINE Codes MulAddHalves(Codes a, Codes b) { return _mm256_madd_epi16(a, b); }
FATHOM_INLINE Codes AddMulHalves(Codes sum, Codes a, Codes b) {
  return Add32(sum, MulAddHalves(a, b));
}
FATHOM_INLINE Floats ToFloats(Codes x) { return Floats{_mm256_cvtepi32_ps(x)}; }
FATHOM_INLINE Floats FromHalfPrecision(const void* p) {
  return Floats{_mm256_cvtph_ps(_mm_loadu_si128(static_cast<const __m128i*>(p)))};
}
// The lower and the upper halves of words.
FATHOM_INLINE Floats FromLowHalf(Codes x) {
  const __m256i packed = _mm256_packus_epi32(_mm256_and_si256(x, _mm256_set1_epi32(0xffff)), x);
  return Floats{_mm256_cvtph_ps(_mm256_castsi256_si128(_mm256_permute4x64_epi64(packed, 0x08)))};
}

#else

using Codes = __m512i;
FATHOM_INLINE Codes LoadCodes(const void* p) { return _mm512_loadu_si512(p); }
FATHOM_INLINE void SaveCodes(Codes x, void* p) { _mm512_storeu_si512(p, x); }
FATHOM_INLINE Codes SetWord(int32_t x) { return _mm512_set1_epi32(x); }
FATHOM_INLINE Codes And(Codes a, Codes b) { return _mm512_and_si512(a, b); }
FATHOM_INLINE Codes Or(Codes a, Codes b) { return _mm512_or_si512(a, b); }
FATHOM_INLINE Codes Add32(Codes a, Codes b) { return _mm512_add_epi32(a, b); }
FATHOM_INLINE Codes Sub32(Codes a, Codes b) { return _mm512_sub_epi32(a, b); }
template <int kBits>
FATHOM_INLINE Codes Left16(Codes x) {
  return _mm512_slli_epi16(x, kBits);
}
template <int kBits>
FATHOM_INLINE Codes Right16(Codes x) {
  return _mm512_srli_epi16(x, kBits);
}
template <int kBits>
FATHOM_INLINE Codes Left32(Codes x) {
  return _mm512_slli_epi32(x, kBits);
}
template <int kBits>
FATHOM_INLINE Codes Right32(Codes x) {
  return _mm512_srli_epi32(x, kBits);
}
template <int kBits>
FATHOM_INLINE Codes RightSigned32(Codes x) {
  return _mm512_srai_epi32(x, kBits);
}
template <int kBits>
FATHOM_INLINE Codes RightSigned16(Codes x) {
  return _mm512_srai_epi16(x, kBits);
}
FATHOM_INLINE Codes Select(Codes mask, Codes a, Codes b) {
  return _mm512_ternarylogic_epi32(mask, a, b, 0xca);
}
FATHOM_INLINE Codes MulAddHalves(Codes a, Codes b) { return _mm512_madd_epi16(a, b); }
FATHOM_INLINE Codes AddMulHalves(Codes sum, Codes a, Codes b) {
  return _mm512_dpwssd_epi32(sum, a, b);
}
FATHOM_INLINE Floats ToFloats(Codes x) { return Floats{_mm512_cvtepi32_ps(x)}; }
FATHOM_INLINE Floats FromHalfPrecision(const void* p) {
  return Floats{_mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i*>(p)))};
}
FATHOM_INLINE Floats FromLowHalf(Codes x) {
  return Floats{_mm512_cvtph_ps(_mm512_cvtepi32_epi16(x))};
}

#endif

FATHOM_INLINE Codes ZeroCodes() { return SetWord(0); }
// The same byte everywhere.
FATHOM_INLINE Codes SetByte(int x) { return SetWord(x * 0x01010101); }

inline constexpr int64_t kCodesBytes = 4 * kLanes;

}  // namespace fathom::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

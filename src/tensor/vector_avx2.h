#pragma once

#include <cpuid.h>
#include <immintrin.h>

#include "tensor/dtype.h"

namespace fathom::avx2 {

// What decoders and encoders of file types share. This folder is built for any x86-64: a function
// that uses these carries FATHOM_AVX2 and is called after Available() only.
#define FATHOM_AVX2 __attribute__((target("avx2,f16c")))

// F16C has its bit of CPUID read, because clang's __builtin_cpu_supports does not know it.
inline bool Available() {
  static const bool available = [] {
    unsigned a, b, c, d;
    return __builtin_cpu_supports("avx2") && __get_cpuid(1, &a, &b, &c, &d) != 0 &&
           (c & bit_F16C) != 0;
  }();
  return available;
}

constexpr int64_t kLanes = 8;

FATHOM_AVX2 inline __m256 Load(const float* x) { return _mm256_loadu_ps(x); }
FATHOM_AVX2 inline __m256 Load(const BF16* x) {
  const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(x));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}

FATHOM_AVX2 inline void Store(__m256 x, float* y) { _mm256_storeu_ps(y, x); }
FATHOM_AVX2 inline void Store(__m256 x, double* y) {
  _mm256_storeu_pd(y, _mm256_cvtps_pd(_mm256_castps256_ps128(x)));
  _mm256_storeu_pd(y + 4, _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1)));
}
// As BF16(float).
FATHOM_AVX2 inline void Store(__m256 x, BF16* y) {
  const __m256i word = _mm256_castps_si256(x);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(word, 16), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_srli_epi32(
      _mm256_add_epi32(word, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff))), 16);
  const __m256i quiet = _mm256_or_si256(_mm256_srli_epi32(word, 16), _mm256_set1_epi32(0x40));
  const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
  const __m256i bits = _mm256_blendv_epi8(rounded, quiet, nan);
  const __m128i packed =
      _mm_packus_epi32(_mm256_castsi256_si128(bits), _mm256_extracti128_si256(bits, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(y), packed);
}

}  // namespace fathom::avx2

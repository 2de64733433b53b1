#include "tensor/float8.h"

#include <algorithm>
#include <array>

#include "tensor/vector_avx2.h"

namespace fathom {
namespace {

const std::array<float, 256>& Values() {
  static const std::array<float, 256> values = [] {
    std::array<float, 256> table;
    for (int code = 0; code < 256; ++code) {
      E4M3 value;
      value.bits = static_cast<uint8_t>(code);
      table[static_cast<size_t>(code)] = static_cast<float>(value);
    }
    return table;
  }();
  return values;
}

// By way of f16, whose exponent is wider by one bit: the same bits seven places up are the value
// times 2^-8, subnormals too, which the conversion to f32 takes exactly whatever the thread does
// with denormals. NaN, which f16 would take for 480, is put in afterwards.
FATHOM_AVX2 inline __m256 DecodeVector(const E4M3* x) {
  const __m128i codes = _mm_cvtepu8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(x)));
  const __m128i magnitude = _mm_and_si128(codes, _mm_set1_epi16(0x7f));
  const __m128i sign = _mm_slli_epi16(_mm_and_si128(codes, _mm_set1_epi16(0x80)), 8);
  const __m128i nan = _mm_cmpeq_epi16(magnitude, _mm_set1_epi16(0x7f));
  const __m128i half = _mm_or_si128(_mm_or_si128(_mm_slli_epi16(magnitude, 7), sign),
                                    _mm_and_si128(nan, _mm_set1_epi16(0x7e00)));
  return _mm256_mul_ps(_mm256_cvtph_ps(half), _mm256_set1_ps(256));
}

template <typename To>
FATHOM_AVX2 int64_t DecodeVectors(const E4M3* x, float scale, int64_t count, To* y) {
  const __m256 factor = _mm256_set1_ps(scale);
  int64_t i = 0;
  for (; i + avx2::kLanes <= count; i += avx2::kLanes)
    avx2::Store(_mm256_mul_ps(DecodeVector(x + i), factor), y + i);
  return i;
}

template <typename To>
void Decode(const E4M3* x, float scale, int64_t count, To* y) {
  int64_t i = avx2::Available() ? DecodeVectors(x, scale, count, y) : 0;
  const std::array<float, 256>& values = Values();
  for (; i < count; ++i) y[i] = static_cast<To>(values[x[i].bits] * scale);
}

FATHOM_AVX2 inline __m256i Select(__m256i condition, __m256i a, __m256i b) {
  return _mm256_blendv_epi8(b, a, condition);
}

// As E4M3(float), branches turned into selections.
FATHOM_AVX2 inline __m256i EncodeVector(__m256 x) {
  const __m256i word = _mm256_castps_si256(x);
  const __m256i sign = _mm256_and_si256(_mm256_srli_epi32(word, 24), _mm256_set1_epi32(0x80));
  const __m256i magnitude = _mm256_and_si256(word, _mm256_set1_epi32(0x7fffffff));
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(magnitude, 20), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_srli_epi32(
      _mm256_add_epi32(magnitude, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7ffff))), 20);
  const __m256i normal = _mm256_sub_epi32(rounded, _mm256_set1_epi32((127 - 7) << 3));
  const __m256i subnormal =
      _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_castsi256_ps(magnitude), _mm256_set1_ps(512)));
  const __m256i is_normal = _mm256_cmpgt_epi32(magnitude, _mm256_set1_epi32(0x3c7fffff));
  const __m256i is_large = _mm256_cmpgt_epi32(magnitude, _mm256_set1_epi32(0x43dfffff));
  const __m256i is_nan = _mm256_cmpgt_epi32(magnitude, _mm256_set1_epi32(0x7f800000));
  __m256i code = Select(is_normal, normal, subnormal);
  code = Select(is_large, _mm256_set1_epi32(0x7e), code);
  code = Select(is_nan, _mm256_set1_epi32(0x7f), code);
  return _mm256_or_si256(code, sign);
}

FATHOM_AVX2 int64_t EncodeVectors(const float* x, float scale, int64_t count, E4M3* y) {
  const __m256 divisor = _mm256_set1_ps(scale);
  int64_t i = 0;
  for (; i + avx2::kLanes <= count; i += avx2::kLanes) {
    const __m256i codes = EncodeVector(_mm256_div_ps(avx2::Load(x + i), divisor));
    const __m128i words =
        _mm_packus_epi32(_mm256_castsi256_si128(codes), _mm256_extracti128_si256(codes, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(y + i), _mm_packus_epi16(words, words));
  }
  return i;
}

FATHOM_AVX2 int64_t LargestOfVectors(const float* x, int64_t count, uint32_t& largest) {
  const __m256i mask = _mm256_set1_epi32(0x7fffffff);
  __m256i most = _mm256_setzero_si256();
  int64_t i = 0;
  for (; i + avx2::kLanes <= count; i += avx2::kLanes)
    most = _mm256_max_epu32(most, _mm256_and_si256(_mm256_castps_si256(avx2::Load(x + i)), mask));
  alignas(32) std::array<uint32_t, avx2::kLanes> lanes;
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes.data()), most);
  for (const uint32_t lane : lanes) largest = std::max(largest, lane);
  return i;
}

}  // namespace

void DecodeE4M3(const E4M3* x, float scale, int64_t count, float* y) { Decode(x, scale, count, y); }
void DecodeE4M3(const E4M3* x, float scale, int64_t count, BF16* y) { Decode(x, scale, count, y); }
void DecodeE4M3(const E4M3* x, float scale, int64_t count, double* y) {
  Decode(x, scale, count, y);
}

uint32_t LargestMagnitude(const float* x, int64_t count) {
  uint32_t largest = 0;
  int64_t i = avx2::Available() ? LargestOfVectors(x, count, largest) : 0;
  for (; i < count; ++i) largest = std::max(largest, std::bit_cast<uint32_t>(x[i]) & 0x7fffffffu);
  return largest;
}

void EncodeE4M3(const float* x, float scale, int64_t count, E4M3* y) {
  int64_t i = avx2::Available() ? EncodeVectors(x, scale, count, y) : 0;
  for (; i < count; ++i) y[i] = E4M3(x[i] / scale);
}

}  // namespace fathom

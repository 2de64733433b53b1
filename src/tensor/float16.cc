#include "tensor/float16.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "tensor/vector_avx2.h"

namespace fathom {
namespace {

// What of [0, count) a vector loop has done is returned; the caller does the rest.
template <typename To>
FATHOM_AVX2 int64_t DecodeVectors(const F16* x, int64_t count, To* y) {
  int64_t i = 0;
  for (; i + avx2::kLanes <= count; i += avx2::kLanes) {
    const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(x + i));
    avx2::Store(_mm256_cvtph_ps(bits), y + i);
  }
  return i;
}

FATHOM_AVX2 int64_t EncodeVectors(const float* x, int64_t count, F16* y) {
  int64_t i = 0;
  for (; i + avx2::kLanes <= count; i += avx2::kLanes) {
    const __m128i bits = _mm256_cvtps_ph(avx2::Load(x + i), _MM_FROUND_TO_NEAREST_INT);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(y + i), bits);
  }
  return i;
}

template <typename To>
void Decode(const F16* x, int64_t count, To* y) {
  int64_t i = avx2::Available() ? DecodeVectors(x, count, y) : 0;
  for (; i < count; ++i) {
    F16 half;
    std::memcpy(&half, x + i, sizeof(half));
    y[i] = static_cast<To>(static_cast<float>(half));
  }
}

}  // namespace

F16::F16(float value) {
  const auto word = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>((word >> 16) & 0x8000u);
  const uint32_t magnitude = word & 0x7fffffffu;
  constexpr uint32_t kSmallestNormal = 0x38800000;  // 2^-14
  constexpr uint32_t kOverflow = 0x477ff000;        // 65520, half-way from 65504 to 2^16
  if (magnitude > 0x7f800000u) {
    bits = static_cast<uint16_t>(sign | 0x7e00u | ((magnitude >> 13) & 0x1ffu));
  } else if (magnitude >= kOverflow) {
    bits = sign | 0x7c00u;
  } else if (magnitude >= kSmallestNormal) {
    const uint32_t rounded = (magnitude + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
    bits = static_cast<uint16_t>(sign | (rounded - ((127 - 15) << 10)));
  } else {
    // Multiples of 2^-24; 1024 of them are the smallest normal, whose code is 1024.
    bits = static_cast<uint16_t>(sign | std::lrint(std::bit_cast<float>(magnitude) * 0x1p24F));
  }
}

F16::operator float() const {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  const uint32_t magnitude = bits & 0x7fffu;
  if (magnitude >= 0x7c00u) {  // infinity or NaN
    const uint32_t quiet = magnitude > 0x7c00u ? 0x400000u : 0;
    return std::bit_cast<float>(sign | 0x7f800000u | ((magnitude & 0x3ffu) << 13) | quiet);
  }
  if (magnitude < 0x400u) {  // subnormal
    const float value = static_cast<float>(magnitude) * 0x1p-24F;
    return sign != 0 ? -value : value;
  }
  return std::bit_cast<float>(sign | ((magnitude << 13) + ((127u - 15u) << 23)));
}

void DecodeF16(const F16* x, int64_t count, float* y) { Decode(x, count, y); }
void DecodeF16(const F16* x, int64_t count, BF16* y) { Decode(x, count, y); }
void DecodeF16(const F16* x, int64_t count, double* y) { Decode(x, count, y); }

void EncodeF16(const float* x, int64_t count, F16* y) {
  int64_t i = avx2::Available() ? EncodeVectors(x, count, y) : 0;
  for (; i < count; ++i) y[i] = F16(x[i]);
}

}  // namespace fathom

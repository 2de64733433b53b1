#include "tensor/quantize.h"

#include <algorithm>

#include "base/error.h"

namespace fathom {
namespace {

int64_t Tiles(int64_t d) { return (d + kScaleTile - 1) / kScaleTile; }

}  // namespace

E5M6::E5M6(float value) {
  const auto word = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>((word >> 31) << 11);
  const float magnitude = std::abs(value);
  if (!(magnitude <= std::bit_cast<float>(0x7f800000u))) {
    bits = sign | 0x7e0;  // NaN
  } else if (magnitude >= kLargest) {
    bits = sign | 0x7bf;
  } else if (magnitude < 0x1p-14F) {
    bits = sign | static_cast<uint16_t>(std::lrint(magnitude * 0x1p20F));
  } else {
    const uint32_t rounded = (word & 0x7fffffffu) + 0xffffu + ((word >> 17) & 1u);
    bits = sign | static_cast<uint16_t>((rounded >> 17) - ((127u - 15u) << 6));
  }
}

E5M6::operator float() const {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x800u) << 20;
  const uint32_t magnitude = bits & 0x7ffu;
  if (magnitude >= 0x7c0) return std::bit_cast<float>(sign | 0x7fc00000u);
  if (magnitude < 64) {
    const float value = static_cast<float>(magnitude) * 0x1p-20F;
    return sign != 0 ? -value : value;
  }
  return std::bit_cast<float>(sign | ((magnitude << 17) + ((127u - 15u) << 23)));
}

float TileScale(DType dtype, float largest) {
  if (!std::isfinite(largest)) return std::bit_cast<float>(0x7fc00000u);
  // Below the normal numbers a scale has no reciprocal in f32.
  const float scale = std::max(largest / LargestCode(dtype), 0x1p-120F);
  if (largest == 0) return 1;
  if (dtype == DType::kE4M3 || dtype == DType::kE4M3Tensor) return scale;
  int exponent;
  const float fraction = std::frexp(scale, &exponent);  // in [0.5, 1)
  return std::ldexp(1.0F, fraction == 0.5F ? exponent - 1 : exponent);
}

float RoundToCode(DType dtype, float x, float scale) {
  const float value = x * (1.0F / scale);
  return dtype == DType::kE5M6 ? static_cast<float>(E5M6(value)) : static_cast<float>(E4M3(value));
}

int64_t QuantizedScalesOffset(DType dtype, int64_t d) {
  const int64_t whole = d / kScaleTile, rest = d % kScaleTile;
  const int64_t codes =
      dtype == DType::kE5M6 ? whole * (kScaleTile + kScaleTile / 2) + rest + (rest + 1) / 2 : d;
  return (codes + 3) / 4 * 4;
}

int64_t QuantizedRowBytes(DType dtype, int64_t d) {
  FATHOM_CHECK(IsQuantized(dtype), "{} is no quantised type", Name(dtype));
  return QuantizedScalesOffset(dtype, d) + 4 * Tiles(d);
}

void QuantizeRow(DType dtype, std::span<const float> x, void* row, float at_least) {
  const auto d = static_cast<int64_t>(x.size());
  auto* codes = static_cast<uint8_t*>(row);
  auto* scales = reinterpret_cast<float*>(codes + QuantizedScalesOffset(dtype, d));
  for (int64_t tile = 0; tile < Tiles(d); ++tile) {
    const int64_t begin = tile * kScaleTile, n = std::min(kScaleTile, d - begin);
    const auto part = x.subspan(static_cast<size_t>(begin), static_cast<size_t>(n));
    // Magnitudes' bits are ordered as they are, with NaN above all.
    const uint32_t bits =
        std::max(LargestMagnitude(part.data(), n), std::bit_cast<uint32_t>(at_least));
    const float scale = TileScale(dtype, std::bit_cast<float>(bits));
    const float inverse = 1.0F / scale;
    scales[tile] = scale;
    if (dtype != DType::kE5M6) {
      for (const float value : part) *codes++ = E4M3(value * inverse).bits;
      continue;
    }
    const int64_t half = (n + 1) / 2;
    std::fill(codes + n, codes + n + half, uint8_t{0});
    for (int64_t j = 0; j < n; ++j) {
      const uint16_t code = E5M6(part[static_cast<size_t>(j)] * inverse).bits;
      codes[j] = static_cast<uint8_t>(code >> 4);
      codes[n + j % half] |= static_cast<uint8_t>((code & 15) << (j < half ? 0 : 4));
    }
    codes += n + half;
  }
}

void DequantizeRow(DType dtype, const void* row, std::span<float> y) {
  const auto d = static_cast<int64_t>(y.size());
  const auto* codes = static_cast<const uint8_t*>(row);
  const auto* scales = reinterpret_cast<const float*>(codes + QuantizedScalesOffset(dtype, d));
  for (int64_t tile = 0; tile < Tiles(d); ++tile) {
    const int64_t begin = tile * kScaleTile, n = std::min(kScaleTile, d - begin);
    float* to = y.data() + begin;
    if (dtype != DType::kE5M6) {
      DecodeE4M3(reinterpret_cast<const E4M3*>(codes), scales[tile], n, to);
      codes += n;
      continue;
    }
    const int64_t half = (n + 1) / 2;
    for (int64_t j = 0; j < n; ++j) {
      E5M6 value;
      const int low = (codes[n + j % half] >> (j < half ? 0 : 4)) & 15;
      value.bits = static_cast<uint16_t>((codes[j] << 4) | low);
      to[j] = static_cast<float>(value) * scales[tile];
    }
    codes += n + half;
  }
}

float IntegerScale(float largest) {
  if (!std::isfinite(largest)) return std::bit_cast<float>(0x7fc00000u);
  return largest == 0 ? 1 : std::max(largest / 127, 0x1p-120F);
}

int RoundToInteger(float x, float scale) {
  return std::isnan(scale) ? 0 : static_cast<int>(std::nearbyint(x * (1.0F / scale)));
}

}  // namespace fathom

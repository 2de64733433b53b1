#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "tensor/block_formats.h"
#include "tensor/block_layouts.h"
#include "tensor/dtype.h"
#include "tensor/float16.h"

namespace fathom {
namespace {

// Loops over fixed numbers of floats, which compilers turn into vector code.

void StoreHalf(F16 value, std::byte* y) { std::memcpy(y, &value, sizeof(value)); }

// To the nearest, ties to even, for |x| < 2^22.
float Nearest(float x) {
  constexpr float kShift = 12582912.0F;  // 1.5 * 2^23: the unit in the last place is 1
  return (x + kShift) - kShift;
}

// How much an element's error counts: large weights decide more of an output than small ones.
template <int kSize>
std::array<float, kSize> Weights(const float* x) {
  float square = 0;
  for (int i = 0; i < kSize; ++i) square += x[i] * x[i];
  const float rms = std::sqrt(square / kSize);
  std::array<float, kSize> weights;
  for (int i = 0; i < kSize; ++i) weights[i] = rms + std::fabs(x[i]);
  return weights;
}

void EncodeQ8_0(const float* x, std::byte* y) {
  float largest = 0;
  for (int i = 0; i < 32; ++i) largest = std::max(largest, std::fabs(x[i]));
  const float d = largest / 127;
  const float inverse = d != 0 ? 1 / d : 0;
  StoreHalf(F16(d), y);
  for (int i = 0; i < 32; ++i) {
    const float scaled = x[i] * inverse;
    const float magnitude = std::fabs(scaled);
    const int whole = static_cast<int>(magnitude);
    const int rounded = whole + static_cast<int>(2 * (magnitude - static_cast<float>(whole)));
    y[2 + i] = static_cast<std::byte>(scaled < 0 ? -rounded : rounded);
  }
}

// --- Q4_K: x = step q - minimum in groups of 32, q in [0, 15], minimum >= 0. ---

constexpr int kGroup = 32;

struct Line {
  float step = 0, minimum = 0;
};

struct Group {
  const float* x;
  std::array<float, kGroup> weights;

  // The codes nearest to a line.
  std::array<float, kGroup> Codes(Line line) const {
    const float inverse = line.step > 0 ? 1 / line.step : 0;
    std::array<float, kGroup> q;
    for (int i = 0; i < kGroup; ++i) {
      const float scaled = std::clamp((x[i] + line.minimum) * inverse, 0.0F, 15.0F);
      q[i] = Nearest(scaled);
    }
    return q;
  }

  // The line that fits given codes best: weighted linear least squares with minimum >= 0.
  Line Fit(const std::array<float, kGroup>& q) const {
    float w = 0, wq = 0, wqq = 0, wx = 0, wqx = 0;
    for (int i = 0; i < kGroup; ++i) {
      const float weighted = weights[i] * q[i];
      w += weights[i];
      wq += weighted;
      wqq += weighted * q[i];
      wx += weights[i] * x[i];
      wqx += weighted * x[i];
    }
    const float determinant = w * wqq - wq * wq;
    if (determinant > 0) {
      const float step = (w * wqx - wq * wx) / determinant;
      const float minimum = (wq * step - wx) / w;
      if (step > 0 && minimum >= 0) return {step, minimum};
    }
    return {wqq > 0 ? std::max(0.0F, wqx / wqq) : 0, 0};
  }

  float Error(Line line, const std::array<float, kGroup>& q) const {
    float sum = 0;
    for (int i = 0; i < kGroup; ++i) {
      const float difference = x[i] - (line.step * q[i] - line.minimum);
      sum += weights[i] * difference * difference;
    }
    return sum;
  }

  // Least squares and nearest codes in turn, from several widths of the range.
  Line BestLine() const {
    const auto [low, high] = std::minmax_element(x, x + kGroup);
    const float minimum = std::max(0.0F, -*low);
    const float range = *high + minimum;
    if (!(range > 0)) return {0, minimum};
    Line best;
    float best_error = INFINITY;
    for (int percent = 72; percent <= 108; percent += 4) {
      const float part = static_cast<float>(percent) / 100;
      // A narrower range is narrower at both ends.
      Line line{part * range / 15, std::max(0.0F, minimum - (1 - part) * range / 2)};
      for (int round = 0; round < 2; ++round) line = Fit(Codes(line));
      const float error = Error(line, Codes(line));
      if (error < best_error) {
        best_error = error;
        best = line;
      }
    }
    return best;
  }
};

// Calls try_code for the codes near value / unit, inside [low, high].
template <typename Try>
void ForCodesNear(float value, float unit, int low, int high, Try try_code) {
  if (unit == 0) return try_code(0);
  const int nearest = static_cast<int>(
      Nearest(std::clamp(value / unit, static_cast<float>(low), static_cast<float>(high))));
  for (int code = std::max(low, nearest - 1); code <= std::min(high, nearest + 1); ++code)
    try_code(code);
}

void EncodeQ4K(const float* x, std::byte* y) {
  std::array<Group, kGroups> groups;
  std::array<Line, kGroups> lines;
  Line largest;
  for (int g = 0; g < kGroups; ++g) {
    groups[g] = {x + g * kGroup, Weights<kGroup>(x + g * kGroup)};
    lines[g] = groups[g].BestLine();
    largest.step = std::max(largest.step, lines[g].step);
    largest.minimum = std::max(largest.minimum, lines[g].minimum);
  }
  const F16 half_step(largest.step / 63), half_minimum(largest.minimum / 63);
  const auto step_unit = static_cast<float>(half_step);
  const auto minimum_unit = static_cast<float>(half_minimum);

  std::fill_n(y, 144, std::byte{0});
  StoreHalf(half_step, y);
  StoreHalf(half_minimum, y + 2);
  for (int g = 0; g < kGroups; ++g) {
    GroupScale best;
    std::array<float, kGroup> codes{};
    float best_error = INFINITY;
    ForCodesNear(lines[g].step, step_unit, 0, 63, [&](int scale) {
      ForCodesNear(lines[g].minimum, minimum_unit, 0, 63, [&](int minimum) {
        const Line line{step_unit * static_cast<float>(scale),
                        minimum_unit * static_cast<float>(minimum)};
        const auto q = groups[g].Codes(line);
        const float error = groups[g].Error(line, q);
        if (error < best_error) {
          best_error = error;
          best = {scale, minimum};
          codes = q;
        }
      });
    });
    PackGroupScale(best, g, y + 4);
    std::byte* packed = y + 16 + g / 2 * kGroup;
    for (int i = 0; i < kGroup; ++i)
      packed[i] |= static_cast<std::byte>(static_cast<int>(codes[i]) << g % 2 * 4);
  }
}

// --- Q6_K: x = step q in groups of 16, q in [-32, 31], step of either sign. ---

constexpr int kSmallGroup = 16;

struct SmallGroup {
  const float* x;
  std::array<float, kSmallGroup> weights;

  std::array<float, kSmallGroup> Codes(float step) const {
    const float inverse = step != 0 ? 1 / step : 0;
    std::array<float, kSmallGroup> q;
    for (int i = 0; i < kSmallGroup; ++i)
      q[i] = Nearest(std::clamp(x[i] * inverse, -32.0F, 31.0F));
    return q;
  }

  float Fit(const std::array<float, kSmallGroup>& q) const {
    float wqq = 0, wqx = 0;
    for (int i = 0; i < kSmallGroup; ++i) {
      wqq += weights[i] * q[i] * q[i];
      wqx += weights[i] * q[i] * x[i];
    }
    return wqq > 0 ? wqx / wqq : 0;
  }

  float Error(float step, const std::array<float, kSmallGroup>& q) const {
    float sum = 0;
    for (int i = 0; i < kSmallGroup; ++i) {
      const float difference = x[i] - step * q[i];
      sum += weights[i] * difference * difference;
    }
    return sum;
  }

  // From several steps for which the largest element gets a code near -32, the one code that is
  // one further from zero than any positive one.
  float BestStep() const {
    const float extreme = *std::max_element(
        x, x + kSmallGroup, [](float a, float b) { return std::fabs(a) < std::fabs(b); });
    if (extreme == 0) return 0;
    float best = 0, best_error = INFINITY;
    for (int tenths = -330; tenths <= -300; tenths += 2) {
      const float step = Fit(Codes(extreme * 10 / static_cast<float>(tenths)));
      const float error = Error(step, Codes(step));
      if (error < best_error) {
        best_error = error;
        best = step;
      }
    }
    return best;
  }
};

void EncodeQ6K(const float* x, std::byte* y) {
  std::array<SmallGroup, 16> groups;
  std::array<float, 16> steps;
  float largest = 0;
  for (int g = 0; g < 16; ++g) {
    groups[g] = {x + g * kSmallGroup, Weights<kSmallGroup>(x + g * kSmallGroup)};
    steps[g] = groups[g].BestStep();
    if (std::fabs(steps[g]) > std::fabs(largest)) largest = steps[g];
  }
  const F16 half_unit(largest / -128);
  const auto unit = static_cast<float>(half_unit);

  std::fill_n(y, 210, std::byte{0});
  StoreHalf(half_unit, y + 208);
  for (int g = 0; g < 16; ++g) {
    int best = 0;
    std::array<float, kSmallGroup> codes{};
    float best_error = INFINITY;
    ForCodesNear(steps[g], unit, -128, 127, [&](int scale) {
      const float step = unit * static_cast<float>(scale);
      const auto q = groups[g].Codes(step);
      const float error = groups[g].Error(step, q);
      if (error < best_error) {
        best_error = error;
        best = scale;
        codes = q;
      }
    });
    y[192 + g] = static_cast<std::byte>(best);
    for (int i = 0; i < kSmallGroup; ++i) {
      const Q6Place place = PlaceOfQ6(g * kSmallGroup + i);
      const int code = static_cast<int>(codes[i]) + 32;
      y[place.low] |= static_cast<std::byte>((code & 15) << place.low_shift);
      y[128 + place.high] |= static_cast<std::byte>(code >> 4 << place.high_shift);
    }
  }
}

void EncodeBF16(const float* x, int64_t count, std::byte* y) {
  for (int64_t i = 0; i < count; ++i) {
    const BF16 value(x[i]);
    std::memcpy(y + 2 * i, &value, sizeof(value));
  }
}

}  // namespace

void EncodeBlocks(BlockFormat format, const float* x, int64_t count, std::byte* y) {
  const BlockLayout layout = LayoutOf(format);
  FATHOM_CHECK(count % layout.elements == 0);
  const auto each_block = [&](void (*encode)(const float*, std::byte*)) {
    for (int64_t block = 0; block < count / layout.elements; ++block)
      encode(x + block * layout.elements, y + block * layout.bytes);
  };
  switch (format) {
    case BlockFormat::kF32:
      if (count > 0) std::memcpy(y, x, static_cast<size_t>(count) * sizeof(float));
      return;
    case BlockFormat::kF16:
      return EncodeF16(x, count, reinterpret_cast<F16*>(y));
    case BlockFormat::kBF16:
      return EncodeBF16(x, count, y);
    case BlockFormat::kQ8_0:
      return each_block(EncodeQ8_0);
    case BlockFormat::kQ4K:
      return each_block(EncodeQ4K);
    case BlockFormat::kQ6K:
      return each_block(EncodeQ6K);
    default:
      FATHOM_CHECK(false, "{} is not written", layout.name);
  }
}

}  // namespace fathom

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "tensor/block_formats.h"
#include "tensor/block_layouts.h"
#include "tensor/dtype.h"
#include "tensor/float16.h"

namespace fathom {
namespace {

void StoreHalf(F16 value, std::byte* y) { std::memcpy(y, &value, sizeof(value)); }

// Away from zero: a unit that is too small would not reach the largest of what it measures, and
// small weights have units among the subnormal halves, where one step is percents.
F16 HalfAtLeast(float value) {
  F16 half(value);
  if (std::fabs(static_cast<float>(half)) < std::fabs(value)) ++half.bits;
  return half;
}

// Four floats that are computed together: the order of sums is fixed by the code, which a compiler
// would not change by itself.
using Lanes = float __attribute__((vector_size(16)));
constexpr int kLanes = 4;

Lanes All(float x) { return Lanes{x, x, x, x}; }
float Sum(Lanes x) { return (x[0] + x[1]) + (x[2] + x[3]); }
Lanes Clamp(Lanes x, float low, float high) {
  x = x < low ? All(low) : x;
  return x > high ? All(high) : x;
}
// To the nearest, ties to even, for |x| < 2^22: there a float of this size has no fraction.
constexpr float kWhole = 12582912.0F;  // 1.5 * 2^23
Lanes Nearest(Lanes x) { return (x + kWhole) - kWhole; }
float Nearest(float x) { return (x + kWhole) - kWhole; }

template <int kSize>
struct Vector {
  static constexpr int kParts = kSize / kLanes;
  std::array<Lanes, kParts> part;
};

// The elements that share a scale, and how much an error of each counts: large weights decide more
// of an output than small ones.
template <int kSize>
struct Group {
  Vector<kSize> x, weight;

  Group() = default;
  explicit Group(const float* source) {
    std::memcpy(&x, source, sizeof(x));
    Lanes squares = All(0);
    for (const Lanes& v : x.part) squares += v * v;
    const float rms = std::sqrt(Sum(squares) / kSize);
    for (int i = 0; i < x.kParts; ++i) {
      const Lanes v = x.part[i];
      weight.part[i] = rms + (v < 0 ? -v : v);
    }
  }

  // The codes in [low, high] that bring step q - minimum nearest to x.
  Vector<kSize> Codes(float step, float minimum, float low, float high) const {
    const float inverse = step != 0 ? 1 / step : 0;
    Vector<kSize> q;
    for (int i = 0; i < x.kParts; ++i)
      q.part[i] = Nearest(Clamp((x.part[i] + minimum) * inverse, low, high));
    return q;
  }

  float Error(float step, float minimum, const Vector<kSize>& q) const {
    Lanes sum = All(0);
    for (int i = 0; i < x.kParts; ++i) {
      const Lanes difference = x.part[i] - (step * q.part[i] - minimum);
      sum += weight.part[i] * difference * difference;
    }
    return Sum(sum);
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

void EncodeQ8_0(const float* x, std::byte* y) {
  float largest = 0;
  for (int i = 0; i < 32; ++i) largest = std::max(largest, std::fabs(x[i]));
  const float d = largest / 127;
  // Of a subnormal one the inverse is infinite; in half precision it is zero anyway.
  const float inverse = d >= std::numeric_limits<float>::min() ? 1 / d : 0;
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

struct Line {
  float step = 0, minimum = 0;
};

using LineGroup = Group<32>;
using LineCodes = Vector<32>;

LineCodes CodesOf(const LineGroup& group, Line line) {
  return group.Codes(line.step, line.minimum, 0, 15);
}

// The line that fits given codes best: weighted linear least squares with minimum >= 0.
Line FitLine(const LineGroup& group, const LineCodes& q) {
  Lanes sum_w = All(0), sum_wq = All(0), sum_wqq = All(0), sum_wx = All(0), sum_wqx = All(0);
  for (int i = 0; i < LineCodes::kParts; ++i) {
    const Lanes w = group.weight.part[i], x = group.x.part[i], wq = w * q.part[i];
    sum_w += w;
    sum_wq += wq;
    sum_wqq += wq * q.part[i];
    sum_wx += w * x;
    sum_wqx += wq * x;
  }
  const float w = Sum(sum_w), wq = Sum(sum_wq), wqq = Sum(sum_wqq);
  const float wx = Sum(sum_wx), wqx = Sum(sum_wqx);
  const float determinant = w * wqq - wq * wq;
  if (determinant > 0) {
    const float step = (w * wqx - wq * wx) / determinant;
    const float minimum = (wq * step - wx) / w;
    if (step > 0 && minimum >= 0) return {step, minimum};
  }
  return {wqq > 0 ? std::max(0.0F, wqx / wqq) : 0, 0};
}

// Least squares and nearest codes in turn, from several widths of the range.
Line BestLine(const LineGroup& group, const float* x) {
  const auto [low, high] = std::minmax_element(x, x + 32);
  const float minimum = std::max(0.0F, -*low);
  const float range = *high + minimum;
  if (!(range > 0)) return {0, minimum};
  Line best;
  float best_error = INFINITY;
  for (int percent = 72; percent <= 108; percent += 4) {
    const float part = static_cast<float>(percent) / 100;
    // A narrower range is narrower at both ends.
    Line line{part * range / 15, std::max(0.0F, minimum - (1 - part) * range / 2)};
    for (int round = 0; round < 2; ++round) line = FitLine(group, CodesOf(group, line));
    const float error = group.Error(line.step, line.minimum, CodesOf(group, line));
    if (error < best_error) {
      best_error = error;
      best = line;
    }
  }
  return best;
}

void EncodeQ4K(const float* x, std::byte* y) {
  std::array<LineGroup, kGroups> groups;
  std::array<Line, kGroups> lines;
  Line largest;
  for (int g = 0; g < kGroups; ++g) {
    groups[g] = LineGroup(x + g * 32);
    lines[g] = BestLine(groups[g], x + g * 32);
    largest.step = std::max(largest.step, lines[g].step);
    largest.minimum = std::max(largest.minimum, lines[g].minimum);
  }
  const F16 half_step = HalfAtLeast(largest.step / 63);
  const F16 half_minimum = HalfAtLeast(largest.minimum / 63);
  const auto step_unit = static_cast<float>(half_step);
  const auto minimum_unit = static_cast<float>(half_minimum);

  std::fill_n(y, 144, std::byte{0});
  StoreHalf(half_step, y);
  StoreHalf(half_minimum, y + 2);
  for (int g = 0; g < kGroups; ++g) {
    GroupScale best;
    LineCodes codes{};
    float best_error = INFINITY;
    ForCodesNear(lines[g].step, step_unit, 0, 63, [&](int scale) {
      ForCodesNear(lines[g].minimum, minimum_unit, 0, 63, [&](int minimum) {
        const Line line{step_unit * static_cast<float>(scale),
                        minimum_unit * static_cast<float>(minimum)};
        const LineCodes q = CodesOf(groups[g], line);
        const float error = groups[g].Error(line.step, line.minimum, q);
        if (error < best_error) {
          best_error = error;
          best = {scale, minimum};
          codes = q;
        }
      });
    });
    PackGroupScale(best, g, y + 4);
    std::byte* packed = y + 16 + g / 2 * 32;
    for (int i = 0; i < 32; ++i) {
      const int code = static_cast<int>(codes.part[i / kLanes][i % kLanes]);
      packed[i] |= static_cast<std::byte>(code << g % 2 * 4);
    }
  }
}

// --- Q6_K: x = step q in groups of 16, q in [-32, 31], step of either sign. ---

using StepGroup = Group<16>;
using StepCodes = Vector<16>;

StepCodes CodesOf(const StepGroup& group, float step) { return group.Codes(step, 0, -32, 31); }

// From several steps for which the largest element gets a code near -32, the one code that is one
// further from zero than any positive one. For given codes the best step is sum(w q x) /
// sum(w q q), and it leaves the error sum(w x x) - sum(w q x)^2 / sum(w q q).
float BestStep(const StepGroup& group, const float* x) {
  const float extreme =
      *std::max_element(x, x + 16, [](float a, float b) { return std::fabs(a) < std::fabs(b); });
  if (extreme == 0) return 0;
  float best = 0, most_explained = -1;
  for (int tenths = -330; tenths <= -300; tenths += 2) {
    const StepCodes q = CodesOf(group, extreme * 10 / static_cast<float>(tenths));
    Lanes wqq = All(0), wqx = All(0);
    for (int i = 0; i < StepCodes::kParts; ++i) {
      const Lanes wq = group.weight.part[i] * q.part[i];
      wqq += wq * q.part[i];
      wqx += wq * group.x.part[i];
    }
    const float step = Sum(wqx) / Sum(wqq);
    const float explained = step * Sum(wqx);
    if (explained > most_explained) {
      most_explained = explained;
      best = step;
    }
  }
  return best;
}

void EncodeQ6K(const float* x, std::byte* y) {
  std::array<StepGroup, 16> groups;
  std::array<float, 16> steps;
  float largest = 0;
  for (int g = 0; g < 16; ++g) {
    groups[g] = StepGroup(x + g * 16);
    steps[g] = BestStep(groups[g], x + g * 16);
    if (std::fabs(steps[g]) > std::fabs(largest)) largest = steps[g];
  }
  const F16 half_unit = HalfAtLeast(largest / -128);
  const auto unit = static_cast<float>(half_unit);

  std::fill_n(y, 210, std::byte{0});
  StoreHalf(half_unit, y + 208);
  for (int g = 0; g < 16; ++g) {
    int best = 0;
    StepCodes codes{};
    float best_error = INFINITY;
    ForCodesNear(steps[g], unit, -128, 127, [&](int scale) {
      const float step = unit * static_cast<float>(scale);
      const StepCodes q = CodesOf(groups[g], step);
      const float error = groups[g].Error(step, 0, q);
      if (error < best_error) {
        best_error = error;
        best = scale;
        codes = q;
      }
    });
    y[192 + g] = static_cast<std::byte>(best);
    for (int i = 0; i < 16; ++i) {
      const Q6Place place = PlaceOfQ6(g * 16 + i);
      const int code = static_cast<int>(codes.part[i / kLanes][i % kLanes]) + 32;
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

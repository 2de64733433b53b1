#pragma once

// Sums over the elements of a row: four vectors of partial sums, then a fixed tree over them and
// their lanes. Element i goes into partial sum i mod (4 lanes), wherever the row is.

#include "backend/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fathom::cpu::HWY_NAMESPACE {

// The sum over i of term(i, part), a vector.
template <typename F>
FATHOM_INLINE float SumVectors(int64_t n, F&& term) {
  Floats sum[4] = {Zero(), Zero(), Zero(), Zero()};
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    HWY_UNROLL(4)
    for (int v = 0; v < 4; ++v) sum[v] = term(i + v * kLanes, Full{}, sum[v]);
  }
  for (int v = 0; i < n; i += kLanes, ++v) {
    if (i + kLanes <= n) {
      sum[v] = term(i, Full{}, sum[v]);
    } else {
      sum[v] = term(i, Part{n - i}, sum[v]);
    }
  }
  return SumOf((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

static float RmsNorm(Element x_type, const void* x_any, Element gain_type, const void* gain_any,
                     double eps, Element y_type, void* y_any, int64_t d) {
  return Typed(x_type, x_any, [&](auto* x) {
    const float sum = SumVectors(d, [&](int64_t i, auto part, Floats s) {
      const Floats v = part.Load(x + i);
      return MulAdd(v, v, s);
    });
    const double mean = static_cast<double>(sum) / static_cast<double>(d);
    const float r = static_cast<float>(1.0 / __builtin_sqrt(mean + eps));
    const Floats factor = Set(r);
    Typed(gain_type, gain_any, [&](auto* gain) {
      Typed(y_type, y_any, [&](auto* y) {
        ForVectors(d, [&](int64_t i, auto part) {
          part.Store(part.Load(x + i) * factor * part.Load(gain + i), y + i);
        });
      });
    });
    return r;
  });
}

// dx = r g dy - x r^3 mean(g dy x).
static void RmsNormBackward(Element dy_type, const void* dy_any, Element x_type, const void* x_any,
                            Element gain_type, const void* gain_any, float inv_rms, bool accumulate,
                            Element dx_type, void* dx_any, int64_t d) {
  Typed(dy_type, dy_any, [&](auto* dy) {
    Typed(x_type, x_any, [&](auto* x) {
      Typed(gain_type, gain_any, [&](auto* gain) {
        const float sum = SumVectors(d, [&](int64_t i, auto part, Floats s) {
          return MulAdd(part.Load(dy + i) * part.Load(gain + i), part.Load(x + i), s);
        });
        const double r = inv_rms;
        const Floats along =
            Set(static_cast<float>(-r * r * r * static_cast<double>(sum) / static_cast<double>(d)));
        const Floats factor = Set(inv_rms);
        Typed(dx_type, dx_any, [&](auto* dx) {
          ForVectors(d, [&](int64_t i, auto part) {
            const Floats across = part.Load(dy + i) * part.Load(gain + i) * factor;
            Floats result = MulAdd(part.Load(x + i), along, across);
            if (accumulate) result = part.Load(dx + i) + result;
            part.Store(result, dx + i);
          });
        });
      });
    });
  });
}

static void RmsNormGain(Element dy_type, const void* dy_any, int64_t dy_stride, Element x_type,
                        const void* x_any, int64_t x_stride, const float* inv_rms, int64_t rows,
                        float* dgain, int64_t columns) {
  Typed(dy_type, dy_any, [&](auto* dy) {
    Typed(x_type, x_any, [&](auto* x) {
      ForVectors(columns, [&](int64_t j, auto part) {
        Floats sum = Zero();
        for (int64_t r = 0; r < rows; ++r) {
          const Floats normed = part.Load(x + r * x_stride + j) * Set(inv_rms[r]);
          sum = MulAdd(part.Load(dy + r * dy_stride + j), normed, sum);
        }
        part.Store(part.Load(dgain + j) + sum, dgain + j);
      });
    });
  });
}

static void SumRows(Element dy_type, const void* dy_any, int64_t dy_stride, int64_t rows, float* db,
                    int64_t columns) {
  Typed(dy_type, dy_any, [&](auto* dy) {
    ForVectors(columns, [&](int64_t j, auto part) {
      Floats sum = Zero();
      for (int64_t r = 0; r < rows; ++r) sum = sum + part.Load(dy + r * dy_stride + j);
      part.Store(part.Load(db + j) + sum, db + j);
    });
  });
}

static float Dot(Element x_type, const void* x_any, Element y_type, const void* y_any, int64_t n) {
  return Typed(x_type, x_any, [&](auto* x) {
    return Typed(y_type, y_any, [&](auto* y) {
      return SumVectors(n, [&](int64_t i, auto part, Floats s) {
        return MulAdd(part.Load(x + i), part.Load(y + i), s);
      });
    });
  });
}

static float MaxOfRow(const float* x, int64_t n) {
  const Floats lowest = Set(-__builtin_inff());
  Floats most[4] = {lowest, lowest, lowest, lowest};
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    HWY_UNROLL(4)
    for (int v = 0; v < 4; ++v) most[v] = hn::Max(most[v], Load(x + i + v * kLanes));
  }
  float result = MaxOf(hn::Max(hn::Max(most[0], most[1]), hn::Max(most[2], most[3])));
  for (; i < n; ++i) result = x[i] > result ? x[i] : result;
  return result;
}

// Lanes beyond the row add nothing.
template <typename P>
FATHOM_INLINE Floats KeepLanes(P part, Floats x) {
  if constexpr (std::is_same_v<P, Part>) {
    return hn::IfThenElseZero(hn::FirstN(kFloats, static_cast<size_t>(part.n)), x);
  } else {
    return x;
  }
}

// Calls f with what turns a logit into z = logit / temperature; x / 1 is x.
template <typename F>
FATHOM_INLINE auto WithTemperature(float temperature, F&& f) {
  if (temperature == 1.0f) return f([](Floats x) { return x; });
  const Floats t = Set(temperature);
  return f([t](Floats x) { return x / t; });
}

static float SumExp(const float* x, float temperature, float max, int64_t n) {
  const Floats m = Set(max);
  return WithTemperature(temperature, [&](auto z) {
    return SumVectors(n, [&](int64_t i, auto part, Floats s) {
      return s + KeepLanes(part, Exp(z(part.Load(x + i)) - m));
    });
  });
}

static void SoftmaxGradient(const float* x, float temperature, float lse, float scale,
                            Element y_type, void* y_any, int64_t n) {
  const Floats l = Set(lse), factor = Set(scale);
  WithTemperature(temperature, [&](auto z) {
    Typed(y_type, y_any, [&](auto* y) {
      ForVectors(n, [&](int64_t i, auto part) {
        part.Store(factor * Exp(z(part.Load(x + i)) - l), y + i);
      });
    });
  });
}

}  // namespace fathom::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

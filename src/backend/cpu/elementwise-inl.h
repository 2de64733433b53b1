#pragma once

// Operations without sums over a row (formulas: ops/backend.h): computed in f32, rounded once when
// stored.

#include "backend/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fathom::cpu::HWY_NAMESPACE {

static void Cast(Element x_type, const void* x_any, Element y_type, void* y_any, int64_t n) {
  Typed(x_type, x_any, [&](auto* x) {
    Typed(y_type, y_any, [&](auto* y) {
      ForVectors(n, [&](int64_t i, auto part) { part.Store(part.Load(x + i), y + i); });
    });
  });
}

static void Add(Element x_type, const void* x_any, Element y_type, void* y_any, int64_t n) {
  Typed(x_type, x_any, [&](auto* x) {
    Typed(y_type, y_any, [&](auto* y) {
      ForVectors(
          n, [&](int64_t i, auto part) { part.Store(part.Load(y + i) + part.Load(x + i), y + i); });
    });
  });
}

static void Lerp(const float* x, float t, float* y, int64_t n) {
  const Floats step = Set(t);
  ForVectors(n, [&](int64_t i, auto part) {
    const Floats old = part.Load(y + i);
    part.Store(MulAdd(step, part.Load(x + i) - old, old), y + i);
  });
}

static void Scale(const float* x, float scale, Element y_type, void* y_any, int64_t n) {
  const Floats factor = Set(scale);
  Typed(y_type, y_any, [&](auto* y) {
    ForVectors(n, [&](int64_t i, auto part) { part.Store(part.Load(x + i) * factor, y + i); });
  });
}

template <typename R, typename S, typename X>
static void CombineOf(const void* const* rows, const float* weights, int64_t count, const S* shared,
                      X* x, int64_t n) {
  ForVectors(n, [&](int64_t j, auto part) {
    Floats sum = Zero();
    for (int64_t i = 0; i < count; ++i) {
      const Floats row = part.Load(static_cast<const R*>(rows[i]) + j);
      sum = weights ? MulAdd(Set(weights[i]), row, sum) : sum + row;
    }
    if (shared) sum = sum + part.Load(shared + j);
    part.Store(part.Load(x + j) + sum, x + j);
  });
}

static void Combine(Element rows_type, const void* const* rows, const float* weights, int64_t count,
                    Element shared_type, const void* shared_any, Element x_type, void* x_any,
                    int64_t n) {
  Typed(shared_type, shared_any, [&](auto* shared) {
    Typed(x_type, x_any, [&](auto* x) {
      if (rows_type == Element::kF32) {
        CombineOf<float>(rows, weights, count, shared, x, n);
      } else {
        CombineOf<uint16_t>(rows, weights, count, shared, x, n);
      }
    });
  });
}

// (x_j, x_j+d/2) -> (x_j c - x_j+d/2 s, x_j+d/2 c + x_j s).
static void RotateHalves(const RotateArgs& args) {
  // Cosines and sines apart, some at a time; all heads use them.
  constexpr int64_t kPairs = 128;
  float cosine[kPairs], sine[kPairs];
  const int64_t half = args.d / 2;
  for (int64_t begin = 0; begin < half; begin += kPairs) {
    const int64_t pairs = begin + kPairs < half ? kPairs : half - begin;
    for (int64_t j = 0; j < pairs; ++j) {
      cosine[j] = args.table[2 * (begin + j)];
      const float s = args.table[2 * (begin + j) + 1];
      sine[j] = args.inverse ? -s : s;
    }
    Typed(args.type, args.x, [&](auto* x_any) {
      using T = std::remove_const_t<std::remove_pointer_t<decltype(x_any)>>;
      for (int64_t h = 0; h < args.heads; ++h) {
        const T* x = x_any + h * args.x_stride + begin;
        T* y = static_cast<T*>(args.y) + h * args.y_stride + begin;
        ForVectors(pairs, [&](int64_t j, auto part) {
          const Floats a = part.Load(x + j), b = part.Load(x + half + j);
          const Floats c = part.Load(cosine + j), s = part.Load(sine + j);
          part.Store(hn::NegMulAdd(b, s, a * c), y + j);
          part.Store(MulAdd(a, s, b * c), y + half + j);
        });
      }
    });
  }
}

// (x_2j, x_2j+1) -> (x_2j c - x_2j+1 s, x_2j+1 c + x_2j s).
static void Rotate(const RotateArgs& args) {
  if (args.halves) return RotateHalves(args);
  const Floats signs = hn::OddEven(Set(1.0f), Set(-1.0f));
  const Floats direction = args.inverse ? hn::Neg(signs) : signs;
  Typed(args.type, args.x, [&](auto* x_any) {
    using T = std::remove_const_t<std::remove_pointer_t<decltype(x_any)>>;
    auto* y_any = static_cast<T*>(args.y);
    ForVectors(args.d, [&](int64_t j, auto part) {
      const Floats table = part.Load(args.table + j);
      const Floats cosine = hn::DupEven(table), sine = hn::DupOdd(table) * direction;
      for (int64_t h = 0; h < args.heads; ++h) {
        const Floats x = part.Load(x_any + h * args.x_stride + j);
        part.Store(MulAdd(x, cosine, hn::Reverse2(kFloats, x) * sine),
                   y_any + h * args.y_stride + j);
      }
    });
  });
}

static void SwiGlu(Element x_type, const void* x_any, Element y_type, void* y_any, int64_t d) {
  Typed(x_type, x_any, [&](auto* gate) {
    Typed(y_type, y_any, [&](auto* y) {
      ForVectors(d, [&](int64_t j, auto part) {
        const Floats g = part.Load(gate + j);
        part.Store(g * Sigmoid(g) * part.Load(gate + d + j), y + j);
      });
    });
  });
}

// With q = sigmoid(g): ds/dg = u q (1 + g (1 - q)), ds/du = g q.
static float SwiGluBackward(const SwiGluBackwardArgs& args) {
  Floats sum = Zero();
  const Floats weight = Set(args.weight), one = Set(1.0f);
  Typed(args.type, args.dy, [&](auto* dy) {
    using T = std::remove_const_t<std::remove_pointer_t<decltype(dy)>>;
    const auto* gate = static_cast<const T*>(args.gate_up);
    auto* dgate = static_cast<T*>(args.dgate_up);
    auto* y = static_cast<T*>(args.y);
    ForVectors(args.d, [&](int64_t j, auto part) {
      const Floats g = part.Load(gate + j), u = part.Load(gate + args.d + j);
      const Floats dout = part.Load(dy + j);
      const Floats q = Sigmoid(g);
      const Floats silu = g * q;
      const Floats s = silu * u;
      sum = MulAdd(dout, s, sum);
      const Floats weighted = weight * dout;
      part.Store(weighted * u * q * MulAdd(g, one - q, one), dgate + j);
      part.Store(weighted * silu, dgate + args.d + j);
      if (y) part.Store(weight * s, y + j);
    });
  });
  return SumOf(sum);
}

static void SigmoidOf(const float* x, float* y, int64_t n) {
  ForVectors(n, [&](int64_t i, auto part) { part.Store(Sigmoid(part.Load(x + i)), y + i); });
}

static void ExpOf(const float* x, float* y, int64_t n) {
  ForVectors(n, [&](int64_t i, auto part) { part.Store(Exp(part.Load(x + i)), y + i); });
}

static void AdamW(const AdamWKernelArgs& args) {
  const Floats beta1 = Set(args.beta1), one_beta1 = Set(args.one_beta1);
  const Floats beta2 = Set(args.beta2), one_beta2 = Set(args.one_beta2);
  const Floats decay = Set(args.decay), step = Set(args.step), eps = Set(args.eps);
  const Floats inv_bias2 = Set(args.inv_bias2), grad_scale = Set(args.grad_scale);
  Typed(args.m_type, args.m, [&](auto* m_any) {
    Typed(args.v_type, args.v, [&](auto* v_any) {
      ForVectors(args.n, [&](int64_t i, auto part) {
        const Floats g = part.Load(args.grad + i) * grad_scale;
        const Floats m = MulAdd(beta1, part.Load(m_any + i), one_beta1 * g);
        const Floats v = MulAdd(beta2, part.Load(v_any + i), one_beta2 * (g * g));
        const Floats denominator = hn::Sqrt(v * inv_bias2) + eps;
        const Floats param = part.Load(args.param + i) * decay;
        part.Store(param - step * m / denominator, args.param + i);
        part.Store(m, m_any + i);
        part.Store(v, v_any + i);
      });
    });
  });
}

static double SumSquares(const float* x, int64_t n) {
  constexpr hn::ScalableTag<double> kDoubles;
  constexpr hn::Rebind<float, hn::ScalableTag<double>> kHalfFloats;
  constexpr int64_t kStep = kLanes / 2;
  auto sum0 = hn::Zero(kDoubles), sum1 = hn::Zero(kDoubles);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const auto a = hn::PromoteTo(kDoubles, hn::LoadU(kHalfFloats, x + i));
    const auto b = hn::PromoteTo(kDoubles, hn::LoadU(kHalfFloats, x + i + kStep));
    sum0 = hn::MulAdd(a, a, sum0);
    sum1 = hn::MulAdd(b, b, sum1);
  }
  double rest = 0;
  for (; i < n; ++i) rest += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return hn::GetLane(hn::SumOfLanes(kDoubles, sum0 + sum1)) + rest;
}

}  // namespace fathom::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

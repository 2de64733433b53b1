#pragma once

// Softmax over the keys of a chunk, for one query row. A key's lane follows from its position in
// the chunk, and keys that a query may not see contribute exact zeros.

#include "backend/cpu/rows-inl.h"
#include "backend/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fathom::cpu::HWY_NAMESPACE {

static void ChunkSoftmax(float* s, float scale, int64_t count, int64_t padded, float* max,
                         float* sum) {
  const Floats factor = Set(scale), lowest = Set(-__builtin_inff());
  Floats most[2] = {lowest, lowest};
  int64_t j = 0;
  for (; j + 2 * kLanes <= count; j += 2 * kLanes) {
    most[0] = hn::Max(most[0], Load(s + j) * factor);
    most[1] = hn::Max(most[1], Load(s + j + kLanes) * factor);
  }
  for (; j < count; j += kLanes) {
    const auto seen = hn::FirstN(kFloats, static_cast<size_t>(count - j));
    const Floats z = (count - j >= kLanes ? Load(s + j) : LoadN(s + j, count - j)) * factor;
    most[0] = hn::Max(most[0], hn::IfThenElse(seen, z, lowest));
  }
  const float m = MaxOf(hn::Max(most[0], most[1]));
  const Floats shift = Set(m);
  *max = m;
  *sum = SumVectors(count, [&](int64_t i, auto part, Floats total) {
    const Floats p = KeepLanes(part, Exp(hn::MulSub(part.Load(s + i), factor, shift)));
    part.Store(p, s + i);
    return total + p;
  });
  for (j = count; j < padded; ++j) s[j] = 0;
}

// e^x of one number, by the same polynomial.
FATHOM_INLINE float ExpOne(float x) { return hn::GetLane(Exp(Set(x))); }

static void MergeChunk(float chunk_max, float chunk_sum, const float* chunk, float* max, float* sum,
                       float* out, int64_t n) {
  const float most = chunk_max > *max ? chunk_max : *max;
  const float keep = ExpOne(*max - most), take = ExpOne(chunk_max - most);
  *max = most;
  *sum = *sum * keep + chunk_sum * take;
  const Floats old = Set(keep), fresh = Set(take);
  ForVectors(n, [&](int64_t j, auto part) {
    part.Store(MulAdd(part.Load(chunk + j), fresh, part.Load(out + j) * old), out + j);
  });
}

static void SoftmaxBackward(float* s, float* dp, float scale, float lse, float delta, int64_t count,
                            int64_t padded) {
  const Floats factor = Set(scale), l = Set(lse), d = Set(delta);
  ForVectors(count, [&](int64_t j, auto part) {
    const Floats p = Exp(hn::MulSub(part.Load(s + j), factor, l));
    part.Store(p, s + j);
    part.Store(factor * p * (part.Load(dp + j) - d), dp + j);
  });
  for (int64_t j = count; j < padded; ++j) s[j] = dp[j] = 0;
}

}  // namespace fathom::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

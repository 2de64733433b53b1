#pragma once

// Packing of operands into strips and panels (layouts: kernel_table.h), with the conversion to the
// type of the product on the way.

#include "backend/cpu/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fathom::cpu::HWY_NAMESPACE {

using Words = hn::Vec<WordTag>;

// One vector of 32-bit words of a row: kLanes elements as f32, or 2 kLanes as pairs of bf16.
template <Element kTo>
inline constexpr int64_t kPerWord = kTo == Element::kF32 ? 1 : 2;

template <Element kTo, typename T>
FATHOM_INLINE Words LoadWords(const T* p) {
  if constexpr (kTo == Element::kF32) {
    return hn::BitCast(kWords, Load(p));
  } else if constexpr (sizeof(T) == 2) {
    return hn::BitCast(kWords, hn::LoadU(hn::ScalableTag<uint16_t>(), p));
  } else {
    const auto low = ToBF16(Load(p)), high = ToBF16(Load(p + kLanes));
    return hn::BitCast(kWords, hn::Combine(hn::ScalableTag<uint16_t>(), high, low));
  }
}

template <Element kTo, typename T>
FATHOM_INLINE Words LoadWordsN(const T* p, int64_t n) {
  if constexpr (kTo == Element::kF32) {
    return hn::BitCast(kWords, LoadN(p, n));
#if HWY_TARGET != HWY_AVX2
  } else if constexpr (sizeof(T) == 2) {
    const auto mask = static_cast<__mmask32>((uint64_t{1} << n) - 1);
    return Words{_mm512_maskz_loadu_epi16(mask, p)};
#endif
  } else {
    const Floats a = n >= kLanes ? Load(p) : LoadN(p, n);
    const Floats b = n > kLanes ? LoadN(p + kLanes, n - kLanes) : Zero();
    return hn::BitCast(kWords, hn::Combine(hn::ScalableTag<uint16_t>(), ToBF16(b), ToBF16(a)));
  }
}

FATHOM_INLINE void StoreWordsN(Words x, uint32_t* p, int64_t n) {
  StoreN(hn::BitCast(kFloats, x), reinterpret_cast<float*>(p), n);
}

// v[i] word j becomes v[j] word i.
FATHOM_INLINE void Transpose(Words (&v)[kLanes]) {
  Words t[kLanes];
  HWY_UNROLL(16)
  for (int i = 0; i < kLanes; i += 2) {
    t[i] = hn::InterleaveLower(kWords, v[i], v[i + 1]);
    t[i + 1] = hn::InterleaveUpper(kWords, v[i], v[i + 1]);
  }
#if HWY_TARGET == HWY_AVX2
  HWY_UNROLL(2)
  for (int i = 0; i < 8; i += 4) {
    v[i].raw = _mm256_unpacklo_epi64(t[i].raw, t[i + 2].raw);
    v[i + 1].raw = _mm256_unpackhi_epi64(t[i].raw, t[i + 2].raw);
    v[i + 2].raw = _mm256_unpacklo_epi64(t[i + 1].raw, t[i + 3].raw);
    v[i + 3].raw = _mm256_unpackhi_epi64(t[i + 1].raw, t[i + 3].raw);
  }
  HWY_UNROLL(4)
  for (int j = 0; j < 4; ++j) {
    t[j].raw = _mm256_permute2x128_si256(v[j].raw, v[4 + j].raw, 0x20);
    t[4 + j].raw = _mm256_permute2x128_si256(v[j].raw, v[4 + j].raw, 0x31);
  }
  HWY_UNROLL(8)
  for (int i = 0; i < 8; ++i) v[i] = t[i];
#else
  HWY_UNROLL(4)
  for (int i = 0; i < 16; i += 4) {
    v[i].raw = _mm512_unpacklo_epi64(t[i].raw, t[i + 2].raw);
    v[i + 1].raw = _mm512_unpackhi_epi64(t[i].raw, t[i + 2].raw);
    v[i + 2].raw = _mm512_unpacklo_epi64(t[i + 1].raw, t[i + 3].raw);
    v[i + 3].raw = _mm512_unpackhi_epi64(t[i + 1].raw, t[i + 3].raw);
  }
  // Now v[4 i + j] holds in its quarter q column 4 q + j of rows 4 i .. 4 i + 3.
  HWY_UNROLL(4)
  for (int j = 0; j < 4; ++j) {
    const __m512i even_ab = _mm512_shuffle_i32x4(v[j].raw, v[4 + j].raw, 0x88);
    const __m512i even_cd = _mm512_shuffle_i32x4(v[8 + j].raw, v[12 + j].raw, 0x88);
    const __m512i odd_ab = _mm512_shuffle_i32x4(v[j].raw, v[4 + j].raw, 0xdd);
    const __m512i odd_cd = _mm512_shuffle_i32x4(v[8 + j].raw, v[12 + j].raw, 0xdd);
    t[j].raw = _mm512_shuffle_i32x4(even_ab, even_cd, 0x88);
    t[4 + j].raw = _mm512_shuffle_i32x4(odd_ab, odd_cd, 0x88);
    t[8 + j].raw = _mm512_shuffle_i32x4(even_ab, even_cd, 0xdd);
    t[12 + j].raw = _mm512_shuffle_i32x4(odd_ab, odd_cd, 0xdd);
  }
  HWY_UNROLL(16)
  for (int i = 0; i < 16; ++i) v[i] = t[i];
#endif
}

#if HWY_TARGET != HWY_AVX2
// Word j of kLanes rows from `offset` bytes on becomes v[j]: the same, where a row's bytes are
// words as they are. Quarters of vectors are put together as they are loaded, which leaves half of
// the shuffles.
FATHOM_INLINE void TransposeFrom(const void* const* rows, int64_t offset, Words (&v)[kLanes]) {
  const auto quarter = [&](int row, int j) __attribute__((always_inline)) {
    const auto* at = static_cast<const char*>(rows[row]) + offset + 16 * j;
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
  };
  HWY_UNROLL(4)
  for (int j = 0; j < 4; ++j) {
    // Quarter q of w[i]: words 4 j .. 4 j + 3 of row 4 q + i.
    __m512i w[4];
    HWY_UNROLL(4)
    for (int i = 0; i < 4; ++i) {
      w[i] = _mm512_castsi128_si512(quarter(i, j));
      w[i] = _mm512_mask_broadcast_i32x4(w[i], 0x00f0, quarter(4 + i, j));
      w[i] = _mm512_mask_broadcast_i32x4(w[i], 0x0f00, quarter(8 + i, j));
      w[i] = _mm512_mask_broadcast_i32x4(w[i], 0xf000, quarter(12 + i, j));
    }
    const __m512i low[2] = {_mm512_unpacklo_epi32(w[0], w[1]), _mm512_unpacklo_epi32(w[2], w[3])};
    const __m512i high[2] = {_mm512_unpackhi_epi32(w[0], w[1]), _mm512_unpackhi_epi32(w[2], w[3])};
    v[4 * j].raw = _mm512_unpacklo_epi64(low[0], low[1]);
    v[4 * j + 1].raw = _mm512_unpackhi_epi64(low[0], low[1]);
    v[4 * j + 2].raw = _mm512_unpacklo_epi64(high[0], high[1]);
    v[4 * j + 3].raw = _mm512_unpackhi_epi64(high[0], high[1]);
  }
}
#endif

// Words p of a strip or panel, `width` apart. A vector may reach over into the next words, which
// are written after it; not past the end.
FATHOM_INLINE void StoreLanes(Words x, uint32_t* out, int64_t p, int64_t width, int64_t lanes,
                              int64_t steps) {
  if (lanes == kLanes || (lanes == width && p * width + kLanes <= steps * width)) {
    hn::StoreU(x, kWords, out + p * width);
  } else {
    StoreWordsN(x, out + p * width, lanes);
  }
}

// A strip from rows: lines of kLine words, one of each row after the other. Of the `left` rows,
// those of later strips among them, what is packed kRowsAhead rows later is asked for.
template <Element kTo, typename T>
static void PackLines(const void* const* rows, int64_t count, int64_t left, int64_t depth,
                      uint32_t* out) {
  constexpr int64_t kLineDepth = kLine * kPerWord<kTo>, kStep = kLanes * kPerWord<kTo>;
  for (int64_t i = 0; i < count; ++i) {
    const T* row = static_cast<const T*>(rows[i]);
    uint32_t* to = out + i * kLine;
    int64_t k = 0;
    const T* ahead = i + kRowsAhead < left ? static_cast<const T*>(rows[i + kRowsAhead]) : row;
    for (; k + kLineDepth <= depth; k += kLineDepth, to += count * kLine) {
      AskFor<kLineDepth * sizeof(T)>(ahead + k);
      HWY_UNROLL(2)
      for (int64_t part = 0; part < kLineDepth; part += kStep) {
        hn::StoreU(LoadWords<kTo>(row + k + part), kWords, to + part / kPerWord<kTo>);
      }
    }
    for (; k < depth; k += kStep, to += kLanes) {
      const int64_t n = depth - k;
      hn::StoreU(n >= kStep ? LoadWords<kTo>(row + k) : LoadWordsN<kTo>(row + k, n), kWords, to);
    }
  }
}

// Asks for a line of each row, `offset` bytes into it. Into the second-level cache: rows a power of
// two apart would push each other out of the first.
FATHOM_INLINE void AskForRows(const void* const* rows, int64_t count, int64_t offset) {
  for (int64_t i = 0; i < count; ++i) {
    _mm_prefetch(static_cast<const char*>(rows[i]) + offset, _MM_HINT_T1);
  }
}

// One panel, of whose lanes the first `count` are rows. Of the first `asked` rows (some of them
// those of later panels) what is packed kLanes rows later is asked for: as many rows as that are
// more streams than a processor foresees.
template <Element kTo, typename T>
static void PackRowPanel(const void* const* rows, int64_t count, [[maybe_unused]] int64_t asked,
                         int64_t depth, uint32_t* out) {
  constexpr int64_t width = kPanel;
  constexpr int64_t kStep = kLanes * kPerWord<kTo>;
  const int64_t steps = (depth + kPerWord<kTo> - 1) / kPerWord<kTo>;
  for (int64_t lane = 0; lane < width; lane += kLanes) {
    const int64_t lanes = width - lane < kLanes ? width - lane : kLanes;
    const int64_t valid = count - lane < kLanes ? count - lane : kLanes;
    for (int64_t k = 0; k < depth; k += kStep) {
      const int64_t n = depth - k < kStep ? depth - k : kStep;
      if constexpr (kPerWord<kTo> * sizeof(T) == 4) {
        const int64_t left = asked - lane - kLanes;
        AskForRows(rows + lane + kLanes, left < kLanes ? left : kLanes,
                   k * static_cast<int64_t>(sizeof(T)));
      }
      Words v[kLanes];
#if HWY_TARGET != HWY_AVX2
      if constexpr (kPerWord<kTo> * sizeof(T) == 4) {
        if (n == kStep && valid >= kLanes) {
          TransposeFrom(rows + lane, k * static_cast<int64_t>(sizeof(T)), v);
          for (int64_t p = 0; p < kLanes; ++p)
            StoreLanes(v[p], out + lane, k / kPerWord<kTo> + p, width, kLanes, steps);
          continue;
        }
      }
#endif
      for (int64_t i = 0; i < kLanes; ++i) {
        if (i >= valid) {
          v[i] = hn::Zero(kWords);
        } else if (n == kStep) {
          v[i] = LoadWords<kTo>(static_cast<const T*>(rows[lane + i]) + k);
        } else {
          v[i] = LoadWordsN<kTo>(static_cast<const T*>(rows[lane + i]) + k, n);
        }
      }
      Transpose(v);
      const int64_t first = k / kPerWord<kTo>;
      const int64_t words = (n + kPerWord<kTo> - 1) / kPerWord<kTo>;
      for (int64_t p = 0; p < words; ++p) {
        StoreLanes(v[p], out + lane, first + p, width, lanes, steps);
      }
    }
  }
}

// One element of each lane, as the lower half of a word for bf16; n < kLanes loads a part.
template <Element kTo, typename T>
FATHOM_INLINE Words LoadColumn(const void* row, int64_t lane, int64_t n) {
  const T* p = static_cast<const T*>(row) + lane;
  if constexpr (kTo == Element::kF32) {
    return hn::BitCast(kWords, n >= kLanes ? Load(p) : LoadN(p, n));
  } else if constexpr (sizeof(T) == 4) {
    return hn::PromoteTo(kWords, ToBF16(n >= kLanes ? Load(p) : LoadN(p, n)));
  } else if (n >= kLanes) {
    return hn::PromoteTo(kWords, hn::LoadU(kHalves, p));
  } else {
    return hn::ShiftRight<16>(hn::BitCast(kWords, LoadN(p, n)));
  }
}

// One vector of lanes: `valid` of them come from columns `lane`..., `lanes` are stored.
struct LaneGroup {
  int64_t lane, valid, lanes, width;
  uint32_t* out;
};

// Steps of the depth that a group takes before the next does: what it writes are whole lines, that
// may leave the first-level cache. (Those of groups a power of two apart push each other out.)
inline constexpr int64_t kGroupSteps = 4;

// `n` lanes of a step: one row, or for bf16 two, of which the second may be missing (null).
template <Element kTo, typename T>
FATHOM_INLINE Words LoadStep(const void* row, [[maybe_unused]] const void* second, int64_t lane,
                             int64_t n) {
  Words word = LoadColumn<kTo, T>(row, lane, n);
  if constexpr (kTo == Element::kBF16) {
    if (second != nullptr) {
      word = hn::Or(word, hn::ShiftLeft<16>(LoadColumn<kTo, T>(second, lane, n)));
    }
  }
  return word;
}

// Step p of one group.
template <Element kTo, typename T>
FATHOM_INLINE void PackStep(const void* const* rows, int64_t depth, const LaneGroup& group,
                            int64_t p, int64_t steps) {
  const int64_t k = p * kPerWord<kTo>;
  Words word = hn::Zero(kWords);
  if (group.valid > 0) {
    const void* second = k + 1 < depth ? rows[k + 1] : nullptr;
    word = LoadStep<kTo, T>(rows[k], second, group.lane, group.valid);
  }
  StoreLanes(word, group.out, p, group.width, group.lanes, steps);
}

// A row is read from left to right for all groups before those kGroupSteps later.
template <Element kTo, typename T>
static void PackGroups(const void* const* rows, int64_t depth, const LaneGroup* groups,
                       int64_t count) {
  constexpr int64_t kLineElements = 64 / sizeof(T), kRows = kGroupSteps * kPerWord<kTo>;
  const int64_t begin = groups[0].lane;
  const int64_t end = groups[count - 1].lane + groups[count - 1].valid;
  const int64_t steps = (depth + kPerWord<kTo> - 1) / kPerWord<kTo>;
  int64_t p = 0;
  for (; (p + kGroupSteps) * kPerWord<kTo> <= depth; p += kGroupSteps) {
    const int64_t ahead = p * kPerWord<kTo> + kRowsAhead;
    for (int64_t k = ahead; k < depth && k < ahead + kRows; ++k) {
      const T* row = static_cast<const T*>(rows[k]);
      for (int64_t j = begin; j < end; j += kLineElements) _mm_prefetch(row + j, _MM_HINT_T0);
    }
    const T* from[kRows];
    HWY_UNROLL(8)
    for (int64_t i = 0; i < kRows; ++i)
      from[i] = static_cast<const T*>(rows[p * kPerWord<kTo> + i]);
    for (int64_t g = 0; g < count; ++g) {
      const LaneGroup group = groups[g];
      if (group.valid < kLanes) {
        for (int64_t q = p; q < p + kGroupSteps; ++q) {
          PackStep<kTo, T>(rows, depth, group, q, steps);
        }
        continue;
      }
      // Whole vectors of a strip reach over into its next steps, and must not beyond its end.
      const bool whole = (steps - p - kGroupSteps + 1) * group.width >= kLanes;
      uint32_t* out = group.out + p * group.width;
      HWY_UNROLL(4)
      for (int64_t q = 0; q < kGroupSteps; ++q, out += group.width) {
        const T* const* of_step = from + q * kPerWord<kTo>;
        const Words word =
            LoadStep<kTo, T>(of_step[0], of_step[kPerWord<kTo> - 1], group.lane, kLanes);
        if (whole) {
          hn::StoreU(word, kWords, out);
        } else {
          StoreWordsN(word, out, group.lanes);
        }
      }
    }
  }
  for (; p < steps; ++p) {
    for (int64_t g = 0; g < count; ++g) PackStep<kTo, T>(rows, depth, groups[g], p, steps);
  }
}

// Groups that are packed together: the lines of their rows and of what is written fit into the
// first-level cache.
inline constexpr int64_t kMostGroups = 16;

template <Element kTo, typename T>
static void PackColumnPanelsOf(const void* const* rows, int64_t first, int64_t depth, int64_t count,
                               uint32_t* out) {
  const int64_t steps = (depth + kPerWord<kTo> - 1) / kPerWord<kTo>;
  LaneGroup groups[kMostGroups];
  int64_t size = 0;
  for (int64_t panel = 0; panel < count; panel += kPanel, out += steps * kPanel) {
    for (int64_t lane = 0; lane < kPanel; lane += kLanes) {
      const int64_t left = count - panel - lane;
      groups[size++] = {first + panel + lane, left < kLanes ? left : kLanes, kLanes, kPanel,
                        out + lane};
    }
    if (size == kMostGroups || panel + kPanel >= count) {
      PackGroups<kTo, T>(rows, depth, groups, size);
      size = 0;
    }
  }
}

template <Element kTo, typename T>
static void PackColumnStripsOf(const void* const* rows, int64_t first, int64_t depth, int64_t count,
                               int64_t strip, uint32_t* out) {
  const int64_t steps = (depth + kPerWord<kTo> - 1) / kPerWord<kTo>;
  const Strips strips = Strips::Of(count, strip);
  LaneGroup groups[kMostGroups];
  int64_t size = 0;
  for (int64_t s = 0; s < strips.count; ++s) {
    const int64_t begin = strips.Begin(s), width = strips.Begin(s + 1) - begin;
    // Whole vectors are read where there are columns: of what is written of them, the next step
    // writes over what is not the strip's.
    const int64_t left = count - begin;
    groups[size++] = {first + begin, left < kLanes ? width : kLanes, width, width,
                      out + begin * steps};
    if (size == kMostGroups || s + 1 == strips.count) {
      PackGroups<kTo, T>(rows, depth, groups, size);
      size = 0;
    }
  }
}

template <Element kTo, typename T>
static void PackRowPanelsOf(const void* const* rows, int64_t count, int64_t depth, uint32_t* out) {
  const bool asks = AsksAhead();
  const int64_t steps = (depth + kPerWord<kTo> - 1) / kPerWord<kTo>;
  for (int64_t panel = 0; panel < count; panel += kPanel, out += steps * kPanel) {
    const int64_t left = count - panel;
    PackRowPanel<kTo, T>(rows + panel, left < kPanel ? left : kPanel, asks ? left : 0, depth, out);
  }
}

template <Element kTo, typename T>
static void PackRowStripsOf(const void* const* rows, int64_t count, int64_t depth, uint32_t* out) {
  constexpr int64_t kLineDepth = kLine * kPerWord<kTo>;
  const int64_t words = (depth + kLineDepth - 1) / kLineDepth * kLine;
  const Strips strips = Strips::Of(count, kStrip<kTo>);
  for (int64_t s = 0; s < strips.count; ++s) {
    const int64_t begin = strips.Begin(s), width = strips.Begin(s + 1) - begin;
    PackLines<kTo, T>(rows + begin, width, count - begin, depth, out + begin * words);
  }
}

// Calls f(Element constant, pointer of the source's type).
template <typename F>
FATHOM_INLINE void ForTypes(Element from, Element to, F&& f) {
  constexpr std::integral_constant<Element, Element::kF32> kToF32;
  constexpr std::integral_constant<Element, Element::kBF16> kToBF16;
  if (to == Element::kF32) {
    from == Element::kF32 ? f(kToF32, float{}) : f(kToF32, uint16_t{});
  } else {
    from == Element::kF32 ? f(kToBF16, float{}) : f(kToBF16, uint16_t{});
  }
}

static void PackRowPanels(Element from, Element to, const void* const* rows, int64_t count,
                          int64_t depth, void* out) {
  ForTypes(from, to, [&](auto type, auto source) {
    PackRowPanelsOf<type(), decltype(source)>(rows, count, depth, static_cast<uint32_t*>(out));
  });
}
static void PackRowStrips(Element from, Element to, const void* const* rows, int64_t count,
                          int64_t depth, void* out) {
  ForTypes(from, to, [&](auto type, auto source) {
    PackRowStripsOf<type(), decltype(source)>(rows, count, depth, static_cast<uint32_t*>(out));
  });
}
static void PackColumnPanels(Element from, Element to, const void* const* rows, int64_t first,
                             int64_t depth, int64_t count, void* out) {
  ForTypes(from, to, [&](auto type, auto source) {
    PackColumnPanelsOf<type(), decltype(source)>(rows, first, depth, count,
                                                 static_cast<uint32_t*>(out));
  });
}
static void PackColumnStrips(Element from, Element to, const void* const* rows, int64_t first,
                             int64_t depth, int64_t count, int64_t strip, void* out) {
  ForTypes(from, to, [&](auto type, auto source) {
    PackColumnStripsOf<type(), decltype(source)>(rows, first, depth, count, strip,
                                                 static_cast<uint32_t*>(out));
  });
}

}  // namespace fathom::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#pragma once

// Packing of operands into strips and panels (layouts: kernel_table.h), with the conversion to the
// type of the product on the way.

#include "backend/cpu/vector-inl.h"

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

// One lane only: the row itself.
template <Element kTo, typename T>
static void PackSingleRow(const T* row, int64_t depth, uint32_t* out) {
  constexpr int64_t kStep = kLanes * kPerWord<kTo>;
  int64_t k = 0;
  for (; k + kStep <= depth; k += kStep, out += kLanes) {
    hn::StoreU(LoadWords<kTo>(row + k), kWords, out);
  }
  if (k < depth) {
    const int64_t n = depth - k;
    StoreWordsN(LoadWordsN<kTo>(row + k, n), out, (n + kPerWord<kTo> - 1) / kPerWord<kTo>);
  }
}

template <Element kTo, typename T>
static void PackRowsOf(const void* const* rows, int64_t count, int64_t width, int64_t depth,
                       uint32_t* out) {
  if (width == 1 && count == 1) {
    PackSingleRow<kTo>(static_cast<const T*>(rows[0]), depth, out);
    return;
  }
  constexpr int64_t kStep = kLanes * kPerWord<kTo>;
  for (int64_t lane = 0; lane < width; lane += kLanes) {
    const int64_t lanes = width - lane < kLanes ? width - lane : kLanes;
    for (int64_t k = 0; k < depth; k += kStep) {
      const int64_t n = depth - k < kStep ? depth - k : kStep;
      Words v[kLanes];
      if (n == kStep) {
        for (int64_t i = 0; i < kLanes; ++i) {
          v[i] = lane + i < count ? LoadWords<kTo>(static_cast<const T*>(rows[lane + i]) + k)
                                  : hn::Zero(kWords);
        }
      } else {
        for (int64_t i = 0; i < kLanes; ++i) {
          v[i] = lane + i < count ? LoadWordsN<kTo>(static_cast<const T*>(rows[lane + i]) + k, n)
                                  : hn::Zero(kWords);
        }
      }
      Transpose(v);
      const int64_t words = (n + kPerWord<kTo> - 1) / kPerWord<kTo>;
      uint32_t* to = out + k / kPerWord<kTo> * width + lane;
      if (lanes == kLanes) {
        for (int64_t p = 0; p < words; ++p) hn::StoreU(v[p], kWords, to + p * width);
      } else {
        for (int64_t p = 0; p < words; ++p) StoreWordsN(v[p], to + p * width, lanes);
      }
    }
  }
}

static void PackRows(Element from, Element to, const void* const* rows, int64_t count,
                     int64_t width, int64_t depth, void* out) {
  auto* words = static_cast<uint32_t*>(out);
  if (to == Element::kF32) {
    if (from == Element::kF32) {
      PackRowsOf<Element::kF32, float>(rows, count, width, depth, words);
    } else {
      PackRowsOf<Element::kF32, uint16_t>(rows, count, width, depth, words);
    }
  } else if (from == Element::kF32) {
    PackRowsOf<Element::kBF16, float>(rows, count, width, depth, words);
  } else {
    PackRowsOf<Element::kBF16, uint16_t>(rows, count, width, depth, words);
  }
}

// One element of each lane, as the lower half of a word for bf16.
template <Element kTo, typename V>
FATHOM_INLINE Words ToWords(V x) {
  if constexpr (kTo == Element::kF32) {
    return hn::BitCast(kWords, x);
  } else {
    return hn::PromoteTo(kWords, ToBF16(x));
  }
}
template <Element kTo, typename T>
FATHOM_INLINE Words LoadColumn(const void* row, int64_t lane, int64_t n) {
  const T* p = static_cast<const T*>(row) + lane;
  if (n >= kLanes) {
    if constexpr (kTo == Element::kBF16 && sizeof(T) == 2) {
      return hn::PromoteTo(kWords, hn::LoadU(kHalves, p));
    } else {
      return ToWords<kTo>(Load(p));
    }
  }
  return n <= 0 ? hn::Zero(kWords) : ToWords<kTo>(LoadN(p, n));
}

template <Element kTo, typename T>
static void PackColumnsOf(const void* const* rows, int64_t first, int64_t depth, int64_t count,
                          int64_t width, uint32_t* out) {
  for (int64_t lane = 0; lane < width; lane += kLanes) {
    const int64_t lanes = width - lane < kLanes ? width - lane : kLanes;
    const int64_t n = count - lane;
    uint32_t* to = out + lane;
    for (int64_t k = 0; k < depth; k += kPerWord<kTo>, to += width) {
      Words word = LoadColumn<kTo, T>(rows[k], first + lane, n);
      if constexpr (kTo == Element::kBF16) {
        if (k + 1 < depth) {
          word = hn::Or(word, hn::ShiftLeft<16>(LoadColumn<kTo, T>(rows[k + 1], first + lane, n)));
        }
      }
      if (lanes == kLanes) {
        hn::StoreU(word, kWords, to);
      } else {
        StoreWordsN(word, to, lanes);
      }
    }
  }
}

static void PackColumns(Element from, Element to, const void* const* rows, int64_t first,
                        int64_t depth, int64_t count, int64_t width, void* out) {
  auto* words = static_cast<uint32_t*>(out);
  if (to == Element::kF32) {
    if (from == Element::kF32) {
      PackColumnsOf<Element::kF32, float>(rows, first, depth, count, width, words);
    } else {
      PackColumnsOf<Element::kF32, uint16_t>(rows, first, depth, count, width, words);
    }
  } else if (from == Element::kF32) {
    PackColumnsOf<Element::kBF16, float>(rows, first, depth, count, width, words);
  } else {
    PackColumnsOf<Element::kBF16, uint16_t>(rows, first, depth, count, width, words);
  }
}

}  // namespace fathom::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

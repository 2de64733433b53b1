#pragma once

// Operands of products with block-coded weights: activations rounded to integers, and files' rows
// of blocks laid into panels (layouts: coded_formats-inl.h).

#include "backend/cpu/coded_gemm-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fathom::cpu::HWY_NAMESPACE {

using CodeTag = hn::RebindToSigned<FloatTag>;
using CodeInts = hn::Vec<CodeTag>;
inline constexpr CodeTag kCodeInts;

// IntegerScale of the largest magnitude's bits, in whose order NaN comes after infinity.
FATHOM_INLINE float ScaleOfBits(uint32_t bits) {
  if (bits >= 0x7f800000u) return __builtin_nanf("");
  if (bits == 0) return 1;
  const float scale = __builtin_bit_cast(float, bits) / 127;
  return scale < 0x1p-120f ? 0x1p-120f : scale;
}

template <typename T>
FATHOM_INLINE float BlockScale(const T* x, int64_t count) {
  CodeInts most = hn::Zero(kCodeInts);
  for (int64_t j = 0; j < count; j += kLanes) {
    const CodeInts magnitude =
        hn::And(hn::BitCast(kCodeInts, Load(x + j)), hn::Set(kCodeInts, 0x7fffffff));
    most = hn::Max(most, magnitude);
  }
  return ScaleOfBits(static_cast<uint32_t>(hn::GetLane(hn::MaxOfLanes(kCodeInts, most))));
}

FATHOM_INLINE void StoreRounded(CodeInts q, int8_t* to) {
  const hn::Rebind<int8_t, CodeTag> bytes;
  hn::StoreU(hn::DemoteTo(bytes, q), bytes, to);
}
#if HWY_TARGET == HWY_AVX2
// Of every four, elements 0 and 2, then 1 and 3.
FATHOM_INLINE void StoreRounded(CodeInts q, int16_t* to) {
  const __m256i later = _mm256_slli_epi32(_mm256_shuffle_epi32(q.raw, 0x0e), 16);
  const __m256i pairs = _mm256_or_si256(_mm256_and_si256(q.raw, _mm256_set1_epi32(0xffff)), later);
  _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm256_castsi256_si128(pairs));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(to + 4), _mm256_extracti128_si256(pairs, 1));
}
#endif

// Calls use(sum of the codes, group) for every 16 of them.
template <int kElements, typename T, typename Code, typename Use>
FATHOM_INLINE void RoundBlock(const T* x, float scale, Code* codes, Use&& use) {
  const Floats inverse = Set(1.0f / scale);
  for (int group = 0; group < kElements / 16; ++group) {
    CodeInts sum = hn::Zero(kCodeInts);
    for (int j = group * 16; j < group * 16 + 16; j += kLanes) {
      const CodeInts q = hn::NearestInt(Load(x + j) * inverse);
      StoreRounded(q, codes + j);
      sum = sum + q;
    }
    use(static_cast<int32_t>(hn::GetLane(hn::SumOfLanes(kCodeInts, sum))), group);
  }
}

template <typename Record, typename T>
FATHOM_INLINE void RoundTo(const T* x, Record* record) {
  if constexpr (std::is_same_v<Record, Record256>) {
    const float scale = BlockScale(x, 256);
    if (!(scale <= 0x1p127f)) {
      *record = {};
    } else {
      int32_t before = 0;
      RoundBlock<256>(x, scale, record->codes, [&](int32_t sum, int group) {
        record->sums16[Record::PlaceOf(group)] = static_cast<int16_t>(sum);
        if (group % 2 == 1) {
          record->sums32[Record::PlaceOf(group / 2)] = static_cast<int16_t>(before + sum);
        }
        before = sum;
      });
    }
    record->scale = scale;
  } else {
    const float scale = BlockScale(x, 32);
    record->sum = 0;
    if (!(scale <= 0x1p127f)) {
      *record = {};
    } else {
      RoundBlock<32>(x, scale, record->codes, [&](int32_t sum, int) { record->sum += sum; });
    }
    record->scale = scale;
  }
}

template <typename Kind, typename T>
static void QuantizeStripsOf(const void* const* rows, int64_t count, int64_t depth, void* out) {
  using Record = typename Kind::Record;
  constexpr int64_t kChunkBlocks = ChunkBlocks<Kind>();
  const int64_t blocks = depth / Kind::kElements;
  const Strips strips = CodedStrips<Kind>(count);
  for (int64_t s = 0; s < strips.count; ++s) {
    const int64_t begin = strips.Begin(s), height = strips.Begin(s + 1) - begin;
    for (int64_t i = 0; i < height; ++i) {
      const T* x = static_cast<const T*>(rows[begin + i]);
      for (int64_t chunk = 0; chunk < blocks; chunk += kChunkBlocks) {
        const int64_t some = blocks - chunk < kChunkBlocks ? blocks - chunk : kChunkBlocks;
        Record* record = static_cast<Record*>(out) + chunk * count + some * begin + i;
        for (int64_t b = 0; b < some; ++b) {
          RoundTo(x + (chunk + b) * Kind::kElements, record + b * height);
        }
      }
    }
  }
}

static void QuantizeStrips(Blocks type, Element x_type, const void* const* rows, int64_t count,
                           int64_t depth, void* out) {
  ForKind(type, [&](auto kind) {
    using Kind = decltype(kind);
    x_type == Element::kF32 ? QuantizeStripsOf<Kind, float>(rows, count, depth, out)
                            : QuantizeStripsOf<Kind, uint16_t>(rows, count, depth, out);
  });
}

// Words [0, count), count <= 8, of eight rows: word w of all of them goes to out + w * kPanel.
FATHOM_INLINE void TransposeWords(const uint8_t* const* rows, int64_t at, int64_t count,
                                  uint8_t flip, uint8_t* out) {
  const __m256i flips = _mm256_set1_epi8(static_cast<char>(flip));
  __m256i v[8], t[8];
  if (count == 8) {
    HWY_UNROLL(8)
    for (int i = 0; i < 8; ++i) {
      v[i] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(rows[i] + at));
    }
  } else {
    HWY_UNROLL(8)
    for (int i = 0; i < 8; ++i) {
      v[i] =
          _mm256_castsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[i] + at)));
    }
  }
  HWY_UNROLL(4)
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_epi32(v[i], v[i + 1]);
    t[i + 1] = _mm256_unpackhi_epi32(v[i], v[i + 1]);
  }
  HWY_UNROLL(2)
  for (int i = 0; i < 8; i += 4) {
    v[i] = _mm256_unpacklo_epi64(t[i], t[i + 2]);
    v[i + 1] = _mm256_unpackhi_epi64(t[i], t[i + 2]);
    v[i + 2] = _mm256_unpacklo_epi64(t[i + 1], t[i + 3]);
    v[i + 3] = _mm256_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  HWY_UNROLL(4)
  for (int j = 0; j < 4; ++j) {
    t[j] = _mm256_permute2x128_si256(v[j], v[4 + j], 0x20);
    t[4 + j] = _mm256_permute2x128_si256(v[j], v[4 + j], 0x31);
  }
  for (int64_t w = 0; w < count; ++w) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + w * kPanel * 4),
                        _mm256_xor_si256(t[w], flips));
  }
}

// The words of a block of Q6_K as panels have them: the scales [4], then for each four sub-blocks
// [4][3][4] the codes of the first three in the lower six bits of their words' bytes, and above
// them two bits each of the fourth's, the highest first. (Where the file has the bits:
// tensor/block_layouts.h.)
FATHOM_INLINE void RearrangeQ6K(const uint8_t* block, uint8_t* out) {
  __builtin_memcpy(out, block + 192, 16);
  out += 16;
  for (int half = 0; half < 2; ++half) {
    const uint8_t *low = block + half * 64, *high = block + 128 + half * 32;
    for (int quarter = 0; quarter < 2; ++quarter, out += 48) {
      for (int i = 0; i < 16; ++i) {
        uint8_t code[4];
        for (int sub = 0; sub < 4; ++sub) {
          const int bits = quarter == 0 ? low[sub * 16 + i] & 15 : low[sub * 16 + i] >> 4;
          const int top = high[sub % 2 * 16 + i] >> (quarter * 4 + sub / 2 * 2) & 3;
          code[sub] = static_cast<uint8_t>(bits | top << 4);
        }
        out[i] = static_cast<uint8_t>(code[0] | code[3] >> 4 << 6);
        out[16 + i] = static_cast<uint8_t>(code[1] | (code[3] >> 2 & 3) << 6);
        out[32 + i] = static_cast<uint8_t>(code[2] | (code[3] & 3) << 6);
      }
    }
  }
}

static void PackCodedPanel(Blocks type, const void* const* rows, int64_t count, int64_t blocks,
                           void* out_any) {
  static constexpr uint8_t kZeros[256] = {};
  const BlockShape shape = ShapeOf(type);
  const uint8_t flip = type == Blocks::kQ8_0 && Q8_0Format::kBias != 0 ? 0x80 : 0;
  auto* out = static_cast<uint8_t*>(out_any);
  const uint8_t* from[kPanel];
  for (int64_t lane = 0; lane < kPanel; ++lane) {
    from[lane] = lane < count ? static_cast<const uint8_t*>(rows[lane]) : kZeros;
  }
  for (int64_t block = 0; block < blocks; ++block) {
    for (int64_t lane = 0; lane < kPanel; lane += 8) {
      const uint8_t* words_of[8];
      uint8_t rearranged[8][52 * 4];
      for (int64_t i = 0; i < 8; ++i) {
        words_of[i] = from[lane + i] + shape.words_at;
        if (type == Blocks::kQ6K) {
          RearrangeQ6K(from[lane + i], rearranged[i]);
          words_of[i] = rearranged[i];
        }
      }
      for (int64_t word = 0; word < shape.words; word += 8) {
        const int64_t words = shape.words - word < 8 ? 4 : 8;
        TransposeWords(words_of, word * 4, words, flip, out + (word * kPanel + lane) * 4);
      }
    }
    out += shape.words * kPanel * 4;
    if (shape.half_at >= 0) {
      for (int64_t lane = 0; lane < kPanel; ++lane, out += 2) {
        __builtin_memcpy(out, from[lane] + shape.half_at, 2);
      }
    }
    for (int64_t lane = 0; lane < count; ++lane) from[lane] += shape.bytes;
  }
}

// The table of this instruction set.
constexpr CodedKernels MakeCodedKernels() {
  return {.panel = kPanel,
          .row_bytes = &CodedRowBytes,
          .scratch_bytes = &CodedScratchBytes,
          .quantize_strips = &QuantizeStrips,
          .pack_panel = &PackCodedPanel,
          .multiply = &MultiplyCoded};
}

}  // namespace fathom::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#pragma once

// Block-coded weights as products read them: layouts of panels and of activations, and codes taken
// out of blocks.
//
// A panel [kPanel lanes over n][blocks over k] keeps the bytes of the file: of a block, each of its
// 32-bit words for all lanes [words][kPanel], then, where words do not hold it, the scale in half
// precision [kPanel]. A word's bytes are neighbours along k, so a vector of words times a word of
// four activations, broadcast, is what the instructions for bytes add up:
//   AVX-512 VNNI  vpdpbusd, unsigned times signed bytes into 32 bits;
//   AVX2          vpmaddubsw into 16 bits, which hold a sub-block of 4-bit codes, then vpmaddwd;
//                 codes of 8 bits, which would overflow, as 16-bit halves with vpmaddwd.
// All of these are exact, so the order inside a block is free, and what is added over blocks is the
// same on every instruction set, for any number of rows: one fused multiply-add a block, ascending.

#include "backend/cpu/coded_kernels.h"
#include "backend/cpu/integers-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fathom::cpu::HWY_NAMESPACE {

inline constexpr bool kVnni = HWY_TARGET != HWY_AVX2;
inline constexpr int kPanelVectors = 2;

// A row's activations of one block. Strips are [chunks of kChunk elements][strips][blocks of the
// chunk][rows of the strip]: a chunk's come one after the other, as they are passed by.
struct Record32 {  // Q4_0; Q8_0 with VNNI
  int8_t codes[32];
  float scale;
  int32_t sum;  // of the codes
};
// Q8_0 on AVX2: of every four codes, elements 0 and 2, then 1 and 3, so that a word's even and odd
// bytes are its factors.
struct WideRecord32 {
  int16_t codes[32];
  float scale;
  int32_t sum;
};
struct Record256 {  // Q4_K, Q6_K
  int8_t codes[256];
  int16_t sums16[16];  // of every 16 codes
  int16_t sums32[8];
  float scale;

  // Where the sums have a sub-block's. Of every four the first and the third are neighbours, then
  // the others: so are the halves of a word that a word of four scales is taken apart to.
  static constexpr int PlaceOf(int sub) { return sub / 4 * 4 + sub % 2 * 2 + sub / 2 % 2; }
};

FATHOM_INLINE int32_t WordAt(const void* p) {
  int32_t word;
  __builtin_memcpy(&word, p, sizeof(word));
  return word;
}

// ---- Sums of products of bytes (unsigned codes, signed activations)

// Of as many codes of four bits as a sub-block of 32 has, of four codes of six bits.
FATHOM_INLINE Codes AddProducts(Codes sum, Codes codes, Codes x) {
#if HWY_TARGET == HWY_AVX2
  return _mm256_add_epi16(sum, _mm256_maddubs_epi16(codes, x));
#else
  return _mm512_dpbusd_epi32(sum, codes, x);
#endif
}
// Times a sub-block's scale, as ScaleFactors has it.
FATHOM_INLINE Codes Scaled(Codes sum, Codes factors) {
#if HWY_TARGET == HWY_AVX2
  return MulAddHalves(sum, factors);
#else
  return _mm512_mullo_epi32(sum, factors);
#endif
}
FATHOM_INLINE Codes Unscaled(Codes sum) {
  return kVnni ? sum : MulAddHalves(sum, SetWord(0x10001));
}
// From small integers in words: what Scaled takes.
FATHOM_INLINE Codes ScaleFactors(Codes scale) {
  if constexpr (kVnni) return scale;
  return Or(And(scale, SetWord(0xffff)), Left32<16>(scale));
}

FATHOM_INLINE Codes WordOf(const uint8_t* block, int64_t word, int v) {
  return LoadCodes(block + (word * kPanel + v * kLanes) * 4);
}
FATHOM_INLINE const uint8_t* HalvesOf(const uint8_t* block, int64_t words) {
  return block + words * kPanel * 4;
}
FATHOM_INLINE Codes LowNibbles(Codes x) { return And(x, SetByte(15)); }
FATHOM_INLINE Codes HighNibbles(Codes x) { return And(Right16<4>(x), SetByte(15)); }

// ---- Formats of 32 elements. kParts vectors of codes for every word of four activations.

struct Q8_0Format {
  static constexpr Blocks kType = Blocks::kQ8_0;
  static constexpr int64_t kElements = 32;
#if HWY_TARGET == HWY_AVX2
  using Record = WideRecord32;
  static constexpr int kParts = 2;
  static constexpr bool kDecodes = true;
  static constexpr int kBias = 0;
  template <int kPart>
  static HWY_INLINE Codes Code(const uint8_t* block, int group, int v) {
    const Codes word = WordOf(block, group, v);
    return _mm256_srai_epi16(kPart == 0 ? Left16<8>(word) : word, 8);
  }
  static HWY_INLINE Codes Add(Codes sum, Codes codes, Codes x) {
    return Add32(sum, MulAddHalves(codes, x));
  }
  static HWY_INLINE Codes Total(Codes sum) { return sum; }
#else
  using Record = Record32;
  static constexpr int kParts = 1;
  static constexpr bool kDecodes = false;
  static constexpr int kBias = 128;  // that packing adds to the codes
  template <int kPart>
  static HWY_INLINE Codes Code(const uint8_t* block, int group, int v) {
    return WordOf(block, group, v);
  }
  static HWY_INLINE Codes Add(Codes sum, Codes codes, Codes x) {
    return AddProducts(sum, codes, x);
  }
  static HWY_INLINE Codes Total(Codes sum) { return sum; }
#endif
};

struct Q4_0Format {
  static constexpr Blocks kType = Blocks::kQ4_0;
  static constexpr int64_t kElements = 32;
  using Record = Record32;
  static constexpr int kParts = 1;
  static constexpr bool kDecodes = true;
  static constexpr int kBias = 8;
  template <int kPart>
  static HWY_INLINE Codes Code(const uint8_t* block, int group, int v) {
    return group < 4 ? LowNibbles(WordOf(block, group, v))
                     : HighNibbles(WordOf(block, group - 4, v));
  }
  static HWY_INLINE Codes Add(Codes sum, Codes codes, Codes x) {
    return AddProducts(sum, codes, x);
  }
  static HWY_INLINE Codes Total(Codes sum) { return Unscaled(sum); }
};

// ---- Formats of 256 elements in sub-blocks: kOuter times kInner, of kGroups words of activations.
//
// Where taking a code out leaves it in the upper bits of its byte, unsigned products allow it to
// stay there, and the scales of the other sub-blocks have as many bits more: totals are
// 2^kExtraBits times what they should be, exactly.

struct Q4KFormat {
  static constexpr Blocks kType = Blocks::kQ4K;
  using Record = Record256;
  static constexpr int kOuter = 4, kInner = 2, kGroups = 8, kGroupsAtOnce = 8;
  static constexpr int kExtraBits = kVnni ? 4 : 0;
  struct Scales {
    Codes factors[8][kPanelVectors];
    Codes minima[4][kPanelVectors];  // as halves of words, in the order of sums32
    Floats step[kPanelVectors], minimum_step[kPanelVectors];
  };

  template <int kSub>
  static HWY_INLINE Codes Code(const uint8_t* block, int outer, int group, int v) {
    const Codes word = WordOf(block, 4 + outer * 8 + group, v);
    if constexpr (kSub == 0) return LowNibbles(word);
    return kVnni ? And(word, SetWord(~0x0f0f0f0f)) : HighNibbles(word);
  }
  // Of six bits each, in bytes, of sub-blocks 4 half to 4 half + 3. Twelve bytes hold all:
  // tensor/block_layouts.h.
  static HWY_INLINE Codes ScaleBytes(const uint8_t* block, int half, int v) {
    if (half == 0) return And(WordOf(block, 1, v), SetByte(63));
    return Or(LowNibbles(WordOf(block, 3, v)), And(Right16<2>(WordOf(block, 1, v)), SetByte(0x30)));
  }
  static HWY_INLINE Codes MinimumBytes(const uint8_t* block, int half, int v) {
    if (half == 0) return And(WordOf(block, 2, v), SetByte(63));
    return Or(HighNibbles(WordOf(block, 3, v)),
              And(Right16<2>(WordOf(block, 2, v)), SetByte(0x30)));
  }
  static HWY_INLINE void UnpackFactors(const uint8_t* block, Scales* scales) {
    HWY_UNROLL(2)
    for (int v = 0; v < kPanelVectors; ++v) {
      HWY_UNROLL(2)
      for (int half = 0; half < 2; ++half) {
        const Codes bytes = ScaleBytes(block, half, v);
        const Codes byte = SetWord(255), high = SetWord(255 << kExtraBits);
        Codes(*to)[kPanelVectors] = scales->factors + half * 4;
        to[0][v] = ScaleFactors(And(Left32<kExtraBits>(bytes), high));
        to[1][v] = ScaleFactors(And(Right32<8>(bytes), byte));
        to[2][v] = ScaleFactors(And(Right32<16 - kExtraBits>(bytes), high));
        to[3][v] = ScaleFactors(Right32<24>(bytes));
      }
    }
  }
  // What Finish wants beside.
  static HWY_INLINE void UnpackRest(const uint8_t* block, Scales* scales) {
    HWY_UNROLL(2)
    for (int v = 0; v < kPanelVectors; ++v) {
      HWY_UNROLL(2)
      for (int half = 0; half < 2; ++half) {
        const Codes bytes = MinimumBytes(block, half, v);
        scales->minima[half * 2][v] = And(bytes, SetWord(0xff00ff));
        scales->minima[half * 2 + 1][v] = Right16<8>(bytes);
      }
      const Codes steps = WordOf(block, 0, v);
      scales->step[v] = FromLowHalf(steps);
      scales->minimum_step[v] = FromLowHalf(Right32<16>(steps));
    }
  }
  // Adds one row's block to its sums.
  static HWY_INLINE void Finish(const Scales& scales, const Record& x, const Codes* total,
                                float* sums) {
    const Floats scale = Set(x.scale);
    Codes low[kPanelVectors] = {ZeroCodes(), ZeroCodes()};
    HWY_UNROLL(4)
    for (int p = 0; p < 4; ++p) {
      const Codes pair = SetWord(WordAt(x.sums32 + 2 * p));
      HWY_UNROLL(2)
      for (int v = 0; v < kPanelVectors; ++v) {
        low[v] = AddMulHalves(low[v], scales.minima[p][v], pair);
      }
    }
    HWY_UNROLL(2)
    for (int v = 0; v < kPanelVectors; ++v) {
      const Codes exact = RightSigned32<kExtraBits>(total[v]);
      float* to = sums + v * kLanes;
      const Floats sum = MulAdd(ToFloats(exact), scale * scales.step[v], Load(to));
      Store(hn::NegMulAdd(ToFloats(low[v]), scale * scales.minimum_step[v], sum), to);
    }
  }
};

// A panel has a block's codes in another order than the file (RearrangeQ6K).
struct Q6KFormat {
  static constexpr Blocks kType = Blocks::kQ6K;
  using Record = Record256;
  static constexpr int kOuter = 4, kInner = 4, kGroups = 4, kGroupsAtOnce = kVnni ? 4 : 2;
  static constexpr int kExtraBits = kVnni ? 2 : 0;
  struct Scales {
    Codes factors[16][kPanelVectors];
    Codes pairs[8][kPanelVectors];  // as halves of words, in the order of sums16
    Floats step[kPanelVectors];
  };

  template <int kSub>
  static HWY_INLINE Codes Code(const uint8_t* block, int outer, int group, int v) {
    const int64_t word = 4 + outer * 12 + group;
    if constexpr (kSub < 3) return And(WordOf(block, word + 4 * kSub, v), SetByte(63));
    const Codes high = WordOf(block, word, v), middle = WordOf(block, word + 4, v),
                low = WordOf(block, word + 8, v);
    const Codes code =
        Select(SetWord(~0x0f0f0f0f), Select(SetWord(~0x3f3f3f3f), high, Right16<2>(middle)),
               Right16<4>(low));
    return kVnni ? And(code, SetWord(~0x03030303)) : And(Right16<2>(code), SetByte(63));
  }
  static HWY_INLINE void UnpackFactors(const uint8_t* block, Scales* scales) {
    constexpr int kRight = 24 - kExtraBits;
    HWY_UNROLL(2)
    for (int v = 0; v < kPanelVectors; ++v) {
      HWY_UNROLL(4)
      for (int word = 0; word < 4; ++word) {
        const Codes four = WordOf(block, word, v);
        const Codes second = And(four, SetWord(0xff00)), third = And(four, SetWord(0xff0000));
        Codes(*to)[kPanelVectors] = scales->factors + word * 4;
        to[0][v] = ScaleFactors(RightSigned32<kRight>(Left32<24>(four)));
        to[1][v] = ScaleFactors(RightSigned32<kRight>(Left32<16>(second)));
        to[2][v] = ScaleFactors(RightSigned32<kRight>(Left32<8>(third)));
        to[3][v] = ScaleFactors(RightSigned32<24>(four));
      }
    }
  }
  // What Finish wants beside.
  static HWY_INLINE void UnpackRest(const uint8_t* block, Scales* scales) {
    HWY_UNROLL(2)
    for (int v = 0; v < kPanelVectors; ++v) {
      HWY_UNROLL(4)
      for (int word = 0; word < 4; ++word) {
        const Codes four = WordOf(block, word, v);
        scales->pairs[word * 2][v] = RightSigned16<8>(Left16<8>(four));
        scales->pairs[word * 2 + 1][v] = RightSigned16<8>(four);
      }
      scales->step[v] = FromHalfPrecision(HalvesOf(block, 52) + v * kLanes * 2);
    }
  }
  static HWY_INLINE void Finish(const Scales& scales, const Record& x, const Codes* total,
                                float* sums) {
    const Floats scale = Set(x.scale);
    Codes bias[kPanelVectors] = {ZeroCodes(), ZeroCodes()};  // codes stand 32 too high
    HWY_UNROLL(8)
    for (int p = 0; p < 8; ++p) {
      const Codes pair = SetWord(WordAt(x.sums16 + 2 * p));
      HWY_UNROLL(2)
      for (int v = 0; v < kPanelVectors; ++v) {
        bias[v] = AddMulHalves(bias[v], scales.pairs[p][v], pair);
      }
    }
    HWY_UNROLL(2)
    for (int v = 0; v < kPanelVectors; ++v) {
      const Codes exact = Sub32(RightSigned32<kExtraBits>(total[v]), Left32<5>(bias[v]));
      float* to = sums + v * kLanes;
      Store(MulAdd(ToFloats(exact), scale * scales.step[v], Load(to)), to);
    }
  }
};

}  // namespace fathom::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

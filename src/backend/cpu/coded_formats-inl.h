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

// ---- Formats of 256 elements in sub-blocks. Scales and minima are unpacked once for a panel's
// block: Scales, `kScaleBytes`.

struct Q4KFormat {
  static constexpr Blocks kType = Blocks::kQ4K;
  using Record = Record256;
  // Sub-blocks: kOuter times kInner, of kGroups words of activations.
  static constexpr int kOuter = 4, kInner = 2, kGroups = 8, kGroupsAtOnce = 8;
  struct Scales {
    Codes factors[8][kPanelVectors];
    Codes minima[4][kPanelVectors];  // of sub-blocks 2 p and 2 p + 1, in the halves of a word
    Floats step[kPanelVectors], minimum_step[kPanelVectors];
  };

  template <int kSub>
  static HWY_INLINE Codes Code(const uint8_t* block, int outer, int group, int v) {
    const Codes word = WordOf(block, 4 + outer * 8 + group, v);
    return kSub == 0 ? LowNibbles(word) : HighNibbles(word);
  }
  static HWY_INLINE void Unpack(const uint8_t* block, Scales* scales) {
    HWY_UNROLL(2)
    for (int v = 0; v < kPanelVectors; ++v) {
      // Twelve bytes: tensor/block_layouts.h.
      const Codes a = WordOf(block, 1, v), b = WordOf(block, 2, v), c = WordOf(block, 3, v);
      const Codes six = SetByte(63), top = SetByte(0x30);
      const Codes scale[2] = {And(a, six), Or(LowNibbles(c), And(Right16<2>(a), top))};
      const Codes minimum[2] = {And(b, six), Or(HighNibbles(c), And(Right16<2>(b), top))};
      HWY_UNROLL(2)
      for (int half = 0; half < 2; ++half) {
        const Codes s = scale[half], m = minimum[half], byte = SetWord(255);
        scales->factors[half * 4 + 0][v] = ScaleFactors(And(s, byte));
        scales->factors[half * 4 + 1][v] = ScaleFactors(And(Right32<8>(s), byte));
        scales->factors[half * 4 + 2][v] = ScaleFactors(And(Right32<16>(s), byte));
        scales->factors[half * 4 + 3][v] = ScaleFactors(Right32<24>(s));
        const Codes even = And(m, SetWord(0xff00ff)), odd = And(Right16<8>(m), SetWord(0xff00ff));
        // Bytes 0, 1 to one word and 2, 3 to the other.
        scales->minima[half * 2 + 0][v] = Or(And(even, SetWord(0xffff)), Left32<16>(odd));
        scales->minima[half * 2 + 1][v] = Or(Right32<16>(even), And(odd, SetWord(-65536)));
      }
    }
  }
  // What Finish wants beside.
  static HWY_INLINE void UnpackSteps(const uint8_t* block, Scales* scales) {
    HWY_UNROLL(2)
    for (int v = 0; v < kPanelVectors; ++v) {
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
        low[v] = Add32(low[v], MulAddHalves(scales.minima[p][v], pair));
      }
    }
    HWY_UNROLL(2)
    for (int v = 0; v < kPanelVectors; ++v) {
      float* to = sums + v * kLanes;
      const Floats sum = MulAdd(ToFloats(total[v]), scale * scales.step[v], Load(to));
      Store(hn::NegMulAdd(ToFloats(low[v]), scale * scales.minimum_step[v], sum), to);
    }
  }
};

struct Q6KFormat {
  static constexpr Blocks kType = Blocks::kQ6K;
  using Record = Record256;
  static constexpr int kOuter = 2, kInner = 8, kGroups = 4, kGroupsAtOnce = kVnni ? 4 : 2;
  struct Scales {
    Codes factors[16][kPanelVectors];
    Codes pairs[8][kPanelVectors];  // the scales of sub-blocks 2 p and 2 p + 1, as halves of a word
    Floats step[kPanelVectors];
  };

  // Where the bits are: tensor/block_layouts.h.
  template <int kSub>
  static HWY_INLINE Codes Code(const uint8_t* block, int outer, int group, int v) {
    const Codes word = WordOf(block, PlaceOf(kType, outer * 16 + kSub % 4 * 4 + group), v);
    const Codes bits = WordOf(block, PlaceOf(kType, 32 + outer * 8 + kSub % 2 * 4 + group), v);
    const Codes low = kSub < 4 ? LowNibbles(word) : HighNibbles(word);
    constexpr int kPlace = kSub / 2 * 2;  // of the two bits in their byte; they go to 4
    const Codes placed = kPlace == 0   ? Left16<4>(bits)
                         : kPlace == 2 ? Left16<2>(bits)
                         : kPlace == 4 ? bits
                                       : Right16<2>(bits);
    return Or(low, And(placed, SetByte(0x30)));
  }
  static HWY_INLINE void Unpack(const uint8_t* block, Scales* scales) {
    HWY_UNROLL(2)
    for (int v = 0; v < kPanelVectors; ++v) {
      HWY_UNROLL(4)
      for (int word = 0; word < 4; ++word) {
        const Codes four = WordOf(block, PlaceOf(kType, 48 + word), v);
        const Codes s[4] = {RightSigned32<24>(Left32<24>(four)),
                            RightSigned32<24>(Left32<16>(four)), RightSigned32<24>(Left32<8>(four)),
                            RightSigned32<24>(four)};
        HWY_UNROLL(4)
        for (int i = 0; i < 4; ++i) scales->factors[word * 4 + i][v] = ScaleFactors(s[i]);
        scales->pairs[word * 2][v] = Or(And(s[0], SetWord(0xffff)), Left32<16>(s[1]));
        scales->pairs[word * 2 + 1][v] = Or(And(s[2], SetWord(0xffff)), Left32<16>(s[3]));
      }
    }
  }
  static HWY_INLINE void UnpackSteps(const uint8_t* block, Scales* scales) {
    HWY_UNROLL(2)
    for (int v = 0; v < kPanelVectors; ++v) {
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
        bias[v] = Add32(bias[v], MulAddHalves(scales.pairs[p][v], pair));
      }
    }
    HWY_UNROLL(2)
    for (int v = 0; v < kPanelVectors; ++v) {
      const Codes exact = Sub32(total[v], Left32<5>(bias[v]));
      float* to = sums + v * kLanes;
      Store(MulAdd(ToFloats(exact), scale * scales.step[v], Load(to)), to);
    }
  }
};

}  // namespace fathom::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#pragma once

// The micro-kernels of products with block-coded weights: a strip of rows times a panel, integers
// within a block, f32 over blocks. Few rows take codes out of the panel as it streams by from
// memory; many take them from a copy of some blocks in the first-level cache, with every code
// where the products want it. Whoever passes a panel's own bytes first asks for those to come.

#include <type_traits>
#include <utility>

#include "backend/cpu/coded_formats-inl.h"
#include "backend/cpu/tile-inl.h"

#define FATHOM_INLINE_LAMBDA __attribute__((always_inline))

HWY_BEFORE_NAMESPACE();
namespace fathom::cpu::HWY_NAMESPACE {

// How many rows are few.
inline constexpr int64_t kFewRows = 4;
// Elements of the depth that are decoded at a time.
inline constexpr int64_t kChunk = 256;

template <typename Kind>
FATHOM_INLINE Strips CodedStrips(int64_t rows) {
  return Strips::Of(rows, rows <= kFewRows ? kFewRows : Kind::kStrip);
}

// Where the compiler keeps it in memory: what is added to once a block would otherwise compete for
// registers with what is added to all the time.
template <typename T>
FATHOM_INLINE T* InMemory(T* p) {
  asm("" : "+r"(p) : : "memory");
  return p;
}

// Calls f(integral constant) for 0 .. kCount - 1.
template <int kCount, typename F>
FATHOM_INLINE void ForEachOf(F&& f) {
  [&]<int... kIndex>(std::integer_sequence<int, kIndex...>) FATHOM_INLINE_LAMBDA {
    (f(std::integral_constant<int, kIndex>()), ...);
  }
  (std::make_integer_sequence<int, kCount>());
}

// Asks for the lines of what comes kAhead later, part by part, each where it stands: a compiler
// would ask for all of them first, and products would wait.
template <int64_t kBytes, int kParts>
FATHOM_INLINE void AskForPart(const uint8_t* block, int part) {
  constexpr int64_t kLines = (kBytes + 63) / 64, kMost = (kLines + kParts - 1) / kParts;
  const int64_t begin = part * kLines / kParts, end = (part + 1) * kLines / kParts;
  asm volatile("" : : : "memory");
  HWY_UNROLL(4)
  for (int64_t line = 0; line < kMost; ++line) {
    if (begin + line < end) AskFor<64>(block + kAhead + (begin + line) * 64);
  }
}

// ---- Formats of 32 elements

template <typename F>
struct Blocks32 {
  using Record = typename F::Record;
  static constexpr int64_t kElements = 32;
  static constexpr int kStrip = kVnni ? 12 : 6;  // most rows: their sums fill the registers
  static constexpr int64_t kRecord = sizeof(Record);
  static constexpr int64_t kBlockBytes = ShapeOf(F::kType).bytes * kPanel;
  static constexpr int64_t kWords = ShapeOf(F::kType).words;
  static constexpr bool kDecodes = F::kDecodes;
  struct Decoded {
    Codes codes[8][F::kParts][kPanelVectors];
    Floats step[kPanelVectors];
  };

  template <bool kAsks>
  static HWY_INLINE void Decode(const uint8_t* block, Decoded* out) {
    HWY_UNROLL(8)
    for (int group = 0; group < 8; ++group) {
      if constexpr (kAsks) AskForPart<kBlockBytes, 8>(block, group);
      ForEachOf<F::kParts>([&](auto part) FATHOM_INLINE_LAMBDA {
        HWY_UNROLL(2)
        for (int v = 0; v < kPanelVectors; ++v) {
          out->codes[group][part][v] = F::template Code<part()>(block, group, v);
        }
      });
    }
    HWY_UNROLL(2)
    for (int v = 0; v < kPanelVectors; ++v) out->step[v] = Step(block, v);
  }
  static HWY_INLINE Floats Step(const uint8_t* block, int v) {
    return FromHalfPrecision(HalvesOf(block, kWords) + v * kLanes * 2);
  }

  // Block: what Decode made, or the panel's own bytes.
  template <int kRows, bool kAsks, typename Block>
  static HWY_INLINE void Add(const Block* block, const uint8_t* a, float* sums) {
    constexpr bool kReady = !std::is_same_v<Block, uint8_t>;
    Codes sum[kRows][kPanelVectors];
    HWY_UNROLL(12)
    for (int i = 0; i < kRows; ++i) sum[i][0] = sum[i][1] = ZeroCodes();
    HWY_UNROLL(8)
    for (int group = 0; group < 8; ++group) {
      if constexpr (kAsks) AskForPart<kBlockBytes, 8>(block, group);
      ForEachOf<F::kParts>([&](auto part) FATHOM_INLINE_LAMBDA {
        Codes codes[kPanelVectors];
        HWY_UNROLL(2)
        for (int v = 0; v < kPanelVectors; ++v) {
          if constexpr (kReady) {
            codes[v] = block->codes[group][part][v];
          } else {
            codes[v] = F::template Code<part()>(block, group, v);
          }
        }
        HWY_UNROLL(12)
        for (int i = 0; i < kRows; ++i) {
          const Codes x = SetWord(WordAt(a + i * kRecord + (group * F::kParts + part) * 4));
          HWY_UNROLL(2)
          for (int v = 0; v < kPanelVectors; ++v) sum[i][v] = F::Add(sum[i][v], codes[v], x);
        }
      });
    }
    Floats step[kPanelVectors];
    HWY_UNROLL(2)
    for (int v = 0; v < kPanelVectors; ++v) {
      if constexpr (kReady) {
        step[v] = block->step[v];
      } else {
        step[v] = Step(block, v);
      }
    }
    HWY_UNROLL(12)
    for (int i = 0; i < kRows; ++i) {
      const auto* record = reinterpret_cast<const Record*>(a + i * kRecord);
      const Floats scale = Set(record->scale);
      HWY_UNROLL(2)
      for (int v = 0; v < kPanelVectors; ++v) {
        Codes exact = F::Total(sum[i][v]);
        if constexpr (F::kBias != 0) exact = Sub32(exact, SetWord(F::kBias * record->sum));
        float* to = sums + i * kPanel + v * kLanes;
        Store(MulAdd(ToFloats(exact), scale * step[v], Load(to)), to);
      }
    }
  }
};

// ---- Formats of 256 elements

template <typename F>
struct Blocks256 {
  using Record = Record256;
  static constexpr int64_t kElements = 256;
  // Most rows. A sub-block is short, so that the sums of more would stand in the way of the next
  // sub-block's products: 12 are slower by a quarter.
  static constexpr int kStrip = 6;
  static constexpr int64_t kRecord = sizeof(Record);
  static constexpr int64_t kBlockBytes = ShapeOf(F::kType).bytes * kPanel;
  static constexpr bool kDecodes = true;
  struct Decoded {
    Codes codes[F::kOuter * F::kInner][F::kGroups][kPanelVectors];
    typename F::Scales scales;
  };

  // A part for every group of words.
  static HWY_INLINE void AskForGroup(const uint8_t* block, int outer, int group) {
    constexpr int64_t kBytes = kBlockBytes / F::kOuter;
    AskForPart<kBytes, F::kInner * F::kGroups>(block + outer * kBytes, group);
  }

  template <bool kAsks>
  static HWY_INLINE void Decode(const uint8_t* block, Decoded* out) {
    F::UnpackFactors(block, &out->scales);
    F::UnpackRest(block, &out->scales);
    for (int outer = 0; outer < F::kOuter; ++outer) {
      ForEachOf<F::kInner>([&](auto inner) FATHOM_INLINE_LAMBDA {
        HWY_UNROLL(8)
        for (int group = 0; group < F::kGroups; ++group) {
          if constexpr (kAsks) AskForGroup(block, outer, inner() * F::kGroups + group);
          HWY_UNROLL(2)
          for (int v = 0; v < kPanelVectors; ++v) {
            out->codes[outer * F::kInner + inner()][group][v] =
                F::template Code<inner()>(block, outer, group, v);
          }
        }
      });
    }
  }

  // The products of sub-block `sub`, with codes(group, v), times its scale.
  template <int kRows, typename GetCodes>
  static HWY_INLINE void AddSub(const typename F::Scales& scales, int sub, const uint8_t* a,
                                GetCodes&& codes_of, Codes* total) {
    HWY_UNROLL(2)
    for (int first = 0; first < F::kGroups; first += F::kGroupsAtOnce) {
      Codes sum[kRows][kPanelVectors];
      HWY_UNROLL(12)
      for (int i = 0; i < kRows; ++i) sum[i][0] = sum[i][1] = ZeroCodes();
      HWY_UNROLL(8)
      for (int group = first; group < first + F::kGroupsAtOnce; ++group) {
        const Codes codes[kPanelVectors] = {codes_of(group, 0), codes_of(group, 1)};
        HWY_UNROLL(12)
        for (int i = 0; i < kRows; ++i) {
          const Codes x = SetWord(WordAt(a + i * kRecord + (sub * F::kGroups + group) * 4));
          HWY_UNROLL(2)
          for (int v = 0; v < kPanelVectors; ++v) {
            sum[i][v] = AddProducts(sum[i][v], codes[v], x);
          }
        }
      }
      HWY_UNROLL(12)
      for (int i = 0; i < kRows; ++i) {
        HWY_UNROLL(2)
        for (int v = 0; v < kPanelVectors; ++v) {
          Codes& to = total[i * kPanelVectors + v];
          to = Add32(to, Scaled(sum[i][v], scales.factors[sub][v]));
        }
      }
    }
  }

  template <int kRows>
  static HWY_INLINE void Finish(const typename F::Scales& scales, const uint8_t* a,
                                const Codes* total, float* sums) {
    HWY_UNROLL(12)
    for (int i = 0; i < kRows; ++i) {
      F::Finish(scales, *reinterpret_cast<const Record256*>(a + i * kRecord),
                total + i * kPanelVectors, sums + i * kPanel);
    }
  }

  template <int kRows, bool kAsks>
  static HWY_INLINE void Add(const Decoded* block, const uint8_t* a, float* sums) {
    Codes totals[kRows * kPanelVectors];
    Codes* total = InMemory(totals);
    HWY_UNROLL(24)
    for (int i = 0; i < kRows * kPanelVectors; ++i) total[i] = ZeroCodes();
    for (int sub = 0; sub < F::kOuter * F::kInner; ++sub) {
      AddSub<kRows>(
          block->scales, sub, a,
          [&](int group, int v) FATHOM_INLINE_LAMBDA { return block->codes[sub][group][v]; },
          total);
    }
    Finish<kRows>(block->scales, a, total, sums);
  }
  template <int kRows, bool kAsks>
  static HWY_INLINE void Add(const uint8_t* block, const uint8_t* a, float* sums) {
    typename F::Scales scales;
    Codes totals[kRows * kPanelVectors];
    Codes* total = kVnni ? totals : InMemory(totals);  // of few rows: 32 registers hold them
    HWY_UNROLL(8)
    for (int i = 0; i < kRows * kPanelVectors; ++i) total[i] = ZeroCodes();
    F::UnpackFactors(block, &scales);
    for (int outer = 0; outer < F::kOuter; ++outer) {
      ForEachOf<F::kInner>([&](auto inner) FATHOM_INLINE_LAMBDA {
        AddSub<kRows>(
            scales, outer * F::kInner + inner(), a,
            [&](int group, int v) FATHOM_INLINE_LAMBDA {
              if (kAsks && v == 0) AskForGroup(block, outer, inner() * F::kGroups + group);
              return F::template Code<inner()>(block, outer, group, v);
            },
            total);
      });
    }
    F::UnpackRest(block, &scales);
    Finish<kRows>(scales, a, total, sums);
  }
};

// ---- Tiles

// Adds `count` blocks (first: from zero) to sums [kRows, kPanel]. kAsks: blocks are the panel's own
// bytes, passed for the first time.
template <typename Kind, int kRows, bool kAsks, typename Block>
static HWY_NOINLINE void CodedTile(const Block* blocks, int64_t count, const uint8_t* a, bool first,
                                   float* sums) {
  constexpr bool kReady = !std::is_same_v<Block, uint8_t>;
  if (first) {
    for (int i = 0; i < kRows * kPanelVectors; ++i) Store(Zero(), sums + i * kLanes);
  }
  for (int64_t block = 0; block < count; ++block) {
    Kind::template Add<kRows, kAsks>(blocks, a, sums);
    blocks += kReady ? 1 : Kind::kBlockBytes;
    a += kRows * Kind::kRecord;
  }
}

template <typename Block>
using CodedTileFunction = void (*)(const Block*, int64_t, const uint8_t*, bool, float*);

// Indexed by rows - 1.
template <typename Kind, bool kAsks, typename Block, int... kIndex>
FATHOM_INLINE CodedTileFunction<Block> CodedTileOf(int64_t rows,
                                                   std::integer_sequence<int, kIndex...>) {
  static constexpr CodedTileFunction<Block> kTiles[] = {
      &CodedTile<Kind, kIndex + 1, kAsks, Block>...};
  return kTiles[rows - 1];
}
template <typename Kind, int kMost, bool kAsks, typename Block>
FATHOM_INLINE CodedTileFunction<Block> CodedTileFor(int64_t rows) {
  return CodedTileOf<Kind, kAsks, Block>(rows, std::make_integer_sequence<int, kMost>());
}

template <typename Kind>
constexpr int64_t ChunkBlocks() {
  return kChunk / Kind::kElements;
}

template <typename Kind, bool kAsks>
static void MultiplyCodedOf(const MultiplyCodedArgs& args) {
  constexpr int64_t kChunkBlocks = ChunkBlocks<Kind>();
  const int64_t blocks = args.depth / Kind::kElements;
  const Strips strips = CodedStrips<Kind>(args.rows);
  const auto* a = static_cast<const uint8_t*>(args.a);
  const auto* b = static_cast<const uint8_t*>(args.b);
  auto* sums = static_cast<float*>(args.scratch);
  auto* decoded = reinterpret_cast<typename Kind::Decoded*>(sums + args.rows * kPanel);
  const int64_t c_bytes = args.c_type == Element::kF32 ? 4 : 2;
  for (int64_t j = 0; j < args.columns; j += kPanel, b += blocks * Kind::kBlockBytes) {
    if (args.rows <= kFewRows) {
      CodedTileFor<Kind, kFewRows, kAsks, uint8_t>(args.rows)(b, blocks, a, true, sums);
    } else {
      for (int64_t block = 0; block < blocks; block += kChunkBlocks) {
        const int64_t count = blocks - block < kChunkBlocks ? blocks - block : kChunkBlocks;
        const uint8_t* codes = b + block * Kind::kBlockBytes;
        if constexpr (Kind::kDecodes) {
          for (int64_t i = 0; i < count; ++i) {
            Kind::template Decode<kAsks>(codes + i * Kind::kBlockBytes, decoded + i);
          }
        }
        for (int64_t s = 0; s < strips.count; ++s) {
          const int64_t begin = strips.Begin(s), rows = strips.Begin(s + 1) - begin;
          const uint8_t* strip = a + (block * args.rows + count * begin) * Kind::kRecord;
          float* to = sums + begin * kPanel;
          if constexpr (Kind::kDecodes) {
            using Decoded = typename Kind::Decoded;
            CodedTileFor<Kind, Kind::kStrip, false, Decoded>(rows)(decoded, count, strip,
                                                                   block == 0, to);
          } else {
            const auto tile = kAsks && s == 0
                                  ? CodedTileFor<Kind, Kind::kStrip, kAsks, uint8_t>(rows)
                                  : CodedTileFor<Kind, Kind::kStrip, false, uint8_t>(rows);
            tile(codes, count, strip, block == 0, to);
          }
        }
      }
    }
    const int64_t columns = args.columns - j < kPanel ? args.columns - j : kPanel;
    const TileTarget to{static_cast<char*>(args.c) + j * c_bytes, args.c_stride, columns,
                        args.c_type, args.accumulate};
    Typed(to.type, to.c, [&](auto* c) { StoreTile(sums, kPanel, args.rows, c, to); });
  }
}

// Calls f with the kind of blocks.
template <typename F>
FATHOM_INLINE auto ForKind(Blocks type, F&& f) {
  switch (type) {
    case Blocks::kQ8_0:
      return f(Blocks32<Q8_0Format>());
    case Blocks::kQ4_0:
      return f(Blocks32<Q4_0Format>());
    case Blocks::kQ4K:
      return f(Blocks256<Q4KFormat>());
    default:
      return f(Blocks256<Q6KFormat>());
  }
}

static void MultiplyCoded(const MultiplyCodedArgs& args) {
  ForKind(args.type, [&](auto kind) {
    using Kind = decltype(kind);
    AsksAhead() ? MultiplyCodedOf<Kind, true>(args) : MultiplyCodedOf<Kind, false>(args);
  });
}

static int64_t CodedScratchBytes(int64_t rows) {
  constexpr int64_t kDecoded[] = {
      kChunk / 32 * static_cast<int64_t>(sizeof(Blocks32<Q8_0Format>::Decoded)),
      static_cast<int64_t>(sizeof(Blocks256<Q4KFormat>::Decoded)),
      static_cast<int64_t>(sizeof(Blocks256<Q6KFormat>::Decoded))};
  int64_t most = 0;
  for (const int64_t bytes : kDecoded) most = bytes > most ? bytes : most;
  return rows * kPanel * 4 + most;
}

static int64_t CodedRowBytes(Blocks type, int64_t depth) {
  return ForKind(type, [&](auto kind) {
    using Kind = decltype(kind);
    return depth / Kind::kElements * Kind::kRecord;
  });
}

}  // namespace fathom::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

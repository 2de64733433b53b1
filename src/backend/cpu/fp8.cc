#include "backend/cpu/fp8.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace fathom::cpu {

Code CodeOf(DType dtype) {
  switch (dtype) {
    case DType::kE4M3:
    case DType::kE4M3Tensor:
      return Code::kE4M3;
    case DType::kE4M3Ue8m0:
      return Code::kE4M3Ue8m0;
    case DType::kE5M6:
      return Code::kE5M6;
    default:
      FATHOM_CHECK(false, "{} has no codes", Name(dtype));
  }
}

void PackSquares(const KernelTable& kernels, Element from, const void* const* rows, bool transposed,
                 int64_t n_block, float at_least, const PackedMatrix& packed) {
  constexpr int64_t kSide = kScaleTile;
  const CodePanels layout(kernels, packed.n, packed.k);
  const int64_t width = kernels.panel, n_begin = n_block * kSide;
  const int64_t n_count = std::min(kSide, packed.n - n_begin);
  alignas(64) uint16_t values[kSide * kSide], panels[kSide * kSide];
  const void* value_rows[kSide];
  for (int64_t i = 0; i < kSide; ++i) value_rows[i] = values + i * kSide;
  for (int64_t k_begin = 0; k_begin < packed.k; k_begin += kSide) {
    const int64_t k_count = std::min(kSide, packed.k - k_begin);
    const int64_t k_even = (k_count + 1) / 2 * 2;
    const Code code = CodeOf(packed.dtype);
    float scale;
    if (transposed) {
      scale =
          kernels.round_square(code, from, rows + k_begin, 0, k_count, n_count, at_least, values);
      kernels.pack_column_panels(Element::kBF16, Element::kBF16, value_rows, 0, k_count, n_count,
                                 panels);
    } else {
      scale = kernels.round_square(code, from, rows, k_begin, n_count, k_count, at_least, values);
      kernels.pack_row_panels(Element::kBF16, Element::kBF16, value_rows, n_count, k_count, panels);
    }
    for (int64_t j = 0; j < n_count; j += width) {
      const int64_t panel = (n_begin + j) / width;
      kernels.encode_codes(panels + j * k_even, k_even * width,
                           layout.Codes(packed, panel) + k_begin * width);
      std::fill_n(layout.Scales(packed, panel) + k_begin / kSide * width, width, scale);
    }
  }
}

void PackCodePanels(const KernelTable& kernels, const CodedRows& rows, int64_t begin, int64_t end,
                    const PackedMatrix& packed) {
  const CodePanels layout(kernels, packed.n, packed.k);
  const int64_t width = kernels.panel, pairs = packed.k / 2, blocks = ScaleBlocks(packed.k);
  for (int64_t panel = begin; panel < end; ++panel) {
    uint8_t* codes = layout.Codes(packed, panel);
    float* scales = layout.Scales(packed, panel);
    for (int64_t lane = 0; lane < width; ++lane) {
      const int64_t row = panel * width + lane;
      uint8_t* to = codes + 2 * lane;
      if (row >= packed.n) {
        for (int64_t p = 0; p < (packed.k + 1) / 2; ++p) std::fill_n(to + p * 2 * width, 2, 0);
        for (int64_t b = 0; b < blocks; ++b) scales[b * width + lane] = 0;
        continue;
      }
      const std::byte* from = rows.rows[static_cast<size_t>(row)];
      for (int64_t p = 0; p < pairs; ++p) std::memcpy(to + p * 2 * width, from + 2 * p, 2);
      if (packed.k % 2 != 0) {
        to[pairs * 2 * width] = std::to_integer<uint8_t>(from[packed.k - 1]);
        to[pairs * 2 * width + 1] = 0;
      }
      for (int64_t b = 0; b < blocks; ++b) {
        scales[b * width + lane] = rows.scales[static_cast<size_t>(row * blocks + b)];
      }
    }
  }
}

float TensorMagnitude(const KernelTable& kernels, ThreadPool& pool, const MatrixRows& x) {
  const int64_t rows = x.rows(), d = x.columns();
  if (rows == 0 || d == 0) return 0;
  if (IsQuantized(x.dtype())) {
    const auto* scales = At(x, 0) + QuantizedScalesOffset(x.dtype(), d);
    return *reinterpret_cast<const float*>(scales) * LargestCode(x.dtype());
  }
  // Bits, whose order is that of magnitudes with NaN above all.
  std::vector<uint32_t> largest(static_cast<size_t>(pool.threads()));
  ForRows(pool, rows, d, [&](int64_t begin, int64_t end, int thread) {
    uint32_t& most = largest[static_cast<size_t>(thread)];
    for (int64_t r = begin; r < end; ++r) {
      most = std::max(
          most, std::bit_cast<uint32_t>(kernels.largest_magnitude(ElementOf(x), At(x, r), d)));
    }
  });
  return std::bit_cast<float>(*std::max_element(largest.begin(), largest.end()));
}

void PackRoundedStrips(const KernelTable& kernels, DType dtype, const MatrixRows& a, int64_t begin,
                       int64_t count, float at_least, void* values, void* packed, float* scales) {
  const int64_t k = a.columns(), blocks = ScaleBlocks(k), depth = LineDepth(Element::kBF16, k);
  const Strips strips = Strips::Of(count, kernels.strip_bf16);
  auto* to = static_cast<uint16_t*>(values);
  const void* rows[64];
  for (int64_t s = 0; s < strips.count; ++s) {
    const int64_t first = strips.Begin(s), height = strips.Begin(s + 1) - first;
    for (int64_t i = 0; i < height; ++i) {
      const std::byte* row = At(a, begin + first + i);
      float* row_scales = scales + (first + i) * blocks;
      rows[i] = to + i * k;
      if (IsQuantized(a.dtype())) {
        kernels.decode_codes(reinterpret_cast<const uint8_t*>(row), k, to + i * k);
        const auto* from =
            reinterpret_cast<const float*>(row + QuantizedScalesOffset(a.dtype(), k));
        std::copy_n(from, blocks, row_scales);
      } else {
        kernels.round_row(CodeOf(dtype), ElementOf(a), row, k, at_least, to + i * k, row_scales);
      }
    }
    kernels.pack_row_strips(Element::kBF16, Element::kBF16, rows, height, k,
                            static_cast<uint16_t*>(packed) + first * depth);
  }
}

namespace {

// Scratch of PackRoundedColumns.
struct RoundedColumns {
  float* wide;       // [kScaleTile, kRoundedColumns]: decoded rows of a tile
  float* scales;     // [kRoundedColumns]
  uint16_t* values;  // [tokens, kRoundedColumns]
  int64_t bytes;

  RoundedColumns(void* data, int64_t tokens) {
    Scratch scratch(data);
    wide = scratch.Take<float>(kScaleTile * kRoundedColumns);
    scales = scratch.Take<float>(kRoundedColumns);
    values = scratch.Take<uint16_t>(tokens * kRoundedColumns);
    bytes = scratch.bytes();
  }
};

}  // namespace

int64_t RoundedColumnsBytes(int64_t tokens) { return RoundedColumns(nullptr, tokens).bytes; }

void PackRoundedColumns(const KernelTable& kernels, const MatrixRows& x, int64_t begin, int64_t end,
                        int64_t first, int64_t columns, float at_least, bool strips, void* scratch,
                        std::byte* packed, float* scales) {
  const int64_t tokens = end - begin, even = (tokens + 1) / 2 * 2, tiles = ScaleBlocks(tokens);
  const int64_t width = kernels.panel;
  const RoundedColumns memory(scratch, tokens);
  const bool coded = IsQuantized(x.dtype());
  const Element type = coded ? Element::kF32 : ElementOf(x);
  const void* rows[kScaleTile];
  std::vector<const void*> value_rows(static_cast<size_t>(tokens));
  for (int64_t t = 0; t < tokens; ++t) {
    value_rows[static_cast<size_t>(t)] = memory.values + t * kRoundedColumns;
  }
  const Strips cut = Strips::Of(columns, kernels.strip_bf16);
  // Whole strips or whole panels at a time, no more than kRoundedColumns.
  int64_t strip = 0;
  for (int64_t done = 0; done < columns;) {
    int64_t count = std::min(kRoundedColumns, columns - done);
    if (strips) {
      count = 0;
      while (strip < cut.count && cut.Begin(strip + 1) - done <= kRoundedColumns) {
        count = cut.Begin(++strip) - done;
      }
    }
    for (int64_t tile = 0; tile < tiles; ++tile) {
      const int64_t from = begin + tile * kScaleTile;
      const int64_t height = std::min(kScaleTile, end - from);
      for (int64_t t = 0; t < height; ++t) {
        rows[t] = At(x, from + t);
        if (!coded) continue;
        // The columns lie within one or two tiles of the row.
        const auto* codes = static_cast<const uint8_t*>(rows[t]);
        const auto* row_scales =
            reinterpret_cast<const float*>(codes + QuantizedScalesOffset(x.dtype(), x.columns()));
        float* wide = memory.wide + t * kRoundedColumns;
        for (int64_t j = first + done; j < first + done + count;) {
          const int64_t next = std::min(first + done + count, (j / kScaleTile + 1) * kScaleTile);
          kernels.dequantize_row(Code::kE4M3, codes + j, row_scales + j / kScaleTile, next - j,
                                 Element::kF32, wide + (j - first - done));
          j = next;
        }
        rows[t] = wide;
      }
      kernels.round_columns(type, rows, coded ? 0 : first + done, height, count, at_least,
                            memory.values + tile * kScaleTile * kRoundedColumns, kRoundedColumns,
                            memory.scales);
      for (int64_t j = 0; j < count; ++j) {
        const int64_t column = done + j;
        scales[strips ? column * tiles + tile
                      : (column / width * tiles + tile) * width + column % width] =
            memory.scales[j];
      }
    }
    if (strips) {
      kernels.pack_column_strips(Element::kBF16, Element::kBF16, value_rows.data(), 0, tokens,
                                 count, kernels.strip_bf16, packed + done * even * 2);
    } else {
      kernels.pack_column_panels(Element::kBF16, Element::kBF16, value_rows.data(), 0, tokens,
                                 count, packed + done * even * 2);
    }
    done += count;
  }
}

}  // namespace fathom::cpu

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "tensor/dtype.h"

namespace fathom {

// How GGUF files hold the elements of a tensor. Values are the type numbers in those files. Rows of
// the quantised ones are cut into blocks of 32 or 256 elements, each with its scales.
enum class BlockFormat : uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ4K = 12,
  kQ5K = 13,
  kQ6K = 14,
  kBF16 = 30,
};

struct BlockLayout {
  std::string_view name;  // "Q4_K"
  int64_t elements;       // of one block
  int64_t bytes;          // of one block
};
BlockLayout LayoutOf(BlockFormat format);
// Nothing for a type number that is not one of the formats above.
std::optional<BlockFormat> BlockFormatOf(uint32_t type_number);
// What GGUF's authors call a type number, also where it is not supported; "unknown" for others.
std::string_view BlockTypeName(uint32_t type_number);

// The type of a packed weight that is multiplied in this format's own codes; nothing where products
// need it decoded.
std::optional<DType> CodedType(BlockFormat format);
// The reverse; fatal for types that are not block-coded.
BlockFormat FormatOf(DType coded);

// y[0, count) = elements [begin, begin + count) of the row that starts at x, which need not be
// aligned; begin and count need not be multiples of the block.
//   Q8_0            y = d q, q in [-128, 127]
//   Q4_0, Q5_0      y = d (q - 8), d (q - 16)
//   Q4_1, Q5_1      y = d q + m
//   Q4_K, Q5_K      y = (d s) q - (m t), 6-bit s and t for every 32 elements
//   Q6_K            y = (d s) (q - 32), 8-bit s for every 16 elements
// in f32, d and m in half precision: the values that the reference decoders give, to the bit.
void DecodeBlocks(BlockFormat format, const std::byte* x, int64_t begin, int64_t count, float* y);

// y = `count` elements in the format, a multiple of its block. Only the floating-point formats,
// Q8_0, Q4_K and Q6_K can be encoded; the others are fatal. Deterministic. Values are finite.
//   Q8_0  d = max |x| / 127, q = x / d to the nearest, halves away from zero
//   Q4_K, Q6_K  scales (and minima) that make the weighted square error small, see
//               block_formats_encode.cc
void EncodeBlocks(BlockFormat format, const float* x, int64_t count, std::byte* y);

}  // namespace fathom

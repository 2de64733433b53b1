#include "tensor/block_formats.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/error.h"
#include "tensor/block_layouts.h"
#include "tensor/dtype.h"
#include "tensor/float16.h"

namespace fathom {
namespace {

float Half(const std::byte* x) {
  F16 half;
  std::memcpy(&half, x, sizeof(half));
  return static_cast<float>(half);
}

int Byte(const std::byte* x) { return std::to_integer<int>(*x); }

// The low and the high four bits of 16 bytes are elements 0..15 and 16..31.
// A fifth bit, where there is one, is bit i of a 32-bit word.
struct Nibbles {
  const std::byte* low;
  uint32_t fifth = 0;
  int operator()(int i) const {
    const int four = i < 16 ? Byte(low + i) & 15 : Byte(low + i - 16) >> 4;
    return four | static_cast<int>((fifth >> i) & 1u) << 4;
  }
};

uint32_t Word(const std::byte* x) {
  uint32_t word;
  std::memcpy(&word, x, sizeof(word));
  return word;
}

void DecodeQ4_0(const std::byte* x, float* y) {
  const float d = Half(x);
  const Nibbles q{x + 2};
  for (int i = 0; i < 32; ++i) y[i] = d * static_cast<float>(q(i) - 8);
}

void DecodeQ4_1(const std::byte* x, float* y) {
  const float d = Half(x), m = Half(x + 2);
  const Nibbles q{x + 4};
  for (int i = 0; i < 32; ++i) y[i] = d * static_cast<float>(q(i)) + m;
}

void DecodeQ5_0(const std::byte* x, float* y) {
  const float d = Half(x);
  const Nibbles q{x + 6, Word(x + 2)};
  for (int i = 0; i < 32; ++i) y[i] = d * static_cast<float>(q(i) - 16);
}

void DecodeQ5_1(const std::byte* x, float* y) {
  const float d = Half(x), m = Half(x + 2);
  const Nibbles q{x + 8, Word(x + 4)};
  for (int i = 0; i < 32; ++i) y[i] = d * static_cast<float>(q(i)) + m;
}

void DecodeQ8_0(const std::byte* x, float* y) {
  const float d = Half(x);
  for (int i = 0; i < 32; ++i) y[i] = d * static_cast<float>(static_cast<int8_t>(Byte(x + 2 + i)));
}

// Four bits an element as Q4_K and Q5_K have them: 32 bytes are 64 elements, low bits first.
// fifth: null, or 32 bytes whose bit j belongs to group j of 32 elements.
void DecodeGroups(const std::byte* x, const std::byte* q, const std::byte* fifth, float* y) {
  const float d = Half(x), m = Half(x + 2);
  for (int group = 0; group < kGroups; ++group) {
    const GroupScale scale = UnpackGroupScale(x + 4, group);
    const float step = d * static_cast<float>(scale.scale);
    const float minimum = m * static_cast<float>(scale.minimum);
    const std::byte* bytes = q + group / 2 * 32;
    const int shift = group % 2 * 4;
    for (int i = 0; i < 32; ++i) {
      int code = (Byte(bytes + i) >> shift) & 15;
      if (fifth != nullptr) code |= ((Byte(fifth + i) >> group) & 1) << 4;
      y[group * 32 + i] = step * static_cast<float>(code) - minimum;
    }
  }
}

void DecodeQ4K(const std::byte* x, float* y) { DecodeGroups(x, x + 16, nullptr, y); }
void DecodeQ5K(const std::byte* x, float* y) { DecodeGroups(x, x + 48, x + 16, y); }

void DecodeQ6K(const std::byte* x, float* y) {
  const std::byte* low = x;
  const std::byte* high = x + 128;
  const std::byte* scales = x + 192;
  const float d = Half(x + 208);
  for (int group = 0; group < 16; ++group) {
    const float step = d * static_cast<float>(static_cast<int8_t>(Byte(scales + group)));
    for (int i = group * 16; i < group * 16 + 16; ++i) {
      const Q6Place place = PlaceOfQ6(i);
      const int code = ((Byte(low + place.low) >> place.low_shift) & 15) |
                       ((Byte(high + place.high) >> place.high_shift) & 3) << 4;
      y[i] = step * static_cast<float>(code - 32);
    }
  }
}

void DecodeBF16(const std::byte* x, int64_t count, float* y) {
  for (int64_t i = 0; i < count; ++i) {
    BF16 value;
    std::memcpy(&value, x + 2 * i, sizeof(value));
    y[i] = static_cast<float>(value);
  }
}

void DecodeBlock(BlockFormat format, const std::byte* x, float* y) {
  switch (format) {
    case BlockFormat::kQ4_0:
      return DecodeQ4_0(x, y);
    case BlockFormat::kQ4_1:
      return DecodeQ4_1(x, y);
    case BlockFormat::kQ5_0:
      return DecodeQ5_0(x, y);
    case BlockFormat::kQ5_1:
      return DecodeQ5_1(x, y);
    case BlockFormat::kQ8_0:
      return DecodeQ8_0(x, y);
    case BlockFormat::kQ4K:
      return DecodeQ4K(x, y);
    case BlockFormat::kQ5K:
      return DecodeQ5K(x, y);
    case BlockFormat::kQ6K:
      return DecodeQ6K(x, y);
    default:
      FATHOM_CHECK(false, "not a block format");
  }
}

struct Type {
  uint32_t number;
  BlockLayout layout;  // elements 0: not supported
};

constexpr Type kTypes[] = {
    {0, {"F32", 1, 4}},       {1, {"F16", 1, 2}},       {2, {"Q4_0", 32, 18}},
    {3, {"Q4_1", 32, 20}},    {6, {"Q5_0", 32, 22}},    {7, {"Q5_1", 32, 24}},
    {8, {"Q8_0", 32, 34}},    {9, {"Q8_1", 0, 0}},      {10, {"Q2_K", 0, 0}},
    {11, {"Q3_K", 0, 0}},     {12, {"Q4_K", 256, 144}}, {13, {"Q5_K", 256, 176}},
    {14, {"Q6_K", 256, 210}}, {15, {"Q8_K", 0, 0}},     {16, {"IQ2_XXS", 0, 0}},
    {17, {"IQ2_XS", 0, 0}},   {18, {"IQ3_XXS", 0, 0}},  {19, {"IQ1_S", 0, 0}},
    {20, {"IQ4_NL", 0, 0}},   {21, {"IQ3_S", 0, 0}},    {22, {"IQ2_S", 0, 0}},
    {23, {"IQ4_XS", 0, 0}},   {24, {"I8", 0, 0}},       {25, {"I16", 0, 0}},
    {26, {"I32", 0, 0}},      {27, {"I64", 0, 0}},      {28, {"F64", 0, 0}},
    {29, {"IQ1_M", 0, 0}},    {30, {"BF16", 1, 2}},     {34, {"TQ1_0", 0, 0}},
    {35, {"TQ2_0", 0, 0}},    {39, {"MXFP4", 0, 0}},    {40, {"NVFP4", 0, 0}},
};

const Type* FindType(uint32_t number) {
  const auto* const found = std::find_if(std::begin(kTypes), std::end(kTypes),
                                         [&](const Type& type) { return type.number == number; });
  return found == std::end(kTypes) ? nullptr : found;
}

}  // namespace

BlockLayout LayoutOf(BlockFormat format) { return FindType(static_cast<uint32_t>(format))->layout; }

std::optional<BlockFormat> BlockFormatOf(uint32_t type_number) {
  const Type* type = FindType(type_number);
  if (type == nullptr || type->layout.elements == 0) return std::nullopt;
  return static_cast<BlockFormat>(type_number);
}

std::string_view BlockTypeName(uint32_t type_number) {
  const Type* type = FindType(type_number);
  return type == nullptr ? "unknown" : type->layout.name;
}

std::optional<DType> CodedType(BlockFormat format) {
  switch (format) {
    case BlockFormat::kQ8_0:
      return DType::kQ8_0;
    case BlockFormat::kQ4_0:
      return DType::kQ4_0;
    case BlockFormat::kQ4K:
      return DType::kQ4K;
    case BlockFormat::kQ6K:
      return DType::kQ6K;
    default:
      return std::nullopt;
  }
}

BlockFormat FormatOf(DType coded) {
  switch (coded) {
    case DType::kQ8_0:
      return BlockFormat::kQ8_0;
    case DType::kQ4_0:
      return BlockFormat::kQ4_0;
    case DType::kQ4K:
      return BlockFormat::kQ4K;
    case DType::kQ6K:
      return BlockFormat::kQ6K;
    default:
      FATHOM_CHECK(false, "{} is no block format", Name(coded));
  }
}

void DecodeBlocks(BlockFormat format, const std::byte* x, int64_t begin, int64_t count, float* y) {
  const BlockLayout layout = LayoutOf(format);
  if (layout.elements == 1) {
    const std::byte* first = x + begin * layout.bytes;
    if (format == BlockFormat::kF32) {
      if (count > 0) std::memcpy(y, first, static_cast<size_t>(count) * sizeof(float));
    } else if (format == BlockFormat::kF16) {
      DecodeF16(first, count, y);
    } else {
      DecodeBF16(first, count, y);
    }
    return;
  }
  std::array<float, kLargestBlock> block;
  const int64_t end = begin + count;
  while (begin < end) {
    const std::byte* source = x + begin / layout.elements * layout.bytes;
    const int64_t skip = begin % layout.elements;
    const int64_t size = std::min(layout.elements - skip, end - begin);
    if (size == layout.elements) {
      DecodeBlock(format, source, y);
    } else {
      DecodeBlock(format, source, block.data());
      std::copy_n(block.data() + skip, size, y);
    }
    begin += size;
    y += size;
  }
}

}  // namespace fathom

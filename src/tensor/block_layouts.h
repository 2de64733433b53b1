#pragma once

#include <cstddef>

namespace fathom {

// Where the bits of the 256-element formats lie; for decoder and encoder.

inline constexpr int kLargestBlock = 256;
inline constexpr int kGroups = 8;  // of 32 elements in a block of Q4_K or Q5_K

// Scale and minimum of a group of 32 elements, 6 bits each.
struct GroupScale {
  int scale = 0;
  int minimum = 0;
};

// Twelve bytes hold eight scales and eight minima. Of groups 0..3, the low six bits of bytes 0..3
// are the scales, of bytes 4..7 the minima. Of groups 4..7, bytes 8..11 hold the low four bits of
// both (the scale's first), and the two bits above them are the top bits of bytes 0..3 and 4..7.
inline GroupScale UnpackGroupScale(const std::byte* packed, int group) {
  const auto byte = [&](int i) { return std::to_integer<int>(packed[i]); };
  if (group < 4) return {byte(group) & 63, byte(group + 4) & 63};
  const int low = byte(group + 4);
  return {(low & 15) | byte(group - 4) >> 6 << 4, low >> 4 | byte(group) >> 6 << 4};
}

// Fills bytes that were zero, for all groups one after the other.
inline void PackGroupScale(GroupScale value, int group, std::byte* packed) {
  const auto set = [&](int i, int bits) { packed[i] |= static_cast<std::byte>(bits); };
  if (group < 4) {
    set(group, value.scale);
    set(group + 4, value.minimum);
  } else {
    set(group + 4, (value.scale & 15) | (value.minimum & 15) << 4);
    set(group - 4, value.scale >> 4 << 6);
    set(group, value.minimum >> 4 << 6);
  }
}

// Of Q6_K's element i: the byte and shift of its low four and its high two bits. Each half of 128
// elements has 64 bytes of low and 32 bytes of high bits; elements 0..63 of the half have the lower
// four bits of those 64 bytes, elements 64..127 the upper four; quarter j of the half has bits 2j
// and 2j + 1 of the 32.
struct Q6Place {
  int low, low_shift, high, high_shift;
};
inline Q6Place PlaceOfQ6(int i) {
  const int half = i / 128, inside = i % 128;
  return {half * 64 + inside % 64, inside / 64 * 4, half * 32 + inside % 32, inside / 32 * 2};
}

}  // namespace fathom

#pragma once

#include "backend/cpu/kernel_table.h"

namespace fathom::cpu {

// Kernels of products with block-coded weights (coded-inl.h), over raw pointers; plain structures
// only, as in kernel_table.h.

enum class Blocks : int32_t { kQ8_0, kQ4_0, kQ4K, kQ6K };

// Where a file has what within a block: whole 32-bit words, and one scale in half precision beside
// them where they do not hold all.
struct BlockShape {
  int64_t elements, bytes, words, words_at;
  int64_t half_at;  // -1: none
};
constexpr BlockShape ShapeOf(Blocks type) {
  switch (type) {
    case Blocks::kQ8_0:
      return {32, 34, 8, 2, 0};
    case Blocks::kQ4_0:
      return {32, 18, 4, 2, 0};
    case Blocks::kQ4K:
      return {256, 144, 36, 0, -1};
    case Blocks::kQ6K:
      return {256, 210, 52, 0, 208};
  }
  return {};
}

// C [rows, columns] = A B^T.
struct MultiplyCodedArgs {
  Blocks type = Blocks::kQ8_0;
  const void* a = nullptr;  // strips, made by quantize_strips
  int64_t rows = 0;
  const void* b = nullptr;  // panels, one after the other
  int64_t columns = 0;      // all of whole panels but the last
  int64_t depth = 0;        // a multiple of the block
  void* c = nullptr;
  int64_t c_stride = 0;  // in elements
  Element c_type = Element::kF32;
  bool accumulate = false;
  void* scratch = nullptr;  // coded_scratch_bytes(rows), 64-byte aligned
};

struct CodedKernels {
  int64_t panel;
  // Bytes that a row takes in strips.
  int64_t (*row_bytes)(Blocks type, int64_t depth);
  int64_t (*scratch_bytes)(int64_t rows);
  // rows[i], i < count, points to `depth` elements of type x_type: rounded to integers
  // (tensor/quantize.h).
  void (*quantize_strips)(Blocks type, Element x_type, const void* const* rows, int64_t count,
                          int64_t depth, void* out);
  // rows[i], i < count <= panel, points to `blocks` blocks as a file has them.
  void (*pack_panel)(Blocks type, const void* const* rows, int64_t count, int64_t blocks,
                     void* out);
  void (*multiply)(const MultiplyCodedArgs& args);
};

extern const CodedKernels kAvx2CodedKernels;
extern const CodedKernels kAvx512CodedKernels;

}  // namespace fathom::cpu

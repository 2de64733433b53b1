#pragma once

#include "backend/cpu/kernel_table.h"
#include "backend/cpu/work.h"
#include "ops/packed_matrix.h"
#include "tensor/quantize.h"

namespace fathom::cpu {

// Operands of FP8 products on the CPU. A packed weight is kept as codes, one byte an element, in
// the order of a bf16 panel (kernel_table.h), and is decoded panel by panel into the cache when it
// is multiplied; behind the codes stand the scales [panels, blocks of the depth, panel], as the
// kernel reads them.

Code CodeOf(DType dtype);

inline int64_t ScaleBlocks(int64_t depth) { return (depth + kScaleTile - 1) / kScaleTile; }

// Where the parts of a packed matrix [n, k] are.
struct CodePanels {
  int64_t panels, panel_codes, panel_scales;  // number; bytes and floats of one

  CodePanels(const KernelTable& kernels, int64_t n, int64_t k)
      : panels((n + kernels.panel - 1) / kernels.panel),
        panel_codes((k + 1) / 2 * 2 * kernels.panel),
        panel_scales(ScaleBlocks(k) * kernels.panel) {}
  int64_t bytes() const { return panels * (panel_codes + 4 * panel_scales); }
  uint8_t* Codes(const PackedMatrix& b, int64_t panel) const {
    return static_cast<uint8_t*>(b.data) + panel * panel_codes;
  }
  float* Scales(const PackedMatrix& b, int64_t panel) const {
    return reinterpret_cast<float*>(static_cast<uint8_t*>(b.data) + panels * panel_codes) +
           panel * panel_scales;
  }
};

// Packs the squares of kScaleTile that share block `n_block` of the packed matrix's n. rows: of the
// stack [n, k] those of the block; of one that is to be transposed, [k, n], all, from the block's
// first column. at_least: see kernel_table.h.
void PackSquares(const KernelTable& kernels, Element from, const void* const* rows, bool transposed,
                 int64_t n_block, float at_least, const PackedMatrix& packed);

// What all scales of a tensor are chosen from where they have to be the same: its largest
// magnitude, of a matrix in f32 or bf16, or quantised with one scale.
float TensorMagnitude(const KernelTable& kernels, ThreadPool& pool, const MatrixRows& x);

// Panels [begin, end) of the packed matrix, from rows of codes and their scales.
void PackCodePanels(const KernelTable& kernels, const CodedRows& rows, int64_t begin, int64_t end,
                    const PackedMatrix& packed);

// Rows of A that are rounded at a time; scratch for the values of so many of depth k is what
// PackRoundedStrips needs.
inline int64_t RoundedStripBytes(const KernelTable& kernels, int64_t k) {
  return kernels.strip_bf16 * k * 2;
}

// Strips of rows [begin, begin + count) of `a` (quantised, or f32 or bf16 and rounded as `dtype`
// says) and their scales [count, ScaleBlocks(k)].
void PackRoundedStrips(const KernelTable& kernels, DType dtype, const MatrixRows& a, int64_t begin,
                       int64_t count, float at_least, void* values, void* packed, float* scales);

// Columns of a token block that are rounded together, and scratch that this needs.
inline constexpr int64_t kRoundedColumns = 64;
int64_t RoundedColumnsBytes(int64_t tokens);

// An operand of a weight gradient: columns [first, first + columns) of rows [begin, end) of `x`
// (f32, bf16 or E4M3), rounded with a scale for every kScaleTile rows of a column, a power of two.
// `strips`: packed as strips, scales [columns, tiles]; otherwise as panels, scales [panels, tiles,
// panel]. `first` is a multiple of kRoundedColumns or of a panel; strips are cut evenly from
// `columns`.
void PackRoundedColumns(const KernelTable& kernels, const MatrixRows& x, int64_t begin, int64_t end,
                        int64_t first, int64_t columns, float at_least, bool strips, void* scratch,
                        std::byte* packed, float* scales);

}  // namespace fathom::cpu

#pragma once

#include "backend/cpu/coded_kernels.h"
#include "backend/cpu/work.h"
#include "ops/packed_matrix.h"

namespace fathom::cpu {

// Products with block-coded weights on the CPU. A packed weight is panels of blocks (layout:
// coded_formats-inl.h), as many bytes as the file has.

Blocks BlocksOf(DType coded);

// Bytes of one panel of a packed matrix whose rows have k elements.
int64_t CodedPanelBytes(const KernelTable& kernels, DType coded, int64_t k);

// Panels [begin, end) from rows of the packed matrix's n.
void PackCodedPanels(const KernelTable& kernels, const CodedRows& rows, int64_t begin, int64_t end,
                     const PackedMatrix& packed);

// Scratch of MultiplyCodedPanels for so many rows.
int64_t CodedScratchBytes(const KernelTable& kernels, const PackedMatrix& b, int64_t rows);

// C[rows [row, row + count), columns of panels [begin, end)] of A B^T, or += that.
void MultiplyCodedPanels(const KernelTable& kernels, const MatrixRows& a, const PackedMatrix& b,
                         const Tensor& c, bool accumulate, int64_t row, int64_t count,
                         int64_t begin, int64_t end, void* scratch);

}  // namespace fathom::cpu

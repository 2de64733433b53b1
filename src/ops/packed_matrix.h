#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"
#include "tensor/stored_tensor.h"
#include "tensor/tensor.h"

namespace fathom {

// Rows of a weight that Backend::Pack packs: where they lie, or rows [begin, end) of a tensor in a
// file, which are read when they are packed.
struct WeightPart {
  ConstTensor value;
  const StoredTensor* stored = nullptr;  // used where value is empty
  int64_t begin = 0, end = 0;

  WeightPart(const ConstTensor& rows) : value(rows) {}  // NOLINT(google-explicit-constructor)
  WeightPart(const StoredTensor& tensor, int64_t first_row, int64_t end_row)
      : stored(&tensor), begin(first_row), end(end_row) {}

  int64_t rows() const { return value.empty() ? end - begin : value.dim(0); }
  int64_t columns() const { return value.empty() ? stored->shape()[1] : value.dim(1); }
};

// A weight matrix B [n, k] in the layout that a backend multiplies with: opaque, made by
// Backend::Pack in memory of Backend::PackedBytes. On the CPU the vector lanes lie over n, so that
// every output is one sequential sum over k whatever the number of rows it is multiplied with.
struct PackedMatrix {
  void* data = nullptr;
  size_t bytes = 0;
  DType dtype = DType::kF32;  // of the elements: f64, f32, bf16, a kind of E4M3, or block-coded
  int64_t n = 0;
  int64_t k = 0;

  bool empty() const { return data == nullptr; }
};

}  // namespace fathom

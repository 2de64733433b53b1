#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

namespace fathom {

// A weight matrix B [n, k] in the layout that a backend multiplies with: opaque, made by
// Backend::Pack in memory of Backend::PackedBytes. On the CPU the vector lanes lie over n, so that
// every output is one sequential sum over k whatever the number of rows it is multiplied with.
struct PackedMatrix {
  void* data = nullptr;
  size_t bytes = 0;
  DType dtype = DType::kF32;  // of the elements: f64, f32, bf16 or a kind of E4M3
  int64_t n = 0;
  int64_t k = 0;

  bool empty() const { return data == nullptr; }
};

}  // namespace fathom

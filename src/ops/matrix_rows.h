#pragma once

#include <concepts>

#include "tensor/tensor.h"

namespace fathom {

// The rows of a matrix: all of them, or those that an index names, in its order and as often as it
// names them. A product takes its rows from where they lie, as an expert those of the tokens that
// were routed to it, without a copy.
class MatrixRows {
 public:
  MatrixRows() = default;
  template <std::convertible_to<ConstTensor> T>
  MatrixRows(const T& matrix) : matrix_(matrix) {}
  // index i32 [rows], each in [0, matrix.dim(0)).
  MatrixRows(ConstTensor matrix, ConstTensor index) : matrix_(matrix), index_(index) {
    FATHOM_CHECK(matrix.rank() == 2 && index.rank() == 1 && index.dtype() == DType::kI32);
  }

  const ConstTensor& matrix() const { return matrix_; }
  const ConstTensor& index() const { return index_; }  // empty: all rows
  int64_t rows() const { return index_.empty() ? matrix_.dim(0) : index_.dim(0); }
  int64_t columns() const { return matrix_.dim(1); }
  Shape shape() const { return {rows(), columns()}; }
  DType dtype() const { return matrix_.dtype(); }
  int64_t bytes() const { return StorageBytes(dtype(), shape()); }

  MatrixRows Rows(int64_t begin, int64_t end) const {
    if (index_.empty()) return matrix_.Rows(begin, end);
    return {matrix_, index_.Rows(begin, end)};
  }
  MatrixRows Columns(int64_t begin, int64_t end) const {
    MatrixRows result = *this;
    result.matrix_ = matrix_.Columns(begin, end);
    return result;
  }

 private:
  ConstTensor matrix_, index_;
};

}  // namespace fathom

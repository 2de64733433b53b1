#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

#include "base/error.h"
#include "tensor/dtype.h"

namespace fathom {

// Up to four dimensions, outermost first.
class Shape {
 public:
  static constexpr int kMaxRank = 4;

  Shape() = default;
  Shape(std::initializer_list<int64_t> dims) : Shape(std::span(dims.begin(), dims.size())) {}
  explicit Shape(std::span<const int64_t> dims);

  int rank() const { return rank_; }
  int64_t operator[](int i) const { return dims_[i]; }
  int64_t elements() const;
  bool operator==(const Shape& other) const = default;
  std::string ToString() const;  // "[2, 3]"

 private:
  int rank_ = 0;
  std::array<int64_t, kMaxRank> dims_{};
};

// Bytes of a contiguous tensor.
int64_t StorageBytes(DType dtype, const Shape& shape);

// A read-only view of elements somewhere in memory: it owns nothing. The last dimension is
// contiguous; the others have strides, so that columns of a fused projection or one head of many
// are views too.
//
// A tensor of a quantised type is a matrix of rows of codes with their scales (tensor/quantize.h):
// it has rank 2, its rows can be sliced, and its stride is in bytes.
class ConstTensor {
 public:
  ConstTensor() = default;
  // Contiguous.
  ConstTensor(const void* data, DType dtype, Shape shape);

  bool empty() const { return data_ == nullptr; }
  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  int rank() const { return shape_.rank(); }
  int64_t dim(int i) const { return shape_[i]; }
  // In elements; in bytes where the type is quantised.
  int64_t stride(int i) const { return strides_[i]; }
  int64_t elements() const { return shape_.elements(); }
  // That a contiguous tensor of this type and shape takes.
  int64_t bytes() const { return StorageBytes(dtype_, shape_); }
  bool contiguous() const;
  const void* raw() const { return data_; }

  template <typename T>
  const T* data() const {
    FATHOM_CHECK(dtype_ == DTypeOf<T>::value, "asked {} for {}", Name(dtype_),
                 Name(DTypeOf<T>::value));
    return static_cast<const T*>(data_);
  }
  // The elements of a contiguous tensor.
  template <typename T>
  std::span<const T> span() const {
    FATHOM_CHECK(contiguous());
    return {data<T>(), static_cast<size_t>(elements())};
  }

  // [begin, end) of dimension `dim`.
  ConstTensor Slice(int dim, int64_t begin, int64_t end) const;
  ConstTensor Rows(int64_t begin, int64_t end) const { return Slice(0, begin, end); }
  ConstTensor Columns(int64_t begin, int64_t end) const { return Slice(rank() - 1, begin, end); }
  // The i-th element of dimension `dim`, which goes away: one head of [tokens, heads, dim] is
  // [tokens, dim].
  ConstTensor Select(int dim, int64_t i) const;
  // Splits the last dimension into [outer, inner]; works on strided rows.
  ConstTensor SplitLast(int64_t outer, int64_t inner) const;
  // The same elements in another shape; the tensor has to be contiguous.
  ConstTensor Reshape(Shape shape) const;
  // A new dimension `dim` of size `count` in which every element is the same one (stride 0): a key
  // shared by all heads.
  ConstTensor Broadcast(int dim, int64_t count) const;

 protected:
  void SliceInPlace(int dim, int64_t begin, int64_t end);
  void SelectInPlace(int dim, int64_t i);
  void SplitLastInPlace(int64_t outer, int64_t inner);
  void ReshapeInPlace(Shape shape);

  const void* data_ = nullptr;
  DType dtype_ = DType::kF32;
  Shape shape_;
  std::array<int64_t, Shape::kMaxRank> strides_{};
};

// The same with the right to write.
class Tensor : public ConstTensor {
 public:
  Tensor() = default;
  Tensor(void* data, DType dtype, Shape shape) : ConstTensor(data, dtype, shape) {}

  void* raw() const { return const_cast<void*>(data_); }
  template <typename T>
  T* data() const {
    return const_cast<T*>(ConstTensor::data<T>());
  }
  template <typename T>
  std::span<T> span() const {
    FATHOM_CHECK(contiguous());
    return {data<T>(), static_cast<size_t>(elements())};
  }

  Tensor Slice(int dim, int64_t begin, int64_t end) const;
  Tensor Rows(int64_t begin, int64_t end) const { return Slice(0, begin, end); }
  Tensor Columns(int64_t begin, int64_t end) const { return Slice(rank() - 1, begin, end); }
  Tensor Select(int dim, int64_t i) const;
  Tensor SplitLast(int64_t outer, int64_t inner) const;
  Tensor Reshape(Shape shape) const;
};

}  // namespace fathom

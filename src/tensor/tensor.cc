#include "tensor/tensor.h"

#include <fmt/ranges.h>

#include "tensor/quantize.h"

namespace fathom {

Shape::Shape(std::span<const int64_t> dims) : rank_(static_cast<int>(dims.size())) {
  FATHOM_CHECK(dims.size() <= kMaxRank);
  for (int i = 0; i < rank_; ++i) {
    FATHOM_CHECK(dims[i] >= 0);
    dims_[i] = dims[i];
  }
}

int64_t Shape::elements() const {
  int64_t product = 1;
  for (int i = 0; i < rank_; ++i) product *= dims_[i];
  return product;
}

std::string Shape::ToString() const {
  return fmt::format("[{}]", fmt::join(dims_.begin(), dims_.begin() + rank_, ", "));
}

int64_t StorageBytes(DType dtype, const Shape& shape) {
  if (!IsQuantized(dtype)) return shape.elements() * static_cast<int64_t>(SizeOf(dtype));
  FATHOM_CHECK(shape.rank() == 2, "{} in {}", shape.ToString(), Name(dtype));
  return shape[0] * QuantizedRowBytes(dtype, shape[1]);
}

ConstTensor::ConstTensor(const void* data, DType dtype, Shape shape)
    : data_(data), dtype_(dtype), shape_(shape) {
  if (IsQuantized(dtype)) {
    FATHOM_CHECK(shape.rank() == 2, "{} in {}", shape.ToString(), Name(dtype));
    strides_ = {QuantizedRowBytes(dtype, shape[1]), 1};
    return;
  }
  int64_t stride = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    strides_[i] = stride;
    stride *= shape[i];
  }
}

bool ConstTensor::contiguous() const {
  if (IsQuantized(dtype_)) return strides_[0] == QuantizedRowBytes(dtype_, shape_[1]);
  int64_t stride = 1;
  for (int i = rank() - 1; i >= 0; --i) {
    if (shape_[i] != 1 && strides_[i] != stride) return false;
    stride *= shape_[i];
  }
  return true;
}

void ConstTensor::SliceInPlace(int dim, int64_t begin, int64_t end) {
  FATHOM_CHECK(dim >= 0 && dim < rank() && begin >= 0 && begin <= end && end <= shape_[dim],
               "[{}, {}) of {} in {}", begin, end, dim, shape_.ToString());
  FATHOM_CHECK(dim == 0 || !IsQuantized(dtype_), "columns of {}", Name(dtype_));
  data_ = static_cast<const std::byte*>(data_) +
          begin * strides_[dim] * static_cast<int64_t>(SizeOf(dtype_));
  std::array<int64_t, Shape::kMaxRank> dims;
  for (int i = 0; i < rank(); ++i) dims[i] = i == dim ? end - begin : shape_[i];
  shape_ = Shape(std::span(dims.data(), static_cast<size_t>(rank())));
}

void ConstTensor::SelectInPlace(int dim, int64_t i) {
  FATHOM_CHECK(dim < rank() - 1, "the last dimension stays");
  FATHOM_CHECK(!IsQuantized(dtype_), "one row of {}", Name(dtype_));
  SliceInPlace(dim, i, i + 1);
  std::array<int64_t, Shape::kMaxRank> dims;
  int out = 0;
  for (int d = 0; d < rank(); ++d) {
    if (d == dim) continue;
    dims[out] = shape_[d];
    strides_[out] = strides_[d];
    ++out;
  }
  shape_ = Shape(std::span(dims.data(), static_cast<size_t>(out)));
}

void ConstTensor::SplitLastInPlace(int64_t outer, int64_t inner) {
  const int last = rank() - 1;
  FATHOM_CHECK(!IsQuantized(dtype_), "{} in parts", Name(dtype_));
  FATHOM_CHECK(rank() < Shape::kMaxRank && shape_[last] == outer * inner, "{} into {} x {}",
               shape_.ToString(), outer, inner);
  std::array<int64_t, Shape::kMaxRank> dims;
  for (int i = 0; i < last; ++i) dims[i] = shape_[i];
  dims[last] = outer;
  dims[last + 1] = inner;
  strides_[last] = inner;
  strides_[last + 1] = 1;
  shape_ = Shape(std::span(dims.data(), static_cast<size_t>(last + 2)));
}

void ConstTensor::ReshapeInPlace(Shape shape) {
  FATHOM_CHECK(contiguous() && !IsQuantized(dtype_) && shape.elements() == elements(), "{} as {}",
               shape_.ToString(), shape.ToString());
  *this = ConstTensor(data_, dtype_, shape);
}

ConstTensor ConstTensor::Slice(int dim, int64_t begin, int64_t end) const {
  ConstTensor result = *this;
  result.SliceInPlace(dim, begin, end);
  return result;
}
ConstTensor ConstTensor::Select(int dim, int64_t i) const {
  ConstTensor result = *this;
  result.SelectInPlace(dim, i);
  return result;
}
ConstTensor ConstTensor::SplitLast(int64_t outer, int64_t inner) const {
  ConstTensor result = *this;
  result.SplitLastInPlace(outer, inner);
  return result;
}
ConstTensor ConstTensor::Reshape(Shape shape) const {
  ConstTensor result = *this;
  result.ReshapeInPlace(shape);
  return result;
}

ConstTensor ConstTensor::Broadcast(int dim, int64_t count) const {
  FATHOM_CHECK(dim >= 0 && dim < rank() && rank() < Shape::kMaxRank && !IsQuantized(dtype_));
  ConstTensor result = *this;
  std::array<int64_t, Shape::kMaxRank> dims;
  for (int i = rank(); i >= 0; --i) {
    dims[i] = i == dim ? count : shape_[i > dim ? i - 1 : i];
    result.strides_[i] = i == dim ? 0 : strides_[i > dim ? i - 1 : i];
  }
  result.shape_ = Shape(std::span(dims.data(), static_cast<size_t>(rank() + 1)));
  return result;
}

Tensor Tensor::Slice(int dim, int64_t begin, int64_t end) const {
  Tensor result = *this;
  result.SliceInPlace(dim, begin, end);
  return result;
}
Tensor Tensor::Select(int dim, int64_t i) const {
  Tensor result = *this;
  result.SelectInPlace(dim, i);
  return result;
}
Tensor Tensor::SplitLast(int64_t outer, int64_t inner) const {
  Tensor result = *this;
  result.SplitLastInPlace(outer, inner);
  return result;
}
Tensor Tensor::Reshape(Shape shape) const {
  Tensor result = *this;
  result.ReshapeInPlace(shape);
  return result;
}

}  // namespace fathom

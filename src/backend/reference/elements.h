#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "tensor/tensor.h"

namespace fathom {

// Element (i), (i, j) or (i, j, k) of a tensor of any type and stride, as a double. The rank has to
// be the number of indices and each index in range: an operation called with the wrong shape stops
// here.
double Load(const ConstTensor& x, int64_t i);
double Load(const ConstTensor& x, int64_t i, int64_t j);
double Load(const ConstTensor& x, int64_t i, int64_t j, int64_t k);

// Stores a value rounded to the tensor's type: to nearest, ties to even (bf16 through f32); i32
// takes whole numbers.
void Store(const Tensor& y, int64_t i, double value);
void Store(const Tensor& y, int64_t i, int64_t j, double value);
void Store(const Tensor& y, int64_t i, int64_t j, int64_t k, double value);

// An entry of an i32 tensor.
int32_t LoadIndex(const ConstTensor& x, int64_t i);
int32_t LoadIndex(const ConstTensor& x, int64_t i, int64_t j);

// One row of a matrix, of quantised ones too.
std::vector<double> LoadRow(const ConstTensor& x, int64_t i);

// Stops the program, naming the tensor, when its shape is another one.
void CheckShape(const ConstTensor& x, const Shape& shape, std::string_view name);

// The value as it is after a trip through this type.
double RoundTo(DType dtype, double value);

// The largest magnitude as f32, or a NaN where there is one.
float LargestMagnitude(const std::vector<double>& values);
// The same of a matrix; of one that is quantised with one scale: that scale times the largest code.
float TensorMagnitude(const ConstTensor& x);

// The values of a quantised row (tensor/quantize.h) made of these, each code times scale in double.
std::vector<double> RoundToTiles(DType dtype, const std::vector<double>& values,
                                 float at_least = 0);

// All elements, the last index fastest; any rank, or a quantised matrix.
std::vector<double> LoadAll(const ConstTensor& x);
void StoreAll(const Tensor& y, const std::vector<double>& values);

}  // namespace fathom

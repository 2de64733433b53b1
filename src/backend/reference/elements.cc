#include "backend/reference/elements.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "tensor/quantize.h"

namespace fathom {
namespace {

double LoadAt(const ConstTensor& x, int64_t offset) {
  switch (x.dtype()) {
    case DType::kF64:
      return static_cast<const double*>(x.raw())[offset];
    case DType::kF32:
      return static_cast<const float*>(x.raw())[offset];
    case DType::kBF16:
      return static_cast<float>(static_cast<const BF16*>(x.raw())[offset]);
    case DType::kI32:
      return static_cast<const int32_t*>(x.raw())[offset];
    default:
      FATHOM_CHECK(false, "an element of {}", Name(x.dtype()));
  }
}

void StoreAt(const Tensor& y, int64_t offset, double value) {
  switch (y.dtype()) {
    case DType::kF64:
      static_cast<double*>(y.raw())[offset] = value;
      return;
    case DType::kF32:
      static_cast<float*>(y.raw())[offset] = static_cast<float>(value);
      return;
    case DType::kBF16:
      static_cast<BF16*>(y.raw())[offset] = BF16(static_cast<float>(value));
      return;
    case DType::kI32:
      FATHOM_CHECK(value == std::floor(value) && std::abs(value) <= 2147483647.0,
                   "{} is no 32-bit integer", value);
      static_cast<int32_t*>(y.raw())[offset] = static_cast<int32_t>(value);
      return;
    default:
      FATHOM_CHECK(false, "an element of {}", Name(y.dtype()));
  }
}

std::vector<double> DequantizedRow(const ConstTensor& x, int64_t i) {
  std::vector<float> row(static_cast<size_t>(x.dim(1)));
  DequantizeRow(x.dtype(), static_cast<const std::byte*>(x.raw()) + i * x.stride(0), row);
  return {row.begin(), row.end()};
}

template <typename... Index>
int64_t Offset(const ConstTensor& x, Index... index) {
  const std::array<int64_t, sizeof...(Index)> indices{index...};
  FATHOM_CHECK(x.rank() == static_cast<int>(indices.size()), "{} indices into {}", indices.size(),
               x.shape().ToString());
  int64_t offset = 0;
  for (size_t d = 0; d < indices.size(); ++d) {
    const int dim = static_cast<int>(d);
    FATHOM_CHECK(indices[d] >= 0 && indices[d] < x.dim(dim), "index {} of dimension {} of {}",
                 indices[d], dim, x.shape().ToString());
    offset += indices[d] * x.stride(dim);
  }
  return offset;
}

// Calls visit(offset) for every element, the last index fastest.
template <typename Visit>
void ForEachOffset(const ConstTensor& x, Visit visit, int dim = 0, int64_t offset = 0) {
  if (dim == x.rank()) {
    visit(offset);
    return;
  }
  for (int64_t i = 0; i < x.dim(dim); ++i) {
    ForEachOffset(x, visit, dim + 1, offset + i * x.stride(dim));
  }
}

}  // namespace

double Load(const ConstTensor& x, int64_t i) { return LoadAt(x, Offset(x, i)); }
double Load(const ConstTensor& x, int64_t i, int64_t j) { return LoadAt(x, Offset(x, i, j)); }
double Load(const ConstTensor& x, int64_t i, int64_t j, int64_t k) {
  return LoadAt(x, Offset(x, i, j, k));
}

void Store(const Tensor& y, int64_t i, double value) { StoreAt(y, Offset(y, i), value); }
void Store(const Tensor& y, int64_t i, int64_t j, double value) {
  StoreAt(y, Offset(y, i, j), value);
}
void Store(const Tensor& y, int64_t i, int64_t j, int64_t k, double value) {
  StoreAt(y, Offset(y, i, j, k), value);
}

int32_t LoadIndex(const ConstTensor& x, int64_t i) { return x.data<int32_t>()[Offset(x, i)]; }
int32_t LoadIndex(const ConstTensor& x, int64_t i, int64_t j) {
  return x.data<int32_t>()[Offset(x, i, j)];
}

std::vector<double> LoadRow(const ConstTensor& x, int64_t i) {
  FATHOM_CHECK(x.rank() == 2 && i >= 0 && i < x.dim(0), "row {} of {}", i, x.shape().ToString());
  if (IsQuantized(x.dtype())) return DequantizedRow(x, i);
  std::vector<double> row(static_cast<size_t>(x.dim(1)));
  for (int64_t j = 0; j < x.dim(1); ++j) {
    row[static_cast<size_t>(j)] = LoadAt(x, i * x.stride(0) + j * x.stride(1));
  }
  return row;
}

void CheckShape(const ConstTensor& x, const Shape& shape, std::string_view name) {
  FATHOM_CHECK(x.shape() == shape, "{} is {}, expected {}", name, x.shape().ToString(),
               shape.ToString());
}

double RoundTo(DType dtype, double value) {
  switch (dtype) {
    case DType::kF64:
      return value;
    case DType::kF32:
      return static_cast<float>(value);
    case DType::kBF16:
      return static_cast<float>(BF16(static_cast<float>(value)));
    default:
      FATHOM_CHECK(false, "rounding to {}", Name(dtype));
  }
}

float LargestMagnitude(const std::vector<double>& values) {
  float largest = 0;
  for (const double value : values) {
    const float magnitude = std::abs(static_cast<float>(value));
    if (!(magnitude <= largest)) largest = magnitude;
    if (std::isnan(largest)) break;
  }
  return largest;
}

float TensorMagnitude(const ConstTensor& x) {
  if (!IsQuantized(x.dtype())) return LargestMagnitude(LoadAll(x));
  if (x.elements() == 0) return 0;
  float scale;
  std::memcpy(&scale,
              static_cast<const std::byte*>(x.raw()) + QuantizedScalesOffset(x.dtype(), x.dim(1)),
              sizeof(scale));
  return scale * LargestCode(x.dtype());
}

std::vector<double> RoundToTiles(DType dtype, const std::vector<double>& values, float at_least) {
  std::vector<double> rounded;
  for (auto begin = values.begin(); begin != values.end();) {
    const auto end = begin + std::min<std::ptrdiff_t>(kScaleTile, values.end() - begin);
    std::vector<double> tile(begin, end);
    tile.push_back(at_least);
    const float scale = TileScale(dtype, LargestMagnitude(tile));
    for (; begin != end; ++begin) {
      const float code = RoundToCode(dtype, static_cast<float>(*begin), scale);
      rounded.push_back(static_cast<double>(code) * static_cast<double>(scale));
    }
  }
  return rounded;
}

std::vector<double> LoadAll(const ConstTensor& x) {
  std::vector<double> values;
  values.reserve(static_cast<size_t>(x.elements()));
  if (IsQuantized(x.dtype())) {
    for (int64_t i = 0; i < x.dim(0); ++i) {
      for (const double value : DequantizedRow(x, i)) values.push_back(value);
    }
    return values;
  }
  ForEachOffset(x, [&](int64_t offset) { values.push_back(LoadAt(x, offset)); });
  return values;
}

void StoreAll(const Tensor& y, const std::vector<double>& values) {
  FATHOM_CHECK(static_cast<int64_t>(values.size()) == y.elements(), "{} values for {}",
               values.size(), y.shape().ToString());
  if (IsQuantized(y.dtype())) {
    const auto d = static_cast<size_t>(y.dim(1));
    const float at_least = y.dtype() == DType::kE4M3Tensor ? LargestMagnitude(values) : 0;
    for (int64_t i = 0; i < y.dim(0); ++i) {
      const auto begin = values.begin() + i * y.dim(1);
      const std::vector<float> row(begin, begin + y.dim(1));
      QuantizeRow(y.dtype(), std::span(row.data(), d),
                  static_cast<std::byte*>(y.raw()) + i * y.stride(0), at_least);
    }
    return;
  }
  size_t next = 0;
  ForEachOffset(y, [&](int64_t offset) { StoreAt(y, offset, values[next++]); });
}

}  // namespace fathom

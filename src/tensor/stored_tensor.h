#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/thread_pool.h"
#include "tensor/tensor.h"

namespace fathom {

// Rows of a weight in a file's own codes. Each holds k elements: of a block-coded type, k / block
// blocks one after the other; of kE4M3, k codes. They need not be aligned.
struct CodedRows {
  DType dtype = DType::kF32;
  std::vector<const std::byte*> rows;
  std::vector<float> scales;  // kE4M3: [rows, ceil(k / 128)]
};

// A tensor as a file holds it, in whatever type: what backends compute with as it is can be viewed;
// everything else (f16, FP8 blocks, GGUF's block formats) is decoded row by row. Immutable; safe to
// use from several threads at once.
class StoredTensor {
 public:
  // type: as the file names it; bytes: in the file, scales included.
  StoredTensor(Shape shape, std::string type, uint64_t bytes)
      : shape_(shape), type_(std::move(type)), bytes_(bytes) {}
  virtual ~StoredTensor() = default;
  StoredTensor(const StoredTensor&) = delete;
  StoredTensor& operator=(const StoredTensor&) = delete;

  const Shape& shape() const { return shape_; }
  const std::string& type() const { return type_; }
  uint64_t bytes() const { return bytes_; }

  // The elements where they lie, when they are f64, f32 or bf16, contiguous and aligned; otherwise
  // empty.
  virtual ConstTensor View() const { return {}; }
  // y = rows [begin, begin + rows of y) (elements, of a vector), rounded once to y's type: f64, f32
  // or bf16; y is contiguous, on the host.
  virtual void Read(int64_t begin, Tensor y) const = 0;
  // The type of the file's own codes of rows [begin, end), or with `transposed` of the columns of
  // these rows, where backends can multiply with those; otherwise nothing.
  virtual std::optional<DType> CodeType(int64_t begin, int64_t end, bool transposed) const {
    static_cast<void>(begin), static_cast<void>(end), static_cast<void>(transposed);
    return std::nullopt;
  }
  // These codes; fatal where there are none.
  virtual CodedRows Coded(int64_t begin, int64_t end, bool transposed) const {
    static_cast<void>(begin), static_cast<void>(end), static_cast<void>(transposed);
    FATHOM_CHECK(false, "{} has no codes", type_);
  }
  // Gives the memory of its pages back, after a pass over a file that may be larger than memory;
  // they come in again when they are read.
  virtual void Release() const {}

 private:
  Shape shape_;
  std::string type_;
  uint64_t bytes_;
};

// StoredTensor::Read on all threads of the pool.
void ReadRows(ThreadPool& pool, const StoredTensor& x, int64_t begin, Tensor y);

// y = x, elementwise, between f64, f32 and bf16 (round to nearest even, by way of f32 unless both
// are f64); contiguous, on the host.
void ConvertElements(ConstTensor x, Tensor y);

}  // namespace fathom

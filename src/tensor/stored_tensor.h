#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "base/thread_pool.h"
#include "tensor/tensor.h"

namespace fathom {

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

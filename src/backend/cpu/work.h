#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "backend/cpu/kernel_table.h"
#include "base/function_ref.h"
#include "base/thread_pool.h"
#include "ops/matrix_rows.h"
#include "tensor/arena.h"
#include "tensor/tensor.h"

namespace fathom::cpu {

// What the operations of the CPU backend share: raw rows of tensors, and work split over threads.

// About this many elements are worth a thread of their own in a memory-bound operation.
inline constexpr int64_t kGrainElements = 16384;

// Aborts when the tensor is neither f32 nor bf16.
Element ElementOf(DType dtype);
inline Element ElementOf(const ConstTensor& x) { return ElementOf(x.dtype()); }
inline Element ElementOf(const MatrixRows& x) { return ElementOf(x.dtype()); }
inline int64_t SizeOf(Element type) { return type == Element::kF32 ? 4 : 2; }

// The depth of packed operands: bf16 comes in pairs.
inline int64_t EvenDepth(Element type, int64_t depth) {
  return type == Element::kF32 ? depth : (depth + 1) / 2 * 2;
}
// The depth that a row takes in a strip made from rows: whole lines.
inline int64_t LineDepth(Element type, int64_t depth) {
  const int64_t line = type == Element::kF32 ? kStripLine : 2 * kStripLine;
  return (depth + line - 1) / line * line;
}
// Rows that lie a multiple of so many bytes apart push each other out of the first-level cache.
inline constexpr int64_t kConflictBytes = 4096;

inline int64_t StripRows(const KernelTable& kernels, Element type) {
  return type == Element::kF32 ? kernels.strip_f32 : kernels.strip_bf16;
}

// Aborts, naming the tensor, when its shape is another one.
void CheckShape(const ConstTensor& x, const Shape& shape, std::string_view name);

// The address of element (i, 0...) and (i, j, 0...).
template <typename T>
auto* At(T& x, int64_t i, int64_t j = 0) {
  using Byte = std::conditional_t<std::is_const_v<std::remove_pointer_t<decltype(x.raw())>>,
                                  const std::byte, std::byte>;
  const int64_t offset = i * x.stride(0) + (j == 0 ? 0 : j * x.stride(1));
  return static_cast<Byte*>(x.raw()) + offset * static_cast<int64_t>(fathom::SizeOf(x.dtype()));
}

// Of row i of an operand.
inline const std::byte* At(const MatrixRows& x, int64_t i) {
  if (!x.index().empty()) {
    i = static_cast<const int32_t*>(x.index().raw())[i];
    FATHOM_CHECK(i >= 0 && i < x.matrix().dim(0), "row {} of {}", i, x.matrix().dim(0));
  }
  return At(x.matrix(), i);
}

// Calls fn(x, y, n) in parallel for pieces that make up two tensors of one shape.
void ForPieces(ThreadPool& pool, const ConstTensor& x, const Tensor& y,
               FunctionRef<void(const void* x, void* y, int64_t n)> fn);

// Splits [0, rows) so that a piece is worth a thread: fn(begin, end, thread).
void ForRows(ThreadPool& pool, int64_t rows, int64_t elements_per_row,
             FunctionRef<void(int64_t begin, int64_t end, int thread)> fn);

// A list of items, each of some units of equal cost, that is cut into one contiguous run a thread,
// of about equal cost. Which thread computes a unit never changes its value.
class WorkList {
 public:
  void Reserve(size_t items) { items_.reserve(items); }
  void Add(int64_t units, int64_t unit_cost);
  int64_t cost() const { return cost_; }

  // How many threads take part when a thread's share should cost at least `least`.
  int Parts(const ThreadPool& pool, int64_t least) const;
  // Whether more than one of the parts gets units of the item.
  bool IsShared(int64_t item, int parts) const;
  // Calls fn(part, item, begin, end) for the units [begin, end) of each item, part < parts.
  void Run(ThreadPool& pool, int parts,
           FunctionRef<void(int part, int64_t item, int64_t begin, int64_t end)> fn) const;

 private:
  struct Item {
    int64_t start, units, unit_cost;
  };
  // A unit belongs to the part that its start falls into: where the units of a part start.
  int64_t Border(int64_t part, int parts) const;

  std::vector<Item> items_;
  int64_t cost_ = 0;
};

// Pieces of one block of memory, each 64-byte aligned. Laid out over null, it measures.
class Scratch {
 public:
  explicit Scratch(void* data) : begin_(reinterpret_cast<uintptr_t>(data)), at_(begin_) {}
  static int64_t Round(int64_t bytes) { return (bytes + 63) / 64 * 64; }
  template <typename T>
  T* Take(int64_t count) {
    auto* result = reinterpret_cast<T*>(at_);
    at_ += static_cast<uintptr_t>(Round(count * static_cast<int64_t>(sizeof(T))));
    return result;
  }
  int64_t bytes() const { return static_cast<int64_t>(at_ - begin_); }

 private:
  uintptr_t begin_, at_;
};

}  // namespace fathom::cpu

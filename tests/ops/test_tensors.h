#pragma once

// What the tests of operations share: tensors of any type and stride that own their memory, random
// contents, packed matrices, and comparisons.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <span>
#include <vector>

#include "backend/reference/elements.h"
#include "base/random.h"
#include "base/thread_pool.h"
#include "ops/backend.h"
#include "tensor/arena.h"
#include "tensor/tensor.h"

namespace fathom::test {

// Memory with a canary on both sides and, in a padded tensor, behind every run of the last
// dimension.
class TestMemory {
 public:
  static constexpr std::byte kCanary{0xA5};
  static constexpr size_t kMargin = 256;

  explicit TestMemory(size_t bytes) : bytes_(bytes + 2 * kMargin) {
    storage_.resize(bytes_ + 64);
    const auto address = reinterpret_cast<uintptr_t>(storage_.data());
    begin_ = storage_.data() + (64 - address % 64) % 64;
    std::fill(begin_, begin_ + bytes_, kCanary);
  }
  std::byte* data() { return begin_ + kMargin; }
  std::span<const std::byte> all() const { return {begin_, bytes_}; }

 private:
  std::vector<std::byte> storage_;
  size_t bytes_;
  std::byte* begin_;
};

// A tensor that owns its memory (copies share it); passes wherever a Tensor does.
class TestTensor : public Tensor {
 public:
  TestTensor() = default;
  // Zero. The last dimension is followed by `padding` elements that belong to nobody, so that rows
  // are strided; the first element is `misalignment` elements past a 64-byte border.
  TestTensor(DType dtype, const Shape& shape, int64_t padding = 0, int64_t misalignment = 0) {
    FATHOM_CHECK(shape.rank() > 0);
    if (IsQuantized(dtype)) {
      FATHOM_CHECK(padding == 0 && misalignment == 0);
      memory_ = std::make_shared<TestMemory>(static_cast<size_t>(StorageBytes(dtype, shape)));
      static_cast<Tensor&>(*this) = Tensor(memory_->data(), dtype, shape);
      return;
    }
    std::array<int64_t, Shape::kMaxRank> dims{};
    for (int i = 0; i < shape.rank(); ++i) dims[i] = shape[i];
    const int64_t columns = shape[shape.rank() - 1];
    dims[shape.rank() - 1] += padding;
    const Shape padded(std::span<const int64_t>(dims.data(), static_cast<size_t>(shape.rank())));
    const auto size = static_cast<int64_t>(SizeOf(dtype));
    memory_ = std::make_shared<TestMemory>(
        static_cast<size_t>((padded.elements() + misalignment) * size));
    const Tensor whole(memory_->data() + misalignment * size, dtype, padded);
    static_cast<Tensor&>(*this) = whole.Columns(0, columns);
    StoreAll(*this, std::vector<double>(static_cast<size_t>(elements())));
  }

  // That nothing was written outside the tensor's elements.
  void ExpectSurroundingsUntouched() const {
    std::vector<std::byte> bytes(memory_->all().begin(), memory_->all().end());
    const auto size = static_cast<int64_t>(SizeOf(dtype()));
    const int64_t columns = IsQuantized(dtype()) ? stride(0) : dim(rank() - 1);
    const int64_t rows = columns == 0 ? 0 : elements() / dim(rank() - 1);
    const int64_t row_stride = rank() == 1 ? columns : stride(rank() - 2);
    const int64_t first = static_cast<const std::byte*>(raw()) - memory_->all().data();
    for (int64_t r = 0; r < rows; ++r) {
      const auto row = bytes.begin() + first + r * row_stride * size;
      std::fill(row, row + columns * size, TestMemory::kCanary);
    }
    EXPECT_TRUE(std::all_of(bytes.begin(), bytes.end(),
                            [](std::byte b) { return b == TestMemory::kCanary; }))
        << "something was written outside a tensor " << shape().ToString();
  }

 private:
  std::shared_ptr<TestMemory> memory_;
};

// ---- Contents

inline TestTensor TensorOf(DType dtype, const Shape& shape, const std::vector<double>& values) {
  TestTensor result(dtype, shape);
  StoreAll(result, values);
  return result;
}

// Normal, with this standard deviation, rounded to the type.
inline void FillRandom(RandomStream& random, const Tensor& y, double deviation = 1) {
  std::vector<double> values(static_cast<size_t>(y.elements()));
  for (double& value : values) value = deviation * random.NextNormal();
  StoreAll(y, values);
}
inline TestTensor RandomTensor(RandomStream& random, DType dtype, const Shape& shape,
                               double deviation = 1, int64_t padding = 0,
                               int64_t misalignment = 0) {
  TestTensor result(dtype, shape, padding, misalignment);
  FillRandom(random, result, deviation);
  return result;
}

// i32, uniform in [0, bound).
inline TestTensor RandomIds(RandomStream& random, const Shape& shape, int64_t bound) {
  TestTensor result(DType::kI32, shape);
  std::vector<double> values(static_cast<size_t>(result.elements()));
  for (double& value : values) {
    value = static_cast<double>(random.NextBelow(static_cast<uint64_t>(bound)));
  }
  StoreAll(result, values);
  return result;
}

// A copy in another type (or the same), with a padding of its own.
inline TestTensor CopyAs(DType dtype, const ConstTensor& x, int64_t padding = 0) {
  TestTensor result(dtype, x.shape(), padding);
  StoreAll(result, LoadAll(x));
  return result;
}
inline TestTensor Copy(const ConstTensor& x) { return CopyAs(x.dtype(), x); }

// ---- Comparisons

// |actual - expected| / |expected| in the Euclidean norm; infinite when an element is not finite
// where the other is, or the shapes differ.
inline double RelativeError(const ConstTensor& actual, const ConstTensor& expected) {
  if (!(actual.shape() == expected.shape())) return std::numeric_limits<double>::infinity();
  const std::vector<double> a = LoadAll(actual), e = LoadAll(expected);
  double difference = 0, norm = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i] == e[i] || (std::isnan(a[i]) && std::isnan(e[i]))) {
      if (std::isfinite(e[i])) norm += e[i] * e[i];
      continue;
    }
    if (!std::isfinite(a[i]) || !std::isfinite(e[i]))
      return std::numeric_limits<double>::infinity();
    difference += (a[i] - e[i]) * (a[i] - e[i]);
    norm += e[i] * e[i];
  }
  if (difference == 0) return 0;
  return norm == 0 ? std::numeric_limits<double>::infinity() : std::sqrt(difference / norm);
}

// The norm of the difference is at most `norm` times that of `expected`; each element differs by at
// most `element` times (its magnitude + the root mean square of `expected`).
inline void ExpectClose(const ConstTensor& actual, const ConstTensor& expected, double norm,
                        double element) {
  ASSERT_EQ(actual.shape().ToString(), expected.shape().ToString());
  EXPECT_LE(RelativeError(actual, expected), norm);
  const std::vector<double> a = LoadAll(actual), e = LoadAll(expected);
  double squares = 0;
  for (double value : e) squares += std::isfinite(value) ? value * value : 0;
  const double rms = e.empty() ? 0 : std::sqrt(squares / static_cast<double>(e.size()));
  int shown = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i] == e[i] || (std::isnan(a[i]) && std::isnan(e[i]))) continue;
    if (std::abs(a[i] - e[i]) <= element * (std::abs(e[i]) + rms)) continue;
    ADD_FAILURE() << "element " << i << " of " << actual.shape().ToString() << ": " << a[i]
                  << ", expected " << e[i] << " (root mean square " << rms << ")";
    if (++shown == 5) break;
  }
}

// The same type, shape and bits.
inline void ExpectSameBits(const ConstTensor& actual, const ConstTensor& expected) {
  ASSERT_EQ(Name(actual.dtype()), Name(expected.dtype()));
  ASSERT_EQ(actual.shape().ToString(), expected.shape().ToString());
  const TestTensor a = Copy(actual), e = Copy(expected);  // contiguous, bits kept
  const size_t size = SizeOf(a.dtype());
  int shown = 0;
  for (int64_t i = 0; i < a.elements(); ++i) {
    const auto offset = static_cast<size_t>(i) * size;
    if (std::memcmp(static_cast<const char*>(a.raw()) + offset,
                    static_cast<const char*>(e.raw()) + offset, size) == 0) {
      continue;
    }
    ADD_FAILURE() << "element " << i << " of " << actual.shape().ToString() << ": "
                  << LoadAll(a)[static_cast<size_t>(i)] << ", expected "
                  << LoadAll(e)[static_cast<size_t>(i)];
    if (++shown == 5) break;
  }
}

// ---- Running

// A backend with all that a Context needs.
class TestRun {
 public:
  explicit TestRun(std::unique_ptr<Backend> backend, int threads = 1)
      : backend_(std::move(backend)), pool_(threads), workspace_(MemoryRole::kWorkspace) {
    context_.backend = backend_.get();
    context_.pool = &pool_;
    context_.workspace = &workspace_;
  }
  Backend* operator->() { return backend_.get(); }
  Backend& backend() { return *backend_; }
  Context& context() { return context_; }

 private:
  std::unique_ptr<Backend> backend_;
  ThreadPool pool_;
  Arena workspace_;
  Context context_;
};

// A matrix packed by a backend, with its memory.
class TestPacked {
 public:
  TestPacked(TestRun& run, std::span<const WeightPart> parts, DType dtype,
             bool transposed = false) {
    int64_t stacked = 0;
    for (const WeightPart& part : parts) stacked += part.rows();
    packed_.dtype = dtype;
    packed_.n = transposed ? parts[0].columns() : stacked;
    packed_.k = transposed ? stacked : parts[0].columns();
    packed_.bytes = run->PackedBytes(dtype, packed_.n, packed_.k);
    memory_ = std::make_shared<TestMemory>(packed_.bytes);
    packed_.data = memory_->data();
    run->Pack(run.context(), parts, transposed, packed_);
  }
  TestPacked(TestRun& run, std::span<const ConstTensor> parts, DType dtype, bool transposed = false)
      : TestPacked(run, std::vector<WeightPart>(parts.begin(), parts.end()), dtype, transposed) {}
  TestPacked(TestRun& run, const WeightPart& part, DType dtype, bool transposed = false)
      : TestPacked(run, std::span(&part, 1), dtype, transposed) {}
  TestPacked(TestRun& run, const ConstTensor& matrix, DType dtype, bool transposed = false)
      : TestPacked(run, WeightPart(matrix), dtype, transposed) {}
  const PackedMatrix* get() const { return &packed_; }

 private:
  std::shared_ptr<TestMemory> memory_;
  PackedMatrix packed_;
};

}  // namespace fathom::test

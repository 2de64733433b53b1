#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "base/random.h"
#include "ops/packed_matrix.h"
#include "tensor/block_formats.h"
#include "tensor/float16.h"
#include "tensor/stored_tensor.h"

namespace fathom::test {

// A matrix in one of GGUF's block formats, as a file would hold it, starting at an odd address.
class CodedWeights : public StoredTensor {
 public:
  // Any codes and sub-block scales that there are; `extreme`: all of them the largest, or zero.
  CodedWeights(RandomStream& random, DType dtype, int64_t n, int64_t k, bool extreme = false)
      : StoredTensor(Shape({n, k}), std::string(LayoutOf(FormatOf(dtype)).name),
                     static_cast<uint64_t>(n * k)),
        dtype_(dtype),
        layout_(LayoutOf(FormatOf(dtype))),
        bytes_(static_cast<size_t>(n * k / layout_.elements * layout_.bytes + 1)) {
    for (size_t at = 1; at < bytes_.size(); at += static_cast<size_t>(layout_.bytes)) {
      const int kind = extreme ? static_cast<int>(random.NextBelow(3)) : 3;
      for (int64_t i = 0; i < layout_.bytes; ++i) {
        const auto any = static_cast<std::byte>(random.NextBelow(256));
        bytes_[at + static_cast<size_t>(i)] = kind == 0   ? std::byte{0}
                                              : kind == 1 ? std::byte{0xff}
                                              : kind == 2 ? std::byte{0x80}
                                                          : any;
      }
      const auto set_scale = [&](int64_t offset) {
        const F16 scale(static_cast<float>(0.02 * random.NextNormal()));
        std::memcpy(bytes_.data() + at + offset, &scale, sizeof(scale));
      };
      set_scale(dtype == DType::kQ6K ? 208 : 0);
      if (dtype == DType::kQ4K) set_scale(2);
    }
  }

  void Read(int64_t begin, Tensor y) const override {
    const int64_t count = y.elements();
    std::vector<float> values(static_cast<size_t>(count));
    DecodeBlocks(FormatOf(dtype_), bytes_.data() + 1, begin * shape()[1], count, values.data());
    ConvertElements(ConstTensor(values.data(), DType::kF32, y.shape()), y);
  }
  std::optional<DType> CodeType(int64_t, int64_t, bool transposed) const override {
    return transposed ? std::nullopt : std::optional(dtype_);
  }
  CodedRows Coded(int64_t begin, int64_t end, bool) const override {
    CodedRows rows{.dtype = dtype_};
    for (int64_t row = begin; row < end; ++row) {
      rows.rows.push_back(bytes_.data() + 1 +
                          row * (shape()[1] / layout_.elements * layout_.bytes));
    }
    return rows;
  }
  WeightPart Part() const { return {*this, 0, shape()[0]}; }

 private:
  DType dtype_;
  BlockLayout layout_;
  std::vector<std::byte> bytes_;
};

inline constexpr DType kCodedTypes[] = {DType::kQ8_0, DType::kQ4_0, DType::kQ4K, DType::kQ6K};

}  // namespace fathom::test

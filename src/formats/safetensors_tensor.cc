#include "formats/safetensors_tensor.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/file.h"
#include "tensor/float16.h"
#include "tensor/float8.h"
#include "tensor/quantize.h"

namespace fathom {
namespace {

using Part = SafetensorsTensor::Part;

Shape CheckedShape(const Part& part) {
  if (part.entry->shape.size() > Shape::kMaxRank) {
    throw Error(part.where, fmt::format("has {} dimensions, at most {} are supported",
                                        part.entry->shape.size(), Shape::kMaxRank));
  }
  if (part.entry->shape.empty()) throw Error(part.where, "is one number, which no weight is");
  return Shape(part.entry->shape);
}

bool IsAligned(const Part& part, int64_t element_bytes) {
  return reinterpret_cast<uintptr_t>(part.bytes.data()) % static_cast<uintptr_t>(element_bytes) ==
         0;
}

int64_t RowElements(const Shape& shape) {
  int64_t product = 1;
  for (int i = 1; i < shape.rank(); ++i) product *= shape[i];
  return product;
}

// Calls use(pointer) with y's data as its type.
template <typename Use>
void WithOutput(Tensor y, Use use) {
  if (y.dtype() == DType::kF64) {
    use(y.data<double>());
  } else if (y.dtype() == DType::kF32) {
    use(y.data<float>());
  } else {
    use(y.data<BF16>());
  }
}

class PlainTensor : public SafetensorsTensor {
 public:
  PlainTensor(Shape shape, DType dtype, Part part)
      : SafetensorsTensor(shape, {std::move(part)}),
        value_(parts()[0].bytes.data(), dtype, shape) {}

  ConstTensor View() const override { return value_; }
  void Read(int64_t begin, Tensor y) const override {
    ConvertElements(value_.Rows(begin, begin + y.dim(0)), y);
  }

 private:
  ConstTensor value_;
};

// As old writers left them: not at a multiple of their elements' size.
class UnalignedTensor : public SafetensorsTensor {
 public:
  UnalignedTensor(Shape shape, DType dtype, Part part)
      : SafetensorsTensor(shape, {std::move(part)}), dtype_(dtype) {}

  void Read(int64_t begin, Tensor y) const override {
    const Tensor flat = y.Reshape(Shape({y.elements()}));
    const auto element = static_cast<int64_t>(SizeOf(dtype_));
    const std::byte* source = parts()[0].bytes.data() + begin * RowElements(shape()) * element;
    alignas(8) std::byte piece[4096];
    const int64_t step = static_cast<int64_t>(sizeof(piece)) / element;
    for (int64_t done = 0; done < flat.dim(0); done += step) {
      const int64_t end = std::min(flat.dim(0), done + step);
      std::memcpy(piece, source + done * element, static_cast<size_t>((end - done) * element));
      ConvertElements(ConstTensor(piece, dtype_, Shape({end - done})), flat.Rows(done, end));
    }
  }

 private:
  DType dtype_;
};

class HalfTensor : public SafetensorsTensor {
 public:
  HalfTensor(Shape shape, Part part) : SafetensorsTensor(shape, {std::move(part)}) {}

  void Read(int64_t begin, Tensor y) const override {
    const std::byte* source =
        parts()[0].bytes.data() + begin * RowElements(shape()) * static_cast<int64_t>(sizeof(F16));
    WithOutput(y, [&](auto* out) { DecodeF16(source, y.elements(), out); });
  }
};

class Fp8BlockTensor : public SafetensorsTensor {
 public:
  Fp8BlockTensor(Shape shape, Part codes, Part scales, int64_t block_rows, int64_t block_columns)
      : SafetensorsTensor(shape, {std::move(codes), std::move(scales)}),
        block_rows_(block_rows),
        block_columns_(block_columns) {}

  void Read(int64_t begin, Tensor y) const override {
    const int64_t columns = shape()[1];
    const int64_t blocks = parts()[1].entry->shape[1];
    const auto* codes = reinterpret_cast<const E4M3*>(parts()[0].bytes.data());
    WithOutput(y, [&](auto* out) {
      for (int64_t i = 0; i < y.dim(0); ++i) {
        const int64_t row = begin + i;
        for (int64_t block = 0; block < blocks; ++block) {
          const int64_t column = block * block_columns_;
          DecodeE4M3(codes + row * columns + column, Scale(row / block_rows_ * blocks + block),
                     std::min(block_columns_, columns - column), out + i * columns + column);
        }
      }
    });
  }

  std::optional<DType> CodeType(int64_t, int64_t, bool transposed) const override {
    if (transposed || block_columns_ != kScaleTile) return std::nullopt;
    return DType::kE4M3;
  }
  CodedRows Coded(int64_t begin, int64_t end, bool) const override {
    CodedRows codes{.dtype = DType::kE4M3};
    const int64_t blocks = parts()[1].entry->shape[1];
    for (int64_t row = begin; row < end; ++row) {
      codes.rows.push_back(parts()[0].bytes.data() + row * shape()[1]);
      for (int64_t block = 0; block < blocks; ++block) {
        codes.scales.push_back(Scale(row / block_rows_ * blocks + block));
      }
    }
    return codes;
  }

 private:
  float Scale(int64_t i) const {
    float scale;  // it may start anywhere
    std::memcpy(&scale, parts()[1].bytes.data() + i * static_cast<int64_t>(sizeof(scale)),
                sizeof(scale));
    return scale;
  }

  int64_t block_rows_, block_columns_;
};

uint64_t SumOfBytes(const std::vector<Part>& parts) {
  uint64_t sum = 0;
  for (const Part& part : parts) sum += part.bytes.size();
  return sum;
}

}  // namespace

SafetensorsTensor::SafetensorsTensor(Shape shape, std::vector<Part> parts)
    : StoredTensor(shape, parts[0].entry->type, SumOfBytes(parts)), parts_(std::move(parts)) {}

void SafetensorsTensor::Release() const {
  for (const Part& part : parts_) ReleasePages(part.bytes);
}

std::unique_ptr<SafetensorsTensor> MakeSafetensorsTensor(Part part) {
  const Shape shape = CheckedShape(part);
  const SafetensorsType* type = FindSafetensorsType(part.entry->type);
  if (type->name == "F16") return std::make_unique<HalfTensor>(shape, std::move(part));
  if (!type->dtype || type->dtype == DType::kI32) {
    throw Error(part.where, fmt::format("weights of type {} are not supported", type->name),
                "F32, BF16, F16, F64 and F8_E4M3 with scales are");
  }
  if (IsAligned(part, type->bytes))
    return std::make_unique<PlainTensor>(shape, *type->dtype, std::move(part));
  return std::make_unique<UnalignedTensor>(shape, *type->dtype, std::move(part));
}

std::unique_ptr<SafetensorsTensor> MakeFp8BlockTensor(Part codes, Part scales, int64_t block_rows,
                                                      int64_t block_columns) {
  const Shape shape = CheckedShape(codes);
  if (shape.rank() != 2) {
    throw Error(codes.where, fmt::format("is F8_E4M3 of shape {}", shape.ToString()),
                "only matrices can be in FP8 blocks");
  }
  if (scales.entry->type != "F32") {
    throw Error(scales.where,
                fmt::format("scales of type {} are not supported", scales.entry->type),
                "F32 ones are");
  }
  const std::vector<int64_t> expected = {(shape[0] + block_rows - 1) / block_rows,
                                         (shape[1] + block_columns - 1) / block_columns};
  if (scales.entry->shape != expected) {
    throw Error(scales.where,
                fmt::format("has shape [{}], but {} of codes in blocks of {} x {} have scales [{}]",
                            fmt::join(scales.entry->shape, ", "), shape.ToString(), block_rows,
                            block_columns, fmt::join(expected, ", ")));
  }
  return std::make_unique<Fp8BlockTensor>(shape, std::move(codes), std::move(scales), block_rows,
                                          block_columns);
}

}  // namespace fathom

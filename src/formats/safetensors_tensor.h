#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "formats/safetensors_header.h"
#include "tensor/stored_tensor.h"

namespace fathom {

// The name of an FP8 weight's scales is the weight's name and this.
inline constexpr std::string_view kScaleSuffix = "_scale_inv";
inline constexpr std::string_view kFp8Type = "F8_E4M3";

// A tensor of a model as safetensors files hold it.
class SafetensorsTensor : public StoredTensor {
 public:
  // An entry of a file.
  struct Part {
    std::string where;  // "file: name", for errors
    std::string name;
    const SafetensorsEntry* entry;
    std::span<const std::byte> bytes;
  };

  // The entries that it is made of: itself, or codes and scales. They are what is copied where
  // nothing is converted.
  const std::vector<Part>& parts() const { return parts_; }
  void Release() const override;

 protected:
  SafetensorsTensor(Shape shape, std::vector<Part> parts);

 private:
  std::vector<Part> parts_;
};

// A tensor of type F64, F32, BF16 or F16, wherever it starts in its file. Error for another type or
// more than four dimensions.
std::unique_ptr<SafetensorsTensor> MakeSafetensorsTensor(SafetensorsTensor::Part part);

// A matrix [n, k] of F8_E4M3 codes with F32 scales [ceil(n / block_rows), ceil(k / block_columns)]:
// w = code * scale of its block, in f32. Error when the scales are of another type or shape.
std::unique_ptr<SafetensorsTensor> MakeFp8BlockTensor(SafetensorsTensor::Part codes,
                                                      SafetensorsTensor::Part scales,
                                                      int64_t block_rows, int64_t block_columns);

}  // namespace fathom

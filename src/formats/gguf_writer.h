#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/block_formats.h"

namespace fathom {

// Collects the metadata and the tensor table of a GGUF file (version 3, little-endian, aligned to
// 32 bytes) and says what stands before the data. The data of each tensor follows in the order of
// AddTensor, padded to the alignment.
class GgufWriter {
 public:
  static constexpr uint64_t kAlignment = 32;

  void AddString(std::string_view key, std::string_view value);
  void AddU32(std::string_view key, int64_t value);
  void AddI32(std::string_view key, int64_t value);
  void AddF32(std::string_view key, double value);
  void AddBool(std::string_view key, bool value);
  void AddStrings(std::string_view key, const std::vector<std::string>& values);
  void AddI32s(std::string_view key, const std::vector<int32_t>& values);

  // dims: fastest first.
  void AddTensor(std::string_view name, const std::vector<int64_t>& dims, BlockFormat format);

  // Bytes of a tensor's data without padding.
  static uint64_t TensorBytes(const std::vector<int64_t>& dims, BlockFormat format);
  static uint64_t Padding(uint64_t bytes) { return (kAlignment - bytes % kAlignment) % kAlignment; }

  // Everything before the data, its padding included.
  std::string Header() const;

 private:
  void BeginKey(std::string_view key, uint32_t type);

  std::string keys_, tensors_;
  uint64_t key_count_ = 0, tensor_count_ = 0;
  uint64_t offset_ = 0;  // of the next tensor in the data
};

}  // namespace fathom

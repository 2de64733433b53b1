#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "tensor/stored_tensor.h"

namespace fathom {

// One tensor of a safetensors file as its header describes it.
struct SafetensorsEntry {
  std::string type;  // "F32", "BF16", "F64", "I32", or one that Fathom does not compute with
  std::vector<int64_t> shape;
  uint64_t begin = 0, end = 0;  // bytes, from the start of the data
};

// A safetensors file, mapped: 8 bytes of header length (little-endian), a JSON header, the data.
// The header is checked whole when the file is opened; tensors are views that live as long as this
// object.
class SafetensorsFile {
 public:
  // Throws Error when the file is missing, truncated or inconsistent.
  explicit SafetensorsFile(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return file_.path(); }
  const std::map<std::string, SafetensorsEntry, std::less<>>& entries() const { return entries_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  // Error when there is no tensor of that name, its type is not one that Fathom computes with, or
  // it has more than four dimensions.
  ConstTensor Get(std::string_view name) const;

 private:
  void ParseHeader();

  MappedFile file_;
  std::map<std::string, SafetensorsEntry, std::less<>> entries_;
  std::map<std::string, std::string> metadata_;
  uint64_t data_begin_ = 0;
};

// A tensor to be written: contiguous, converted to `type` on the way.
struct SafetensorsItem {
  std::string name;
  ConstTensor value;
  DType type;
};

// Writes a file in one go, atomically. Values are converted piece by piece: nothing is held twice.
// Unless quiet, shows its progress.
void WriteSafetensors(const std::filesystem::path& path, const std::vector<SafetensorsItem>& items,
                      const std::map<std::string, std::string>& metadata, bool quiet = true);

}  // namespace fathom

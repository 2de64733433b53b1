#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "formats/safetensors_header.h"
#include "tensor/tensor.h"

namespace fathom {

// A safetensors file, mapped: 8 bytes of header length (little-endian), a JSON header, the data.
// The header is checked whole when the file is opened; tensors are views that live as long as this
// object.
class SafetensorsFile {
 public:
  // Throws Error when the file is missing, truncated or inconsistent.
  explicit SafetensorsFile(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return file_.path(); }
  const std::map<std::string, SafetensorsEntry, std::less<>>& entries() const {
    return header_.entries;
  }
  const std::map<std::string, std::string>& metadata() const { return header_.metadata; }
  // Of a tensor of any type, wherever it starts. Error when there is none of that name.
  std::span<const std::byte> Bytes(std::string_view name) const;
  // Error when there is no tensor of that name, its type is not one that Fathom computes with, it
  // has more than four dimensions, or does not start at a multiple of its elements' size.
  ConstTensor Get(std::string_view name) const;

 private:
  const SafetensorsEntry& Entry(std::string_view name) const;

  MappedFile file_;
  SafetensorsHeader header_;
};

}  // namespace fathom

#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "formats/safetensors_writer.h"

namespace fathom::test {

inline void WriteText(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}
inline std::string ReadText(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// A tensor of any type with its bytes.
struct RawTensor {
  SafetensorsDeclaration declaration;
  std::string bytes;
};

template <typename T>
RawTensor MakeRaw(const std::string& name, const std::string& type,
                  const std::vector<int64_t>& shape, const std::vector<T>& values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return {{name, type, shape}, bytes};
}

inline void WriteRaw(const std::filesystem::path& path, const std::vector<RawTensor>& tensors) {
  std::vector<SafetensorsDeclaration> declarations;
  for (const RawTensor& tensor : tensors) declarations.push_back(tensor.declaration);
  SafetensorsWriter writer(path, declarations, {});
  for (size_t i = 0; i < tensors.size(); ++i)
    writer.Append(i, tensors[i].bytes.data(), tensors[i].bytes.size());
  writer.Commit();
}

}  // namespace fathom::test

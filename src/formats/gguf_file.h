#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "formats/gguf_value.h"
#include "tensor/block_formats.h"

namespace fathom {

// The metadata of a GGUF file by key.
class GgufMetadata {
 public:
  explicit GgufMetadata(std::string file) : file_(std::move(file)) {}

  const std::string& file() const { return file_; }
  // Error when the key is there already.
  void Add(GgufValue value);
  // Null when it is missing.
  const GgufValue* Find(std::string_view key) const;
  // Error when it is missing.
  const GgufValue& At(std::string_view key) const;

  // By key.
  const std::map<std::string_view, GgufValue>& values() const { return values_; }

 private:
  std::string file_;
  std::map<std::string_view, GgufValue> values_;
};

// One tensor, where it lies in the bytes of its file.
struct GgufTensor {
  std::string_view name;
  std::vector<int64_t> dims;  // fastest first, one to four, each at least 1
  BlockFormat format = BlockFormat::kF32;
  const std::byte* data = nullptr;
  uint64_t bytes = 0;
  std::string where;  // "model.gguf, byte 1024: tensor 'output.weight'"

  int64_t elements() const;
};

// What one file says. Everything views its bytes.
struct GgufContents {
  GgufMetadata metadata;
  std::vector<GgufTensor> tensors;  // in the file's order
};

// Reads the bytes of a little-endian GGUF file of version 2 or 3: the magic "GGUF", version, number
// of tensors and of keys, the keys with their values, the description of the tensors, and the
// data, aligned to general.alignment. Every count, length, type, size and offset is checked against
// the bytes that are there before anything is allocated or read for it. Throws Error with `file`,
// byte offset and what is wrong.
GgufContents ParseGguf(std::span<const std::byte> bytes, const std::string& file);

// Whether a file begins as GGUF files do. False when it cannot be read.
bool IsGguf(const std::filesystem::path& path);

// A GGUF file, mapped; of a split one (name-00001-of-00003.gguf), all files, opened by the first.
class GgufFile {
 public:
  explicit GgufFile(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return files_[0]->path(); }
  const GgufMetadata& metadata() const { return contents_.metadata; }
  // Of all files.
  const std::vector<GgufTensor>& tensors() const { return contents_.tensors; }

 private:
  void OpenRest();

  std::vector<std::unique_ptr<MappedFile>> files_;
  GgufContents contents_;
};

}  // namespace fathom

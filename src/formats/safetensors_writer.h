#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/function_ref.h"
#include "tensor/tensor.h"

namespace fathom {

// A tensor that is going to be written.
struct SafetensorsDeclaration {
  std::string name;
  std::string type;  // one that FindSafetensorsType knows
  std::vector<int64_t> shape;

  uint64_t bytes() const;
};

// A file written as its tensors come: all are declared first, then their bytes arrive, those of one
// tensor in order, those of several in any. Nothing is held in memory. The file is there when
// Commit returns, and not before.
class SafetensorsWriter {
 public:
  SafetensorsWriter(const std::filesystem::path& path,
                    const std::vector<SafetensorsDeclaration>& tensors,
                    const std::map<std::string, std::string>& metadata);

  // The next bytes of tensors[tensor].
  void Append(size_t tensor, const void* data, size_t size);
  // Fatal when bytes are missing.
  void Commit();

 private:
  struct Range {
    uint64_t next, end;  // bytes of the file
  };
  AtomicFile file_;
  std::vector<Range> ranges_;
};

// Hands on the elements of a contiguous tensor, converted to `type` piece by piece.
void ForEachPiece(ConstTensor value, DType type,
                  FunctionRef<void(const void* data, size_t size)> use);

// A tensor to be written: contiguous, converted to `type` on the way.
struct SafetensorsItem {
  std::string name;
  ConstTensor value;
  DType type;

  SafetensorsDeclaration Declare() const;
};

// Hands on the bytes of items[index], piece by piece, one item after the other, with a line of
// progress unless quiet.
void ForEachPiece(const std::vector<SafetensorsItem>& items, const std::string& title, bool quiet,
                  FunctionRef<void(size_t index, const void* data, size_t size)> use);

// Writes a file in one go, atomically. Unless quiet, shows its progress.
void WriteSafetensors(const std::filesystem::path& path, const std::vector<SafetensorsItem>& items,
                      const std::map<std::string, std::string>& metadata, bool quiet = true);

}  // namespace fathom

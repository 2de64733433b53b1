#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>

namespace fathom::fuzz {

// A file that exists in memory alone and that readers open by a path: what a fuzzer feeds to code
// that maps files.
class MemoryFile {
 public:
  MemoryFile(const uint8_t* data, size_t size);
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  std::filesystem::path path() const;

 private:
  int descriptor_;
};

}  // namespace fathom::fuzz

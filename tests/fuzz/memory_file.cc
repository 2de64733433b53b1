#include "fuzz/memory_file.h"

#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "base/error.h"

namespace fathom::fuzz {

MemoryFile::MemoryFile(const uint8_t* data, size_t size)
    : descriptor_(memfd_create("fuzz", MFD_CLOEXEC)) {
  FATHOM_CHECK(descriptor_ >= 0);
  FATHOM_CHECK(write(descriptor_, data, size) == static_cast<ssize_t>(size));
}

MemoryFile::~MemoryFile() { close(descriptor_); }

std::filesystem::path MemoryFile::path() const {
  return "/proc/self/fd/" + std::to_string(descriptor_);
}

}  // namespace fathom::fuzz

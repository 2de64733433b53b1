#include "base/directories.h"

#include <system_error>

#include "base/error.h"

namespace fathom {

void CreateDirectories(const std::filesystem::path& directory) {
  std::error_code code;
  std::filesystem::create_directories(directory, code);
  if (code) throw Error(directory.string(), fmt::format("cannot be created: {}", code.message()));
}

}  // namespace fathom

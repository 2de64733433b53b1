#pragma once

#include <filesystem>

namespace fathom {

// With all above it; what is there already is left. Throws Error with the path and the reason.
void CreateDirectories(const std::filesystem::path& directory);

}  // namespace fathom

#pragma once

#include <filesystem>
#include <string>

namespace fathom {

// The HTML that shows what a reward model makes of held-out examples, from a file of them, most
// wrong first: the first ones and the last. Empty when there is no such file.
std::string HeldOutView(const std::filesystem::path& examples);

}  // namespace fathom

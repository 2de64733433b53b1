#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fathom {

// What keeps a text from being a number of bytes ("1.5GiB", "500MB", "4096"; units are those of
// Command::AddSize); nothing if it is one.
std::string SizeProblem(std::string_view text);
// The bytes of a text that is a size.
uint64_t ParseSize(std::string_view text);

}  // namespace fathom

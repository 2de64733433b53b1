#pragma once

#include <string>
#include <string_view>

namespace fathom {

// The prefix and 32 random hexadecimal digits. From any thread.
std::string RequestId(std::string_view prefix);

}  // namespace fathom

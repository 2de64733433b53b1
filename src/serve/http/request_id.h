#pragma once

#include <string>

namespace fathom {

// 32 random hexadecimal digits. From any thread.
std::string NewRequestId();

}  // namespace fathom

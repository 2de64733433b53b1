#pragma once

#include <string>
#include <vector>

#include "plan/units.h"

namespace fathom {

// Starts this program with these arguments; it has to print a number of bytes: the most that it had
// resident. Throws Error when it fails.
Bytes WeighProcess(const std::vector<std::string>& arguments);

}  // namespace fathom

#pragma once

#include <string>

namespace fathom {

// Tells this program from any other build of it: the linker's build id, in hexadecimal; empty when
// it was linked without one.
const std::string& BuildId();

}  // namespace fathom

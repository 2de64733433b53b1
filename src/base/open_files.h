#pragma once

#include <cstdint>

namespace fathom {

// Raises what this process may have open (files and connections) to `count`, as far as the system
// lets it: most shells start a process with 1024. Returns what it may have open now, which may be
// less, or more.
int64_t AllowOpenFiles(int64_t count);

}  // namespace fathom

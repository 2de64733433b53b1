#pragma once

#include <cstdint>

namespace fathom {

// Bytes that a process can still take without pushing others out: MemAvailable of /proc/meminfo, or
// the memory limit of this process's control group where that is less. Throws Error when the system
// does not say.
int64_t AvailableMemory();

// The most memory that this process ever had resident, in bytes.
int64_t PeakResidentMemory();

}  // namespace fathom

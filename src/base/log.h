#pragma once

#include <spdlog/spdlog.h>

#include <string>

namespace fathom {

// Everything for a human goes to stderr: stdout belongs to results. Called by main(), and
// again by a command that knows `quiet`, which keeps warnings only.
void StartLogging(bool quiet);

// "1.3 GiB", "512 B": binary units.
std::string FormatBytes(double bytes);
// "1.25 M", "671 B": decimal units, as parameters and tokens are counted.
std::string FormatCount(double count);
// "45 s", "3 min 20 s", "2 h 5 min".
std::string FormatDuration(double seconds);

}  // namespace fathom

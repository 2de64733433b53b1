#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "text/jinja/runtime.h"

namespace fathom::jinja {

// strftime of a moment, in seconds since 1970 as UTC; nothing: now, in this machine's zone.
std::string TimeText(const Runtime& runtime, const std::string& format,
                     std::optional<int64_t> moment);

}  // namespace fathom::jinja

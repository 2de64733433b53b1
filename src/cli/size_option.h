#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

namespace fathom {

// An option of so many bytes: 4096, 500MB, 2GiB. KB, MB, ... are powers of 1000 and KiB, MiB, ...
// those of 1024, and none at all is refused.
CLI::Option* AddSizeOption(CLI::App& command, const std::string& name, uint64_t& bytes,
                           const std::string& description);

}  // namespace fathom

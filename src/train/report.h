#pragma once

#include <filesystem>

namespace fathom {

// Writes OUTPUT/loss.svg (training loss and held-out bits per byte over tokens) and
// OUTPUT/report.html (the picture, the result, samples and the configuration, in one file that
// needs nothing else) from OUTPUT/log.jsonl and OUTPUT/config.toml.
void WriteReport(const std::filesystem::path& output);

}  // namespace fathom

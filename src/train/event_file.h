#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/append_file.h"

namespace fathom {

// What a run says where its files cannot be written.
inline constexpr char kFullDiskHint[] =
    "free some space; the run goes on from its last checkpoint with --resume";

// The lines of a run log (run_log.h) as TensorBoard reads them: a file of framed records, each of
// them a protocol buffer `Event` (tensorflow/core/util/event.proto, framework/summary.proto).

// A record of TensorFlow's files: the length, its checksum, the data, their checksum, all of them
// little-endian; the checksums are CRC-32C, rotated and shifted ("masked").
std::string EventRecord(std::string_view data);

// The line as an Event of its "step" and "time" (seconds since the epoch). Numbers are scalars
// <kind>/<key>, those of kind "step" train/<key>; the elements of lists train/<key>_1 and on; the
// text of a sample is shown as text. Empty for a line that holds nothing to draw.
std::string EncodeEvent(const nlohmann::ordered_json& line);

class EventFile {
 public:
  // Begins a file in the folder, which is made if it is missing, in place of the event files that
  // are there. Throws Error when it cannot be written.
  explicit EventFile(const std::filesystem::path& directory);

  // Throws Error when the disk is full.
  void Add(const nlohmann::ordered_json& line);

 private:
  std::optional<AppendFile> file_;
};

}  // namespace fathom

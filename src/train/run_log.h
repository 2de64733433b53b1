#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/append_file.h"
#include "train/event_file.h"

namespace fathom {

// OUTPUT/log.jsonl: one JSON object a line; those with "kind": "step" come one a step. With a
// folder for event files, TensorBoard shows the same there.
class RunLog {
 public:
  // Goes on with the file that is there, without the lines past `step` (what a killed run wrote
  // after its last checkpoint); with step 0 it starts anew. The event file is made anew from the
  // lines that are kept. Throws Error when a file cannot be written.
  RunLog(const std::filesystem::path& path, int64_t step,
         const std::filesystem::path& event_directory = {});

  // Throws Error when the line cannot be written (a full disk).
  void Write(const nlohmann::ordered_json& line);
  // The same with "time" behind it: seconds since 1970, to the millisecond.
  void WriteNow(nlohmann::ordered_json line);
  // The last line of a run that the user stopped in good order, so that whoever reads the log can
  // tell it from one that died. A run that is resumed goes on without it.
  void WriteInterrupted(int64_t step);

 private:
  std::optional<AppendFile> file_;
  std::optional<EventFile> events_;
};

}  // namespace fathom

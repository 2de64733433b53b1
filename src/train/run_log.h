#pragma once

#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

namespace fathom {

// OUTPUT/log.jsonl: one JSON object a line; those with "kind": "step" come one a step.
class RunLog {
 public:
  // Goes on with the file that is there, without the lines past `step` (what a killed run wrote
  // after its last checkpoint); with step 0 it starts anew.
  RunLog(const std::filesystem::path& path, int64_t step);
  ~RunLog();
  RunLog(const RunLog&) = delete;
  RunLog& operator=(const RunLog&) = delete;

  // Throws Error when the line cannot be written (a full disk).
  void Write(const nlohmann::ordered_json& line);

 private:
  std::filesystem::path path_;
  std::FILE* file_;
};

}  // namespace fathom

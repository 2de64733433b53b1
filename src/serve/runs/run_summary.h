#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace fathom {

// What a list says of a run, from the first line and the last lines of its log alone.
struct RunSummary {
  std::string kind;             // KindOfRun
  int64_t step = 0, steps = 0;  // 0: nobody knows how many there will be
  double tokens = 0;
  std::optional<double> loss, reward;
  double started = 0, time = 0;  // of the first and the last line, seconds since 1970
  double seconds_per_step = 0;   // of the last steps; 0: not known
  // What the last line says about the end: "finished" or "interrupted" (by the user, in good
  // order); nothing where more is to come.
  std::string_view end;

  // The end, or "running", or "stale": no line has come for longer than some steps take.
  std::string_view State(double now) const;
};

RunSummary SummariseRun(const std::filesystem::path& directory);

}  // namespace fathom

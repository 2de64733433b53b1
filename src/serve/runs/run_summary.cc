#include "serve/runs/run_summary.h"

#include <algorithm>

#include "serve/runs/log_follower.h"
#include "serve/runs/log_line.h"
#include "serve/runs/run_record.h"

namespace fathom {
namespace {

constexpr size_t kEnd = 128 << 10;
// Validations, samples and checkpoints stand between steps; after the last one all that is held out
// is judged.
constexpr double kQuietSteps = 10, kQuietSeconds = 120, kQuietAtEnd = 1800;

// The first line. Most are short.
std::string FirstLine(const std::filesystem::path& log) {
  for (const size_t most : {size_t{64} << 10, LogFollower::kMostLine}) {
    std::string bytes = ReadPart(log, 0, most);
    const size_t end = bytes.find('\n');
    if (end != std::string::npos) return bytes.substr(0, end);
    if (bytes.size() < most) break;
  }
  return {};
}

// Whole lines from the end of the file, one at least where one is not too long.
std::string LastLines(const std::filesystem::path& log, uint64_t size) {
  for (const size_t most : {kEnd, 2 * LogFollower::kMostLine}) {
    const uint64_t begin = size > most ? size - most : 0;
    std::string bytes = ReadPart(log, begin, most);
    bytes.resize(bytes.rfind('\n') + 1);
    const size_t first = begin == 0 ? 0 : bytes.find('\n') + 1;
    if (first < bytes.size()) return bytes.substr(first);
    if (begin == 0) break;
  }
  return {};
}

}  // namespace

std::string_view RunSummary::State(double now) const {
  if (!end.empty()) return end;
  const double least = steps > 0 && step >= steps ? kQuietAtEnd : kQuietSeconds;
  return now - time <= std::max(least, kQuietSteps * seconds_per_step) ? "running" : "stale";
}

RunSummary SummariseRun(const std::filesystem::path& directory) {
  const std::filesystem::path log = directory / "log.jsonl";
  RunSummary run;
  const auto take_start = [&](const LogLine& line) {
    run.kind = KindOfRun(line);
    run.steps = static_cast<int64_t>(std::clamp(line.Number("steps").value_or(0), 0.0, 1e15));
  };
  if (const auto first = ParseLogLine(FirstLine(log))) {
    run.started = first->time;
    if (first->kind == "start") take_start(*first);
  }
  std::error_code error;
  const std::string last = LastLines(log, std::filesystem::file_size(log, error));
  int64_t first_step = 0;
  double first_time = 0;
  for (size_t begin = 0; begin < last.size();) {
    const size_t end = last.find('\n', begin);
    const auto line = ParseLogLine(std::string_view(last).substr(begin, end - begin));
    begin = end + 1;
    if (!line) continue;
    run.time = std::max(run.time, line->time);
    run.end = line->kind == "result"        ? "finished"
              : line->kind == "interrupted" ? "interrupted"
                                            : "";
    if (line->kind == "start") {
      take_start(*line);
      first_step = 0;  // what lies between two starts is no step's time
    }
    run.step = std::max(run.step, line->step);
    if (line->kind != "step") continue;
    run.tokens = line->Number("tokens").value_or(run.tokens);
    run.loss = line->Number("loss");
    run.reward = line->Number("reward");
    if (first_step == 0) {
      first_step = line->step;
      first_time = line->time;
    } else if (line->step > first_step && line->time > first_time) {
      run.seconds_per_step =
          (line->time - first_time) / static_cast<double>(line->step - first_step);
    }
  }
  return run;
}

}  // namespace fathom

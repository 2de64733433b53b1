#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "serve/runs/load_history.h"
#include "serve/runs/log_follower.h"
#include "serve/runs/series.h"

namespace fathom {

// What kind of run a log's start speaks of: "pretraining", "sft", "reward", "rl".
std::string_view KindOfRun(const LogLine& start);

// A run whose log has been read, and is read on whenever somebody asks. From any thread.
class RunRecord {
 public:
  // Samples beyond are the oldest ones, which are no longer offered.
  static constexpr size_t kMostSamples = 10'000;
  // Of a log, read for one answer: a large one comes little by little.
  static constexpr size_t kBytesAtOnce = 16 << 20;

  explicit RunRecord(const std::filesystem::path& directory);

  // What somebody has, as this said it the last time.
  struct Seen {
    std::string epoch;
    size_t steps = 0, validations = 0, samples = 0, loads = 0;
    bool wants_loads = false;
  };
  // What has come since, as JSON (docs/architecture.md). Where the epoch is another one, all that
  // there is: the log was begun anew, or is shown more coarsely.
  std::string NewsJson(const Seen& seen);
  // {"samples": [{"text": ..., "prompt": ..., "reward": ...}]}, of a step.
  std::string SamplesJson(int64_t step);

 private:
  struct SamplePlace {
    int64_t step;
    uint64_t offset;
    size_t size;
  };
  void ReadOn();
  void Take(std::string_view text, uint64_t offset);
  void TakeStart(const LogLine& line);
  void TakeResult(const LogLine& line);
  void Anew();
  void NextEpoch();

  const std::filesystem::path log_;
  std::mutex mutex_;
  LogFollower follower_;
  std::string epoch_;
  std::string kind_ = "pretraining";
  std::map<std::string, double> facts_;  // of the newest start
  std::vector<int64_t> expert_layers_;
  std::map<std::string, double> result_;
  int64_t broken_lines_ = 0;
  Series steps_, validations_;
  LoadHistory loads_;
  std::vector<SamplePlace> samples_;
};

}  // namespace fathom

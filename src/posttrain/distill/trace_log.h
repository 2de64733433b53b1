#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "base/append_file.h"
#include "base/file_lock.h"
#include "posttrain/distill/trace.h"

namespace fathom {

// OUTPUT/traces.jsonl: every answer as soon as it is there, a line each, so that what was asked for
// (and paid for) is never lost: a kill loses no line, a power cut those of the last kSyncSeconds.
class TraceLog {
 public:
  // Reads what is there. A line that was cut off at the end is taken away; lines that are no traces
  // (a power cut can leave such) are passed over with a warning, and of two with one id the first
  // counts. Throws Error when the file cannot be read or written, and when another run has it open.
  explicit TraceLog(std::filesystem::path path);
  // Flushes, as far as it can.
  ~TraceLog();
  TraceLog(const TraceLog&) = delete;
  TraceLog& operator=(const TraceLog&) = delete;

  // Null where there is none.
  const Trace* Find(const std::string& id) const;
  // Writes and keeps it.
  void Add(Trace trace);
  // Until all is on the disk. Called from time to time by Add and MaySync.
  void Sync();
  // Sync, if it is time for it: for callers that wait.
  void MaySync();

  size_t size() const { return traces_.size(); }
  const std::filesystem::path& path() const { return path_; }

  static constexpr int kSyncLines = 64;
  static constexpr int kSyncSeconds = 2;

 private:
  using Clock = std::chrono::steady_clock;

  void Read();

  std::filesystem::path path_;
  std::optional<FileLock> lock_;
  std::map<std::string, Trace, std::less<>> traces_;
  std::optional<AppendFile> file_;
  int unsynced_ = 0;
  Clock::time_point last_sync_ = Clock::now();
};

}  // namespace fathom

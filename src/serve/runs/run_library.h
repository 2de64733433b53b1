#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "serve/runs/run_record.h"
#include "serve/runs/run_summary.h"

namespace fathom {

// The run directories below some folders (or that they are), looked for again while it lives. From
// any thread.
class RunLibrary {
 public:
  // How deep runs are looked for, how many are listed, and how many entries of folders are looked
  // at. Hidden folders and links are passed over, and nothing is looked for inside a run.
  static constexpr int kDepth = 4;
  static constexpr size_t kMostRuns = 1000, kMostEntries = 50'000;
  // Runs whose numbers are held; of others, those that were asked for last.
  static constexpr size_t kMostOpen = 32;

  // rescan: folders are looked at again after so long. Throws Error for what is no folder.
  RunLibrary(std::vector<std::filesystem::path> folders, std::chrono::milliseconds rescan);

  // {"now": ..., "runs": [{"id": ..., "name": ..., "kind": ..., "state": ..., ...}]}, runs with the
  // newest lines first. now: seconds since 1970.
  std::string ListJson(double now);
  // By an id of the list; null when there is none.
  std::shared_ptr<RunRecord> Open(std::string_view id);
  // Its config.toml, at most kMostConfig bytes of it; nothing when there is no such run.
  std::optional<std::string> Config(std::string_view id);
  static constexpr size_t kMostConfig = 1 << 20;

 private:
  struct Run {
    std::filesystem::path directory;
    std::string name;
    RunSummary summary;
    // What the summary was made of.
    uint64_t size = 0;
    std::filesystem::file_time_type written = {};
  };
  void Rescan();
  void Look(const std::filesystem::path& folder, const std::string& name, int depth,
            size_t& entries, std::map<std::string, Run>& found);
  void BringUpToDate(Run& run);

  const std::vector<std::filesystem::path> folders_;
  const std::chrono::milliseconds rescan_;
  std::mutex mutex_;
  std::map<std::string, Run, std::less<>> runs_;  // by id
  bool scanned_ = false;
  std::chrono::steady_clock::time_point last_scan_;
  // The last one that was asked for first.
  std::list<std::pair<std::string, std::shared_ptr<RunRecord>>> open_;
};

}  // namespace fathom

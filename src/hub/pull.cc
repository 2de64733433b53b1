#include "hub/pull.h"

#include <fcntl.h>
#include <fmt/ranges.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <span>
#include <system_error>

#include "base/directories.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/progress.h"
#include "hub/download.h"
#include "hub/pull_plan.h"
#include "hub/pull_record.h"

namespace fathom {
namespace fs = std::filesystem;
namespace {

// One run at a time in a directory.
class DirectoryLock {
 public:
  explicit DirectoryLock(const fs::path& directory)
      : descriptor_(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    if (descriptor_ >= 0 && flock(descriptor_, LOCK_EX | LOCK_NB) == 0) return;
    if (descriptor_ >= 0) close(descriptor_);
    throw Error(directory.string(),
                descriptor_ < 0 ? "cannot be opened" : "another pull is writing there");
  }
  ~DirectoryLock() { close(descriptor_); }
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;

 private:
  int descriptor_;
};

void CheckFreeSpace(const fs::path& directory, int64_t needed) {
  struct statvfs info {};
  if (statvfs(directory.c_str(), &info) != 0)
    throw Error(directory.string(), "cannot be looked at");
  const double free = static_cast<double>(info.f_bavail) * static_cast<double>(info.f_frsize);
  if (static_cast<double>(needed) <= free) return;
  throw Error(directory.string(),
              fmt::format("not enough space: {} are still to download, {} are free",
                          FormatBytes(static_cast<double>(needed)), FormatBytes(free)),
              "free some space, or choose a directory on another disk");
}

std::string Names(const std::vector<std::string>& names) {
  constexpr size_t kMostShown = 8;
  const size_t shown = std::min(kMostShown, names.size());
  std::string text = fmt::format("{}", fmt::join(std::span(names).first(shown), ", "));
  if (shown < names.size()) text += fmt::format(" and {} more", names.size() - shown);
  return text;
}

PullPlan Plan(const PullOptions& options, const HubListing& listing, PullRecord& record) {
  Progress progress("verify", "bytes", 0, options.quiet);
  double done = 0;
  return PullPlan(listing, options.directory, options.verify, record, [&](int64_t bytes) {
    if (options.hub.http.cancelled()) throw Cancelled();
    progress.Update(done += static_cast<double>(bytes));
  });
}

}  // namespace

PullResult Pull(const PullOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  const InterruptGuard interrupt;
  const fs::path& directory = options.directory;
  PullResult result;
  try {
    HubClient hub(options.hub);
    const HubListing listing = options.selection.Choose(hub.List(), hub.name(), result.left_out);
    result.commit = listing.commit;
    spdlog::info("{} at {}: {} files, {}", hub.name(), listing.commit.substr(0, 12),
                 listing.files.size(), FormatBytes(static_cast<double>(listing.bytes())));
    if (!result.left_out.empty()) {
      spdlog::info("left out: {} (--include chooses files)", Names(result.left_out));
    }

    CreateDirectories(directory);
    const DirectoryLock lock(directory);
    PullRecord record = PullRecord::Load(directory);
    const PullPlan plan = Plan(options, listing, record);
    CheckFreeSpace(directory, plan.remaining);
    record.repository = hub.name();
    record.commit = listing.commit;
    record.Save(directory);

    const auto there = std::count(plan.download.begin(), plan.download.end(), false);
    if (there > 0) spdlog::info("there already: {} of {} files", there, listing.files.size());
    result.received = DownloadFiles(options.hub, listing, plan, directory, record,
                                    {.jobs = options.jobs, .quiet = options.quiet});
    for (size_t i = 0; i < listing.files.size(); ++i) {
      result.files.push_back({listing.files[i], plan.download[i]});
    }
  } catch (const Cancelled&) {
    throw Error(directory.string(), "interrupted",
                "what has arrived is kept; the same command goes on from there");
  }
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace fathom

#include "serve/runs/run_library.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/hash.h"
#include "serve/message/message.h"

namespace fathom {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

std::vector<fs::path> WithoutDots(std::vector<fs::path> folders) {
  for (fs::path& folder : folders) {
    if (!fs::is_directory(folder)) {
      throw Error(folder.string(), "is no folder", "give run directories, or folders of them");
    }
    folder = fs::canonical(folder);
  }
  return folders;
}

ordered_json Describe(const std::string& id, const std::string& name, const RunSummary& run,
                      double now) {
  const std::string_view state = run.State(now);
  ordered_json json = {
      {"id", id},         {"name", name},         {"kind", run.kind},       {"state", state},
      {"step", run.step}, {"tokens", run.tokens}, {"started", run.started}, {"time", run.time}};
  if (run.steps > 0) json["steps"] = run.steps;
  if (run.loss) json["loss"] = *run.loss;
  if (run.reward) json["reward"] = *run.reward;
  if (state == "running" && run.steps > run.step && run.seconds_per_step > 0)
    json["seconds_left"] = static_cast<double>(run.steps - run.step) * run.seconds_per_step;
  return json;
}

}  // namespace

RunLibrary::RunLibrary(std::vector<fs::path> folders, std::chrono::milliseconds rescan)
    : folders_(WithoutDots(std::move(folders))), rescan_(rescan) {}

void RunLibrary::Look(const fs::path& folder, const std::string& name, int depth, size_t& entries,
                      std::map<std::string, Run>& found) {
  std::error_code error;
  if (fs::is_regular_file(fs::symlink_status(folder / "log.jsonl", error))) {
    if (found.size() < kMostRuns)
      found.try_emplace(fmt::format("{:016x}", HashOf(folder.native())), Run{folder, name});
    return;
  }
  if (depth == 0) return;
  // What cannot be read, or goes while it is looked at, has no runs.
  std::vector<fs::path> inside;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    if (++entries > kMostEntries) break;
    const std::string file = entry->path().filename().native();
    std::error_code unknown;
    if (!file.starts_with('.') && fs::is_directory(entry->symlink_status(unknown)))
      inside.push_back(entry->path());
  }
  std::sort(inside.begin(), inside.end());
  for (const fs::path& path : inside) {
    const std::string file = path.filename().native();
    Look(path, name.empty() ? file : fmt::format("{}/{}", name, file), depth - 1, entries, found);
  }
}

void RunLibrary::Rescan() {
  const auto now = std::chrono::steady_clock::now();
  if (scanned_ && now - last_scan_ < rescan_) return;
  std::map<std::string, Run> found;
  size_t entries = 0;
  for (const fs::path& folder : folders_) {
    const std::string name = folder.filename().native();
    std::error_code error;
    const bool is_run = fs::exists(folder / "log.jsonl", error);
    Look(folder, is_run || folders_.size() > 1 ? name : "", kDepth, entries, found);
  }
  // Folders of the same name: their runs are told apart by where they are.
  std::map<std::string, int> names;
  for (const auto& [id, run] : found) ++names[run.name];
  std::erase_if(runs_, [&](const auto& run) { return found.count(run.first) == 0; });
  for (auto& [id, run] : found) {
    if (names[run.name] > 1) run.name = run.directory.native();
    const auto [known, is_new] = runs_.try_emplace(id, run);
    if (!is_new) known->second.name = run.name;
  }
  open_.remove_if([&](const auto& open) { return runs_.count(open.first) == 0; });
  scanned_ = true;
  last_scan_ = std::chrono::steady_clock::now();
}

void RunLibrary::BringUpToDate(Run& run) {
  std::error_code error;
  const fs::path log = run.directory / "log.jsonl";
  const uint64_t size = fs::file_size(log, error);
  const auto written = fs::last_write_time(log, error);
  if (error || (size == run.size && written == run.written)) return;
  run.summary = SummariseRun(run.directory);
  run.size = size;
  run.written = written;
}

std::string RunLibrary::ListJson(double now) {
  const std::lock_guard lock(mutex_);
  Rescan();
  std::vector<std::pair<const std::string, Run>*> runs;
  for (auto& run : runs_) {
    BringUpToDate(run.second);
    runs.push_back(&run);
  }
  std::stable_sort(runs.begin(), runs.end(), [](const auto* a, const auto* b) {
    return a->second.summary.time > b->second.summary.time;
  });
  ordered_json list = ordered_json::array();
  for (const auto* run : runs)
    list.push_back(Describe(run->first, run->second.name, run->second.summary, now));
  return JsonText({{"now", now}, {"runs", std::move(list)}}) + "\n";
}

std::shared_ptr<RunRecord> RunLibrary::Open(std::string_view id) {
  const std::lock_guard lock(mutex_);
  if (!scanned_) Rescan();
  const auto run = runs_.find(id);
  if (run == runs_.end()) return nullptr;
  const auto open =
      std::find_if(open_.begin(), open_.end(), [&](const auto& one) { return one.first == id; });
  if (open != open_.end()) {
    open_.splice(open_.begin(), open_, open);
  } else {
    open_.emplace_front(id, std::make_shared<RunRecord>(run->second.directory));
    if (open_.size() > kMostOpen) open_.pop_back();
  }
  return open_.front().second;
}

std::optional<std::string> RunLibrary::Config(std::string_view id) {
  const std::lock_guard lock(mutex_);
  if (!scanned_) Rescan();
  const auto run = runs_.find(id);
  if (run == runs_.end()) return std::nullopt;
  return ReadPart(run->second.directory / "config.toml", 0, kMostConfig);
}

}  // namespace fathom

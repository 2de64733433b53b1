#include "posttrain/distill/trace_log.h"

#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"

namespace fathom {

TraceLog::TraceLog(std::filesystem::path path) : path_(std::move(path)) {
  const bool exists = std::filesystem::exists(path_);
  lock_.emplace(path_);
  if (exists) Read();
  file_.emplace(path_, "free some space; the same command with --resume goes on from here");
  if (!exists) SyncDirectory(path_.parent_path());
}

TraceLog::~TraceLog() {
  try {
    Sync();
  } catch (const Error& error) {
    spdlog::warn("{}", error.what());
  }
}

void TraceLog::Read() {
  size_t end_of_lines = 0, size = 0;
  {
    const MappedFile file(path_);
    const std::string_view text = file.text();
    size = text.size();
    uint64_t number = 0, broken = 0;
    for (size_t end; (end = text.find('\n', end_of_lines)) != std::string_view::npos;
         end_of_lines = end + 1) {
      const std::string where = fmt::format("{}:{}", path_.string(), ++number);
      try {
        const JsonDocument document(text.substr(end_of_lines, end - end_of_lines), where);
        Trace trace = ParseTrace(document.root());
        std::string id = trace.id;
        traces_.try_emplace(std::move(id), std::move(trace));
      } catch (const Error& error) {
        if (++broken == 1) spdlog::warn("{}; it is passed over", error.what());
      }
    }
    if (broken > 1) spdlog::warn("{}: {} lines are no traces", path_.string(), broken);
  }
  if (end_of_lines < size) std::filesystem::resize_file(path_, end_of_lines);
}

const Trace* TraceLog::Find(const std::string& id) const {
  const auto found = traces_.find(id);
  return found == traces_.end() ? nullptr : &found->second;
}

void TraceLog::Add(Trace trace) {
  file_->Write(TraceLine(trace) + "\n");
  ++unsynced_;
  std::string id = trace.id;
  traces_.try_emplace(std::move(id), std::move(trace));
  if (unsynced_ >= kSyncLines) Sync();
  MaySync();
}

void TraceLog::Sync() {
  if (unsynced_ == 0) return;
  file_->Sync();
  unsynced_ = 0;
  last_sync_ = Clock::now();
}

void TraceLog::MaySync() {
  if (unsynced_ > 0 && Clock::now() - last_sync_ >= std::chrono::seconds(kSyncSeconds)) Sync();
}

}  // namespace fathom

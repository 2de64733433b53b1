#include "train/run_log.h"

#include <chrono>
#include <cmath>
#include <string>

#include "base/file.h"

namespace fathom {
namespace {

using nlohmann::ordered_json;

// The lines of steps up to `step`, and calls keep(object) for each; a last line that was cut off is
// dropped.
template <typename Keep>
std::string LinesUpTo(const std::filesystem::path& path, int64_t step, const Keep& keep) {
  std::string kept;
  if (step == 0 || !std::filesystem::exists(path)) return kept;
  const std::string text = ReadFile(path);
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin);
    if (end == std::string::npos) break;
    const std::string_view line(text.data() + begin, end + 1 - begin);
    begin = end + 1;
    const auto object = ordered_json::parse(line, nullptr, /*allow_exceptions=*/false);
    const auto number = object.is_object() ? object.find("step") : object.end();
    const bool ours = number != object.end() && number->is_number_integer();
    // A run that had ended at this step ends there once more, and one that was stopped goes on.
    const std::string kind = ours ? object.value("kind", "") : "";
    const bool is_end = kind == "interrupted" || (kind == "result" && *number == step);
    if (!ours || *number > step || is_end) continue;
    kept += line;
    keep(object);
  }
  return kept;
}

}  // namespace

RunLog::RunLog(const std::filesystem::path& path, int64_t step,
               const std::filesystem::path& event_directory) {
  if (!event_directory.empty()) events_.emplace(event_directory);
  const auto keep = [&](const ordered_json& line) {
    if (events_) events_->Add(line);
  };
  WriteFileAtomically(path, LinesUpTo(path, step, keep));
  file_.emplace(path, kFullDiskHint);
}

void RunLog::Write(const ordered_json& line) {
  file_->Write(line.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n");
  if (events_) events_->Add(line);
}

void RunLog::WriteNow(ordered_json line) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  line["time"] = std::round(std::chrono::duration<double>(now).count() * 1e3) / 1e3;
  Write(line);
}

void RunLog::WriteInterrupted(int64_t step) { WriteNow({{"kind", "interrupted"}, {"step", step}}); }

}  // namespace fathom

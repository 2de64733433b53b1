#include "train/run_log.h"

#include <cerrno>
#include <cstring>
#include <string>

#include "base/error.h"
#include "base/file.h"

namespace fathom {
namespace {

// The lines of steps up to `step`; a last line that was cut off is dropped.
std::string LinesUpTo(const std::filesystem::path& path, int64_t step) {
  std::string kept;
  if (step == 0 || !std::filesystem::exists(path)) return kept;
  const std::string text = ReadFile(path);
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin);
    if (end == std::string::npos) break;
    const std::string_view line(text.data() + begin, end + 1 - begin);
    const auto object = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    const auto number = object.is_object() ? object.find("step") : object.end();
    const bool ours = number != object.end() && number->is_number_integer();
    // A run that had ended at this step ends there once more.
    const bool again = ours && *number == step && object.value("kind", "") == "result";
    if (ours && *number <= step && !again) kept += line;
    begin = end + 1;
  }
  return kept;
}

}  // namespace

RunLog::RunLog(const std::filesystem::path& path, int64_t step) : path_(path) {
  WriteFileAtomically(path, LinesUpTo(path, step));
  file_ = std::fopen(path.c_str(), "a");
  if (file_ == nullptr)
    throw Error(path.string(), fmt::format("cannot be opened: {}", std::strerror(errno)));
}

RunLog::~RunLog() { std::fclose(file_); }

void RunLog::Write(const nlohmann::ordered_json& line) {
  const std::string text =
      line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  if (std::fwrite(text.data(), 1, text.size(), file_) != text.size() || std::fflush(file_) != 0) {
    throw Error(path_.string(), fmt::format("cannot be written: {}", std::strerror(errno)),
                "free some space; the run goes on from its last checkpoint with --resume");
  }
}

}  // namespace fathom

#pragma once

#include <spdlog/spdlog.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fathom {

enum class LogFormat : uint8_t {
  kText,
  kJson,  // an object a line: time (UTC), level, message, and what LogEvent adds
};

// Everything for a human goes to stderr: stdout belongs to results. Called by main(), and
// again by a command that knows `quiet`, which keeps warnings only.
void StartLogging(bool quiet, LogFormat format = LogFormat::kText);

// A value of an event: text, or a number as it is written.
struct LogField {
  LogField(std::string_view key, std::string_view text);
  LogField(std::string_view key, double number);
  LogField(std::string_view key, int64_t number);

  std::string key, value;
  bool is_text;
};
// What happened, with its values: "message key=value key=value", or members of the JSON object.
void LogEvent(spdlog::level::level_enum level, std::string_view message,
              const std::vector<LogField>& fields);

// "1.3 GiB", "512 B": binary units.
std::string FormatBytes(double bytes);
// "1.25 M", "671 B": decimal units, as parameters and tokens are counted.
std::string FormatCount(double count);
// "45 s", "3 min 20 s", "2 h 5 min".
std::string FormatDuration(double seconds);

}  // namespace fathom

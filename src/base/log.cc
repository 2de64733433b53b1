#include "base/log.h"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_color_sinks.h>

#include <array>
#include <chrono>
#include <cmath>
#include <ctime>
#include <memory>

namespace fathom {
namespace {

LogFormat log_format = LogFormat::kText;

// The fields of the event that this thread is logging; a line is formatted by the thread that logs.
thread_local const std::vector<LogField>* event_fields = nullptr;

void AppendJson(std::string_view text, spdlog::memory_buf_t& out) {
  const auto append = [&out](std::string_view part) {
    out.append(part.data(), part.data() + part.size());
  };
  out.push_back('"');
  for (const char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    if (static_cast<unsigned char>(c) < 0x20) {
      append(fmt::format("\\u{:04x}", static_cast<int>(c)));
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
}

class JsonFormatter : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& line, spdlog::memory_buf_t& out) override {
    const auto append = [&out](std::string_view part) {
      out.append(part.data(), part.data() + part.size());
    };
    const auto milliseconds =
        std::chrono::duration_cast<std::chrono::milliseconds>(line.time.time_since_epoch()).count();
    const std::time_t seconds = milliseconds / 1000;
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    char time[32];
    std::strftime(time, sizeof(time), "%Y-%m-%dT%H:%M:%S", &parts);
    append(fmt::format("{{\"time\":\"{}.{:03}Z\",\"level\":\"", time, milliseconds % 1000));
    const auto level = spdlog::level::to_string_view(line.level);
    append({level.data(), level.size()});
    append("\",\"message\":");
    AppendJson({line.payload.data(), line.payload.size()}, out);
    if (event_fields != nullptr) {
      for (const LogField& field : *event_fields) {
        out.push_back(',');
        AppendJson(field.key, out);
        out.push_back(':');
        if (field.is_text) {
          AppendJson(field.value, out);
        } else {
          append(field.value);
        }
      }
    }
    append("}\n");
  }
  std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<JsonFormatter>();
  }
};

}  // namespace

void StartLogging(bool quiet, LogFormat format) {
  auto logger = spdlog::get("fathom");
  if (logger == nullptr) logger = spdlog::stderr_color_mt("fathom");
  log_format = format;
  if (format == LogFormat::kJson) {
    logger->set_formatter(std::make_unique<JsonFormatter>());
  } else {
    logger->set_pattern("%^%l:%$ %v");
  }
  logger->set_level(quiet ? spdlog::level::warn : spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
}

LogField::LogField(std::string_view name, std::string_view text)
    : key(name), value(text), is_text(true) {}
LogField::LogField(std::string_view name, double number)
    : key(name), value(fmt::format("{:.6g}", number)), is_text(false) {}
LogField::LogField(std::string_view name, int64_t number)
    : key(name), value(std::to_string(number)), is_text(false) {}

void LogEvent(spdlog::level::level_enum level, std::string_view message,
              const std::vector<LogField>& fields) {
  if (log_format == LogFormat::kJson) {
    event_fields = &fields;
    spdlog::log(level, "{}", message);
    event_fields = nullptr;
    return;
  }
  std::string text(message);
  for (const LogField& field : fields) text += fmt::format(" {}={}", field.key, field.value);
  spdlog::log(level, "{}", text);
}

std::string FormatBytes(double bytes) {
  constexpr std::array<const char*, 6> kUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  size_t unit = 0;
  // From 1023.5 on, a number would be shown as 1024.
  while (bytes >= (unit == 0 ? 1024 : 1023.5) && unit + 1 < kUnits.size()) {
    bytes /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{:.0f} B", bytes)
                   : fmt::format("{:.{}f} {}", bytes, bytes < 99.95 ? 1 : 0, kUnits[unit]);
}

std::string FormatCount(double count) {
  constexpr std::array<const char*, 5> kUnits = {"", " K", " M", " B", " T"};
  size_t unit = 0;
  // From 999.5 on, a number would be shown as 1000.
  while (count >= 999.5 && unit + 1 < kUnits.size()) {
    count /= 1000;
    ++unit;
  }
  if (unit == 0) return fmt::format("{:.0f}", count);
  return fmt::format("{:.{}f}{}", count, count < 9.995 ? 2 : count < 99.95 ? 1 : 0, kUnits[unit]);
}

std::string FormatDuration(double seconds) {
  constexpr double kLongest = 1e12;
  if (!(seconds >= 0 && seconds < kLongest)) return "?";
  if (seconds > 0 && seconds < 0.00995) return fmt::format("{:.1f} ms", 1e3 * seconds);
  if (seconds > 0 && seconds < 0.0995) return fmt::format("{:.0f} ms", 1e3 * seconds);
  if (seconds < 9.95) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<long long>(std::llround(seconds));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
}

}  // namespace fathom

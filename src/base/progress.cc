#include "base/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>

#include "base/log.h"

namespace fathom {
namespace {

using std::chrono::duration;
using std::chrono::steady_clock;

constexpr double kSilentSeconds = 2;
constexpr double kTerminalInterval = 0.1;
constexpr double kLogInterval = 15;

std::string FormatAmount(double amount, std::string_view unit) {
  return unit == "bytes" ? FormatBytes(amount) : FormatCount(amount);
}

size_t TerminalWidth() {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

}  // namespace

std::string FitPieces(std::string line, size_t width) {
  while (line.size() > width) {
    const size_t piece = line.rfind(", ");
    line.resize(piece == std::string::npos ? width : piece);
  }
  return line;
}

Progress::Progress(std::string_view label, std::string_view unit, double total, bool quiet)
    : label_(label),
      unit_(unit),
      total_(total),
      quiet_(quiet),
      terminal_(isatty(STDERR_FILENO) != 0),
      start_(steady_clock::now()),
      last_draw_(start_) {}

Progress::~Progress() { Clear(); }

void Progress::Update(double done, std::string_view note) {
  if (quiet_) return;
  const auto now = steady_clock::now();
  const double elapsed = duration<double>(now - start_).count();
  const double since_draw = duration<double>(now - last_draw_).count();
  if (elapsed < kSilentSeconds || since_draw < (terminal_ ? kTerminalInterval : kLogInterval))
    return;
  last_draw_ = now;

  const double rate = done / elapsed;
  std::string line = fmt::format("{}: ", label_);
  if (total_ > 0) {
    line += fmt::format("{:.0f}% of {}", 100 * done / total_, FormatAmount(total_, unit_));
  } else {
    line += FormatAmount(done, unit_);
  }
  if (unit_ != "bytes") line += fmt::format(" {}", unit_);
  // What matters most comes first: a narrow terminal shows no more.
  if (total_ > 0 && rate > 0)
    line += fmt::format(", {} left", FormatDuration((total_ - done) / rate));
  if (!note.empty()) line += fmt::format(", {}", note);
  line += fmt::format(", {}/s", FormatAmount(rate, unit_));

  if (terminal_) {
    std::fprintf(stderr, "\r\x1b[K%s", FitPieces(line, TerminalWidth() - 1).c_str());
    drawn_ = true;
  } else {
    std::fprintf(stderr, "%s\n", line.c_str());
  }
  std::fflush(stderr);
}

void Progress::Clear() {
  if (!drawn_) return;
  std::fprintf(stderr, "\r\x1b[K");
  std::fflush(stderr);
  drawn_ = false;
}

}  // namespace fathom

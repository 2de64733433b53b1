#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

namespace fathom {

// As many of a line's pieces ("a, b, c"), from its front, as `width` characters hold; the first
// one is cut where it alone does not fit.
std::string FitPieces(std::string line, size_t width);

// A progress line with rate and time left for work that may be long. Shows nothing for the first
// two seconds. On a terminal it redraws one line; elsewhere (a log file) it prints a line now and
// then. Never more than 10 draws a second.
class Progress {
 public:
  // unit: "tokens", "bytes" (shown as MiB), ... total 0: unknown. quiet: shows nothing.
  Progress(std::string_view label, std::string_view unit, double total, bool quiet = false);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // done: absolute, in units. note: what else to show ("loss 3.21").
  void Update(double done, std::string_view note = {});
  // Takes the line away, so that something else can be printed; the next Update draws it again.
  void Clear();

 private:
  std::string label_, unit_;
  double total_;
  bool quiet_, terminal_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point start_, last_draw_;
};

}  // namespace fathom

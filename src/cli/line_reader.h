#pragma once

#include <string>

namespace fathom {

// The lines of stdin, while an InterruptGuard lives: a signal is noticed whenever it comes, before,
// while or after somebody types.
class LineReader {
 public:
  enum class Result { kLine, kEnd, kInterrupted };

  LineReader();
  ~LineReader();
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;

  // `line` without its newline; the last one may lack it. kInterrupted gives up what was begun.
  // Throws Error("stdin", ...) when reading fails.
  Result Next(std::string& line);

 private:
  int descriptor_;
  std::string buffer_;  // read, and not given yet
};

}  // namespace fathom

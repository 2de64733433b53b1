#pragma once

#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>

namespace fathom {

// A file that a run goes on writing: each piece is in it as soon as it is written, so that somebody
// who watches sees it, and a kill loses none.
class AppendFile {
 public:
  // Goes on at the end of what is there. hint: what to do when the disk is full. Throws Error when
  // it cannot be opened.
  AppendFile(std::filesystem::path path, std::string hint);
  ~AppendFile();
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;

  // Throws Error when the piece cannot be written (a full disk).
  void Write(std::string_view piece);
  // Until what was written survives a power cut, too. Throws Error when it cannot.
  void Sync();

 private:
  std::filesystem::path path_;
  std::string hint_;
  std::FILE* file_;
};

}  // namespace fathom

#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace fathom {

// Where training text comes from, as a user writes it.
struct SourceSpec {
  // A file, or a folder that is searched with everything below it.
  std::filesystem::path path;
  // What reports and errors call it; the path when empty.
  std::string name{};
  // Its share of the training rows, relative to the other sources.
  double weight = 1;
  // The file names taken, by their end; "" stands for names without a dot. Files that end in
  // .jsonl or .jsonl.zst hold one document a line, all others are one document of plain text.
  std::vector<std::string> extensions = {".txt", ".jsonl", ".jsonl.zst"};
  // The key of a JSONL line that holds its text.
  std::string text_field = "text";
  // Skips (and counts) JSONL lines that are broken or lack the text, instead of stopping.
  bool skip_bad_lines = false;
  // Where a plain text file is cut into documents ("<|endoftext|>"); empty: the file is one.
  std::string document_separator{};
  // Takes the licence comment off the front of C-like source files (license_header.h).
  bool strip_license_header = false;

  std::string Name() const { return name.empty() ? path.string() : name; }
};

enum class FileKind { kText, kJsonLines, kCompressedJsonLines };

struct SourceFile {
  std::filesystem::path path;
  // Relative to the source, with forward slashes: what order and held-out choice depend on.
  std::string name{};
  FileKind kind = FileKind::kText;
  uint64_t size = 0;
  // Nanoseconds since the epoch.
  int64_t modified = 0;
};

// The files of a source, sorted by name (bytewise), so the same on every machine. Symbolic links
// are followed; a file or folder that is reached twice, through links or a loop of them, is taken
// once, under the name met first in sorted order. Dangling links, devices and pipes are passed
// over. Throws Error when the path does not exist or cannot be read, when a single file has an
// extension that is not in the list, and when a folder holds no file to take.
std::vector<SourceFile> ListFiles(const SourceSpec& spec);

}  // namespace fathom

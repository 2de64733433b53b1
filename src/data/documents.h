#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/function_ref.h"
#include "data/source.h"

namespace fathom {

// One text that training treats as a whole. Its bytes are passed on as they are, valid UTF-8 or
// not (the tokenizer replaces what is not).
struct Document {
  std::string_view text;
  // "bits/stl_map.h", "part-3.jsonl:17" (the line), "stories.txt#4" (the piece, from 0): unique
  // within its source and stable as long as the file is.
  std::string_view name;
};

struct ReadStatistics {
  uint64_t documents = 0;
  // Documents with nothing but white space; not passed on.
  uint64_t empty = 0;
  // JSONL lines skipped because they were broken or lacked the text.
  uint64_t bad_lines = 0;
  // Text files that are not UTF-8, and the first one's name.
  uint64_t not_utf8 = 0;
  std::string first_not_utf8;
  // Bytes of the files read so far (compressed ones, where they are).
  uint64_t file_bytes = 0;
};

// Calls visit(document, statistics so far) for every document of the files, in the order of the
// files and of the places within them. A document is valid during its call only. Throws Error for a
// file that cannot be read, and, unless the source says to skip them, for bad JSONL lines
// ("data.jsonl:17: ...").
ReadStatistics ForEachDocument(
    const SourceSpec& spec, const std::vector<SourceFile>& files,
    FunctionRef<void(const Document& document, const ReadStatistics& so_far)> visit);

// Whether a document belongs to the held-out part: a stable choice by its name and the seed alone,
// true for about `fraction` of all names. Adding or removing documents moves no other one.
bool IsHeldOut(std::string_view document_name, uint64_t seed, double fraction);

}  // namespace fathom

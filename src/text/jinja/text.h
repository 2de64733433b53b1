#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fathom::jinja {

// A string that knows, byte by byte, who wrote it: the template and the model's own files
// (trusted), or whoever takes part in the conversation (not trusted). What is made of strings keeps
// that: a piece of a user's message stays the user's after any number of slices, joins and
// replacements. Only trusted bytes may become special tokens. Always well-formed UTF-8.
class Text {
 public:
  struct Run {
    size_t end;  // one past its last byte; it begins where the run before it ends
    bool trusted;
  };

  Text() = default;
  Text(std::string_view bytes, bool trusted) { Append(bytes, trusted); }

  const std::string& bytes() const { return bytes_; }
  size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }
  // Without empty runs; neighbours differ in trust.
  const std::vector<Run>& runs() const { return runs_; }

  void Append(std::string_view bytes, bool trusted);
  void Append(const Text& other) { Append(other, 0, other.size()); }
  // Bytes [begin, end) of the other.
  void Append(const Text& other, size_t begin, size_t end);
  Text Slice(size_t begin, size_t end) const;
  bool TrustedAt(size_t position) const { return FindRun(position)->trusted; }

  // Calls visit(piece, trusted) for every run in order.
  template <typename Visit>
  void ForEachRun(Visit visit) const {
    size_t begin = 0;
    for (const Run& run : runs_) {
      visit(std::string_view(bytes_).substr(begin, run.end - begin), run.trusted);
      begin = run.end;
    }
  }

 private:
  std::vector<Run>::const_iterator FindRun(size_t position) const;

  std::string bytes_;
  std::vector<Run> runs_;
};

}  // namespace fathom::jinja

#include "text/jinja/text.h"

#include <algorithm>

namespace fathom::jinja {

void Text::Append(std::string_view bytes, bool trusted) {
  if (bytes.empty()) return;
  bytes_ += bytes;
  if (!runs_.empty() && runs_.back().trusted == trusted) {
    runs_.back().end = bytes_.size();
  } else {
    runs_.push_back({bytes_.size(), trusted});
  }
}

void Text::Append(const Text& other, size_t begin, size_t end) {
  if (begin >= end) return;
  for (auto run = other.FindRun(begin); begin < end; ++run) {
    const size_t stop = std::min(end, run->end);
    Append(std::string_view(other.bytes_).substr(begin, stop - begin), run->trusted);
    begin = stop;
  }
}

Text Text::Slice(size_t begin, size_t end) const {
  Text slice;
  slice.Append(*this, begin, end);
  return slice;
}

std::vector<Text::Run>::const_iterator Text::FindRun(size_t position) const {
  return std::upper_bound(runs_.begin(), runs_.end(), position,
                          [](size_t value, const Run& run) { return value < run.end; });
}

}  // namespace fathom::jinja

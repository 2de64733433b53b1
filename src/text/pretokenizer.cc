#include "text/pretokenizer.h"

#include <cstdint>
#include <utility>

#include "base/error.h"

namespace fathom {

PreTokenizer::PreTokenizer(std::vector<std::string> patterns, std::string_view where)
    : patterns_(std::move(patterns)) {
  constexpr size_t kMaxSteps = 64;  // each step is a level of recursion
  if (patterns_.size() > kMaxSteps) {
    throw Error(where, fmt::format("{} Split steps; at most {} are supported", patterns_.size(),
                                   kMaxSteps));
  }
  steps_.reserve(patterns_.size());
  for (const std::string& pattern : patterns_) steps_.emplace_back(pattern, where);
}

PreTokenizer PreTokenizer::DeepSeekV3() {
  return PreTokenizer({
      R"(\p{N}{1,3})",
      "[\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF]+",
      R"re([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^)re"
      "\r\n"
      R"re(\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[)re"
      "\r\n"
      R"re(]*|\s*[)re"
      "\r\n"
      R"re(]+|\s+(?!\S)|\s+)re",
  });
}

void PreTokenizer::Split(std::string_view text,
                         FunctionRef<void(std::string_view piece)> emit) const {
  if (!text.empty()) SplitFrom(0, text, emit);
}

void PreTokenizer::SplitFrom(size_t step, std::string_view text,
                             FunctionRef<void(std::string_view piece)> emit) const {
  if (step == steps_.size()) return emit(text);
  const auto pass_on = [&](size_t begin, size_t end) {
    if (begin == end) return;
    const std::string_view piece = text.substr(begin, end - begin);
    if (step + 1 == steps_.size()) {
      emit(piece);
    } else {
      SplitFrom(step + 1, piece, emit);
    }
  };

  size_t done = 0;  // everything before it has been passed on
  size_t start = 0;
  bool matched = false;  // a match ended at `done`
  while (start <= text.size()) {
    const auto match = steps_[step].Find(text, start);
    if (!match) break;
    if (match->begin == match->end) {
      // An empty match cuts, except right behind another match; the search goes on one character
      // later.
      if (!(matched && match->begin == done)) {
        pass_on(done, match->begin);
        done = match->begin;
        matched = true;
      }
      start = match->end + 1;
      while (start < text.size() && (static_cast<uint8_t>(text[start]) & 0xC0) == 0x80) ++start;
      continue;
    }
    pass_on(done, match->begin);
    pass_on(match->begin, match->end);
    done = start = match->end;
    matched = true;
  }
  pass_on(done, text.size());
}

}  // namespace fathom

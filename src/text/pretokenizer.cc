#include "text/pretokenizer.h"

#include <cstdint>
#include <utility>

#include "base/error.h"
#include "text/regex.h"
#include "text/run_matcher.h"
#include "text/scanners.h"

namespace fathom {
namespace {

constexpr size_t kMaxSteps = 64;  // each step is a level of recursion

std::shared_ptr<const Matcher> MakeMatcher(const PreTokenizerStep& step, std::string_view where) {
  switch (step.kind) {
    case PreTokenizerStep::Kind::kLiteral:
      return MakeLiteral(step.pattern);
    case PreTokenizerStep::Kind::kDigits:
      return MakeClassRun(kNumericStep, {.at_most = 1});
    case PreTokenizerStep::Kind::kPunctuation:
      return MakeClassRun(kPunctuationStep, {.at_most = 1});
    case PreTokenizerStep::Kind::kWhitespace:
      return MakeWordsAndSigns();
    case PreTokenizerStep::Kind::kWhitespaceSplit:
      return MakeClassRun(kSpace, {.at_most = 1});
    case PreTokenizerStep::Kind::kRegex:
      break;
  }
  if (auto scanner = MakeScanner(step.pattern)) return scanner;
  return std::make_shared<Regex>(step.pattern, where);
}

// Calls visit(begin, end, is_match) for the matches in `text` and what lies between them, in order.
// An empty match counts, except right behind another match; the search goes on one character later.
template <typename Visit>
void ForEachMatch(const Matcher& matcher, std::string_view text, Visit visit) {
  size_t done = 0;  // everything before it has been visited
  size_t start = 0;
  bool matched = false;  // a match ended at `done`
  while (start <= text.size()) {
    const auto match = matcher.Find(text, start);
    if (!match) break;
    if (match->begin == match->end && matched && match->begin == done) {
      start = match->end + 1;
      while (start < text.size() && (static_cast<uint8_t>(text[start]) & 0xC0) == 0x80) ++start;
      continue;
    }
    if (match->begin > done) visit(done, match->begin, false);
    visit(match->begin, match->end, true);
    done = start = match->end;
    matched = true;
  }
  if (done < text.size()) visit(done, text.size(), false);
}

// Calls emit(begin, end) for the pieces of `text`; some can be empty.
template <typename Emit>
void CutText(const Matcher& matcher, SplitBehavior behavior, bool invert, std::string_view text,
             Emit emit) {
  // A piece that what follows may still be merged into.
  struct {
    bool exists = false;
    size_t begin = 0, end = 0;
  } held;
  bool previous_match = false;
  const auto hold = [&](size_t begin, size_t end) {
    if (held.exists) emit(held.begin, held.end);
    held = {true, begin, end};
  };
  ForEachMatch(matcher, text, [&](size_t begin, size_t end, bool found) {
    const bool match = found != invert;
    switch (behavior) {
      case SplitBehavior::kIsolated:
        emit(begin, end);
        return;
      case SplitBehavior::kRemoved:
        if (!match) emit(begin, end);
        return;
      case SplitBehavior::kMergedWithPrevious:
        if (match && !previous_match && held.exists) {
          held.end = end;
        } else {
          hold(begin, end);
        }
        break;
      case SplitBehavior::kMergedWithNext:
        if (!match && previous_match && held.exists) {
          held.end = end;
        } else {
          hold(begin, end);
        }
        break;
      case SplitBehavior::kContiguous:
        if (match == previous_match && held.exists) {
          held.end = end;
        } else {
          hold(begin, end);
        }
        break;
    }
    previous_match = match;
  });
  if (held.exists) emit(held.begin, held.end);
}

}  // namespace

PreTokenizerStep PreTokenizerStep::Regex(std::string_view pattern) {
  return {Kind::kRegex, std::string(pattern), SplitBehavior::kIsolated, false};
}

PreTokenizerStep PreTokenizerStep::Digits(bool individual) {
  return {Kind::kDigits, "", individual ? SplitBehavior::kIsolated : SplitBehavior::kContiguous,
          false};
}

PreTokenizer::PreTokenizer(std::vector<PreTokenizerStep> steps, ByteLevelStep byte_level,
                           std::string_view where)
    : steps_(std::move(steps)), byte_level_(byte_level) {
  if (steps_.size() > kMaxSteps) {
    throw Error(where, fmt::format("{} steps; at most {} are supported", steps_.size(), kMaxSteps));
  }
  for (const PreTokenizerStep& step : steps_) {
    cuts_.push_back({MakeMatcher(step, where), step.behavior, step.invert});
  }
  if (byte_level_.use_regex) {
    cuts_.push_back({MakeScanner(kGpt2Pattern), SplitBehavior::kIsolated, false});
  }
}

PreTokenizer PreTokenizer::DeepSeekV3() {
  return PreTokenizer({PreTokenizerStep::Regex(kDeepSeekV3Numbers),
                       PreTokenizerStep::Regex(kDeepSeekV3Han),
                       PreTokenizerStep::Regex(kDeepSeekV3Words)});
}

PreTokenizer PreTokenizer::DeepSeekV2() {
  return PreTokenizer(
      {PreTokenizerStep::Regex(kDeepSeekV2Newline), PreTokenizerStep::Regex(kDeepSeekV2Letters),
       PreTokenizerStep::Regex(kDeepSeekV2Signs), PreTokenizerStep::Regex(kDeepSeekV2LineEnd),
       PreTokenizerStep::Regex(kDeepSeekV2Han), PreTokenizerStep::Digits(true)});
}

PreTokenizer PreTokenizer::DeepSeekCoder() {
  return PreTokenizer({PreTokenizerStep::Regex(kDeepSeekV2Newline),
                       PreTokenizerStep::Regex(kDeepSeekCoderLetters),
                       PreTokenizerStep::Regex(kDeepSeekCoderSigns),
                       PreTokenizerStep::Regex(kDeepSeekV2Han), PreTokenizerStep::Digits(true)});
}

PreTokenizer PreTokenizer::Qwen2() {
  return PreTokenizer({PreTokenizerStep::Regex(kQwen2Pattern)});
}

PreTokenizer PreTokenizer::Llama3() {
  return PreTokenizer({PreTokenizerStep::Regex(kLlama3Pattern)});
}

PreTokenizer PreTokenizer::Gpt2() { return PreTokenizer({}, {.use_regex = true}); }

void PreTokenizer::Split(std::string_view text,
                         FunctionRef<void(std::string_view piece)> emit) const {
  if (!text.empty()) SplitFrom(0, text, emit);
}

void PreTokenizer::SplitFrom(size_t cut, std::string_view text,
                             FunctionRef<void(std::string_view piece)> emit) const {
  std::string with_space;
  if (cut == steps_.size() && byte_level_.add_prefix_space && text[0] != ' ') {
    with_space.reserve(text.size() + 1);
    with_space.append(1, ' ').append(text);
    text = with_space;
  }
  if (cut == cuts_.size()) return emit(text);
  const Cut& here = cuts_[cut];
  // The last cut makes most of the pieces: what it makes goes straight out.
  const bool last =
      cut + 1 == cuts_.size() && !(cut + 1 == steps_.size() && byte_level_.add_prefix_space);
  CutText(*here.matcher, here.behavior, here.invert, text, [&](size_t begin, size_t end) {
    if (begin == end) return;
    const std::string_view piece = text.substr(begin, end - begin);
    if (last) {
      emit(piece);
    } else {
      SplitFrom(cut + 1, piece, emit);
    }
  });
}

}  // namespace fathom

#include "posttrain/distill/contamination.h"

#include <algorithm>

#include "base/hash.h"
#include "posttrain/distill/text_words.h"

namespace fathom {

uint64_t Contamination::HashOfAll(std::span<const uint64_t> words) {
  return HashOf({reinterpret_cast<const char*>(words.data()), words.size_bytes()});
}

void Contamination::AddQuestion(std::string_view question) {
  const std::vector<uint64_t> words = WordHashes(question);
  // The same question in two files is one.
  if (words.empty() || !whole_.insert(HashOfAll(words)).second) return;
  const size_t length = std::min(words.size(), words_);
  if (length < std::min(kLeastWords, words_)) return;
  const std::vector<uint64_t> runs = NgramHashes(words, length);
  for (const uint64_t run : std::unordered_set<uint64_t>(runs.begin(), runs.end()))
    ++runs_[length][run];
}

bool Contamination::IsInQuestion(std::span<const uint64_t> words) const {
  return whole_.contains(HashOfAll(words)) || IsInText(words);
}

bool Contamination::IsInText(std::span<const uint64_t> words) const {
  return std::any_of(runs_.begin(), runs_.end(), [&](const auto& of_length) {
    const auto& [length, runs] = of_length;
    for (const uint64_t run : NgramHashes(words, length)) {
      const auto found = runs.find(run);
      if (found != runs.end() && found->second <= kMostQuestions) return true;
    }
    return false;
  });
}

}  // namespace fathom

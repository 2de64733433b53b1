#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

namespace fathom {

// What a model is evaluated with, to find it in what another is to learn from: by runs of words
// that both have, as GPT-3's training data was searched (Brown et al., arXiv 2005.14165, appendix
// C: 13 words, without case and punctuation).
//
// A question of fewer words, 8 at least, is looked for as a whole; of even fewer, it is found only
// in a question that has the very same words, because short runs are in every text. A run that more
// than kMostQuestions evaluation questions have is wording ("answer with the letter of the right
// choice"), and tells nothing. Numbers count as they are (WordHashes): a problem told in the same
// words with other numbers is another problem.
class Contamination {
 public:
  static constexpr size_t kLeastWords = 8;
  static constexpr int kMostQuestions = 10;

  // words: of a run; where that is less than kLeastWords, it is the least, too.
  explicit Contamination(size_t words) : words_(words) {}

  void AddQuestion(std::string_view question);

  // Whether a question, as WordHashes, has words of an evaluation question, or is one.
  bool IsInQuestion(std::span<const uint64_t> words) const;
  // Whether any other text has.
  bool IsInText(std::span<const uint64_t> words) const;
  bool empty() const { return whole_.empty(); }

 private:
  static uint64_t HashOfAll(std::span<const uint64_t> words);

  size_t words_;
  // By the length of the runs: in how many questions each is.
  std::map<size_t, std::unordered_map<uint64_t, int>> runs_;
  std::unordered_set<uint64_t> whole_;  // questions
};

}  // namespace fathom

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/function_ref.h"
#include "text/regex.h"

namespace fathom {

// Cuts text into the words inside which BPE may merge: a sequence of Split steps with behaviour
// Isolated, each applied to every piece that the one before it left. Matches and what lies between
// them become pieces; nothing is lost. Bytes then stand for themselves (ByteLevel), which needs no
// step of its own here: vocabularies are kept as bytes.
//
// Safe to use from several threads at once.
class PreTokenizer {
 public:
  // patterns: one a Split step, in order. Throws Error (with `where`) when one does not compile.
  explicit PreTokenizer(std::vector<std::string> patterns,
                        std::string_view where = "pre-tokeniser");

  // The three Splits of DeepSeek-V3's tokenizer.json: numbers in groups of up to three digits, runs
  // of Chinese and Japanese, and the rest into words, punctuation and white space. What Fathom
  // trains uses it.
  static PreTokenizer DeepSeekV3();

  const std::vector<std::string>& patterns() const { return patterns_; }

  // Calls emit(piece) for every piece in order; together they are `text`, which has to be valid
  // UTF-8. No piece is empty.
  void Split(std::string_view text, FunctionRef<void(std::string_view piece)> emit) const;

 private:
  void SplitFrom(size_t step, std::string_view text,
                 FunctionRef<void(std::string_view piece)> emit) const;

  std::vector<std::string> patterns_;
  std::vector<Regex> steps_;
};

}  // namespace fathom

#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/function_ref.h"
#include "text/matcher.h"

namespace fathom {

// What becomes of the matches of a step and of what lies between them.
enum class SplitBehavior {
  kRemoved,             // matches are dropped
  kIsolated,            // every match is a piece
  kMergedWithPrevious,  // a match ends the piece before it
  kMergedWithNext,      // a match begins the piece after it
  kContiguous,          // matches that touch are one piece
};

// One step of a pre-tokeniser, under the name that tokenizer.json gives it.
struct PreTokenizerStep {
  enum class Kind {
    kRegex,            // Split with a Regex: `pattern`
    kLiteral,          // Split with a String: `pattern`
    kDigits,           // matches are numeric characters; individual_digits: kIsolated
    kPunctuation,      // matches are punctuation characters
    kWhitespace,       // matches are words and runs of signs; what is between is dropped
    kWhitespaceSplit,  // matches are white space, and dropped
  };
  Kind kind = Kind::kRegex;
  std::string pattern;
  SplitBehavior behavior = SplitBehavior::kIsolated;
  bool invert = false;  // what is between matches is a match and the other way round

  bool operator==(const PreTokenizerStep&) const = default;

  // A Split at a regular expression with every match isolated, as most files have it.
  static PreTokenizerStep Regex(std::string_view pattern);
  // Digits.
  static PreTokenizerStep Digits(bool individual);
};

// The step that comes last: bytes stand for themselves. That needs no code here, since
// vocabularies are kept as bytes, but it may change the pieces first.
struct ByteLevelStep {
  bool add_prefix_space = false;  // a space is put before a piece that does not begin with one
  bool use_regex = false;         // then the piece is cut into words with GPT-2's pattern

  bool operator==(const ByteLevelStep&) const = default;
};

// Cuts text into the words inside which BPE may merge: a sequence of steps, each applied to every
// piece that the one before it left.
//
// Known patterns are found by scanners written by hand (scanners.h), all others by PCRE2. Safe to
// use from several threads at once.
class PreTokenizer {
 public:
  // Throws Error (with `where`) when a pattern does not compile.
  explicit PreTokenizer(std::vector<PreTokenizerStep> steps, ByteLevelStep byte_level = {},
                        std::string_view where = "pre-tokeniser");

  // What the families' tokenizer.json files have. What Fathom trains uses DeepSeek-V3's.
  static PreTokenizer DeepSeekV3();
  static PreTokenizer DeepSeekV2();  // and DeepSeek-LLM
  static PreTokenizer DeepSeekCoder();
  static PreTokenizer Qwen2();
  static PreTokenizer Llama3();
  static PreTokenizer Gpt2();

  const std::vector<PreTokenizerStep>& steps() const { return steps_; }
  const ByteLevelStep& byte_level() const { return byte_level_; }

  // Calls emit(piece) for every piece in order. `text` has to be valid UTF-8. No piece is empty; a
  // piece is valid during the call (with add_prefix_space it need not lie in `text`).
  void Split(std::string_view text, FunctionRef<void(std::string_view piece)> emit) const;

 private:
  // A step with what finds its matches.
  struct Cut {
    std::shared_ptr<const Matcher> matcher;
    SplitBehavior behavior;
    bool invert;
  };

  void SplitFrom(size_t cut, std::string_view text,
                 FunctionRef<void(std::string_view piece)> emit) const;

  std::vector<PreTokenizerStep> steps_;
  ByteLevelStep byte_level_;
  std::vector<Cut> cuts_;  // those of steps_, then ByteLevel's words
};

}  // namespace fathom

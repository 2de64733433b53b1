#pragma once

#include <optional>
#include <string_view>

namespace fathom {

// How a language is written. Languages that share their letters cannot be told apart: "en" is
// every language in Latin letters.
enum class Script {
  kLatin,
  kHan,
  kJapanese,
  kHangul,
  kCyrillic,
  kGreek,
  kArabic,
  kHebrew,
  kDevanagari,
  kThai
};

// The script of a language by its code ("en", "zh", "ja", "ru", ...); nothing for others.
std::optional<Script> ScriptOfLanguage(std::string_view code);

// The share of words written in the script among all words, as R1's language reward has it
// (target-language words / words of the thoughts); 1 where there are no words. A word is a run of
// letters of one script; where words are not parted (Han, Kana, Thai), every second character
// counts as one, since words there have two on average. Digits, single letters (variables) and
// LaTeX's commands are no words. The text may be any bytes.
double ShareOfWords(std::string_view text, Script script);

}  // namespace fathom

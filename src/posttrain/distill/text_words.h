#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace fathom {

// The words of a text, hashed, as texts are compared by: case, white space, line breaks and
// punctuation do not count. A word is a run of letters and digits; where words are not parted (Han,
// Kana, Thai) each character is one. Signs of arithmetic are words, so that "3 + 4" is not "3 * 4":
// mathematical symbols always, - * / ^ % ( ) where they stand beside a digit. Numbers stay as they
// are (another number is another problem), but for commas between their digits. Runs of more than
// 16 characters are cut there, so that what repeats without spaces repeats in words. The text may
// be any bytes.
std::vector<uint64_t> WordHashes(std::string_view text);

// A hash of each run of n words, in order; none for fewer words.
std::vector<uint64_t> NgramHashes(std::span<const uint64_t> words, size_t n);

// The share of runs of n words that came before in the text: 0 where none repeats, nearly 1 for a
// text without end. 0 for fewer than n words.
double RepeatedShare(std::span<const uint64_t> words, size_t n);

}  // namespace fathom

#include "posttrain/distill/text_words.h"

#include <utf8proc.h>

#include <string>
#include <unordered_set>

#include "base/hash.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace fathom {
namespace {

constexpr size_t kLongestWord = 16;  // in characters

struct Range {
  char32_t first, last;
};
// Scripts that part no words: Thai and Lao, Kana, Han (The Unicode Standard, Blocks.txt).
constexpr Range kWithoutSpaces[] = {{0x0E00, 0x0EFF},  {0x3040, 0x30FF}, {0x31F0, 0x31FF},
                                    {0x3400, 0x9FFF},  {0xF900, 0xFAFF}, {0xFF66, 0xFF9D},
                                    {0x20000, 0x323AF}};

bool IsWithoutSpaces(char32_t c) {
  for (const Range& range : kWithoutSpaces) {
    if (c >= range.first && c <= range.last) return true;
  }
  return false;
}

bool IsDigit(char32_t c) { return c >= U'0' && c <= U'9'; }

// Signs that are arithmetic beside a digit and punctuation elsewhere.
bool MayBeArithmetic(char32_t c) {
  return std::u32string_view(U"-*/^%()").find(c) != std::u32string_view::npos;
}

std::u32string CodePoints(std::string_view original) {
  std::string valid;
  std::string_view text = original;
  if (!IsValidUtf8(text)) text = valid = ReplaceInvalidUtf8(text);
  std::u32string points;
  points.reserve(text.size());
  const char* p = text.data();
  const char* const end = p + text.size();
  while (p < end) points.push_back(NextCodePoint(p));
  return points;
}

class WordReader {
 public:
  explicit WordReader(std::u32string text) : text_(std::move(text)) {}

  std::vector<uint64_t> Read() {
    for (size_t i = 0; i < text_.size(); ++i) {
      const char32_t c = text_[i];
      const uint16_t kind = classes_(c);
      if (IsWithoutSpaces(c)) {
        End();
        word_.push_back(c);
        End();
      } else if ((kind & (kLetter | kMark | kNumber)) != 0) {
        word_.push_back(static_cast<char32_t>(utf8proc_tolower(static_cast<int32_t>(c))));
        if (word_.size() == kLongestWord) End();
      } else if (c == U',' && IsDigit(At(i, -1)) && IsDigit(At(i, 1))) {
        continue;  // 1,000 is 1000
      } else {
        End();
        const bool is_sign =
            (kind & kSymbol) != 0
                ? c != U'`' && c != U'\uFFFD'
                : MayBeArithmetic(c) && (IsDigit(Beside(i, -1)) || IsDigit(Beside(i, 1)));
        if (!is_sign) continue;
        word_.push_back(c);
        End();
      }
    }
    End();
    return std::move(words_);
  }

 private:
  char32_t At(size_t i, int step) const {
    const size_t next = i + static_cast<size_t>(step);
    return next < text_.size() ? text_[next] : U'\0';
  }
  // The next character that is no space.
  char32_t Beside(size_t i, int step) const {
    do i += static_cast<size_t>(step);
    while (i < text_.size() && text_[i] == U' ');
    return i < text_.size() ? text_[i] : U'\0';
  }
  void End() {
    if (word_.empty()) return;
    words_.push_back(
        HashOf({reinterpret_cast<const char*>(word_.data()), word_.size() * sizeof(char32_t)}));
    word_.clear();
  }

  const std::u32string text_;
  const ClassLookup classes_;
  std::u32string word_;
  std::vector<uint64_t> words_;
};

}  // namespace

std::vector<uint64_t> WordHashes(std::string_view text) {
  return WordReader(CodePoints(text)).Read();
}

std::vector<uint64_t> NgramHashes(std::span<const uint64_t> words, size_t n) {
  std::vector<uint64_t> hashes;
  for (size_t i = 0; n > 0 && i + n <= words.size(); ++i) {
    hashes.push_back(HashOf({reinterpret_cast<const char*>(&words[i]), n * sizeof(uint64_t)}));
  }
  return hashes;
}

double RepeatedShare(std::span<const uint64_t> words, size_t n) {
  const std::vector<uint64_t> ngrams = NgramHashes(words, n);
  if (ngrams.empty()) return 0;
  const std::unordered_set<uint64_t> different(ngrams.begin(), ngrams.end());
  return 1 - static_cast<double>(different.size()) / static_cast<double>(ngrams.size());
}

}  // namespace fathom

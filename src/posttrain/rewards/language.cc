#include "posttrain/rewards/language.h"

#include <algorithm>
#include <array>
#include <string>

#include "text/unicode.h"
#include "text/utf8.h"

namespace fathom {
namespace {

// What a letter is written in. Kana are kJapanese; Han is everybody's who uses it.
struct Block {
  char32_t first, last;
  Script script;
};

// The letters of the scripts, by blocks (The Unicode Standard, Blocks.txt), ascending.
constexpr std::array kBlocks = {
    Block{U'A', U'Z', Script::kLatin},          Block{U'a', U'z', Script::kLatin},
    Block{0x00AA, 0x00AA, Script::kLatin},      Block{0x00BA, 0x00BA, Script::kLatin},
    Block{0x00C0, 0x00D6, Script::kLatin},      Block{0x00D8, 0x00F6, Script::kLatin},
    Block{0x00F8, 0x024F, Script::kLatin},      Block{0x0370, 0x03FF, Script::kGreek},
    Block{0x0400, 0x052F, Script::kCyrillic},   Block{0x0590, 0x05FF, Script::kHebrew},
    Block{0x0600, 0x06FF, Script::kArabic},     Block{0x0750, 0x077F, Script::kArabic},
    Block{0x0900, 0x097F, Script::kDevanagari}, Block{0x0E00, 0x0E7F, Script::kThai},
    Block{0x1100, 0x11FF, Script::kHangul},     Block{0x1E00, 0x1EFF, Script::kLatin},
    Block{0x1F00, 0x1FFF, Script::kGreek},      Block{0x3041, 0x30FF, Script::kJapanese},
    Block{0x3130, 0x318F, Script::kHangul},     Block{0x31F0, 0x31FF, Script::kJapanese},
    Block{0x3400, 0x4DBF, Script::kHan},        Block{0x4E00, 0x9FFF, Script::kHan},
    Block{0xAC00, 0xD7AF, Script::kHangul},     Block{0xF900, 0xFAFF, Script::kHan},
    Block{0xFB50, 0xFDFF, Script::kArabic},     Block{0xFE70, 0xFEFF, Script::kArabic},
    Block{0xFF66, 0xFF9D, Script::kJapanese},   Block{0x20000, 0x323AF, Script::kHan},
};

std::optional<Script> ScriptOf(char32_t code_point) {
  const auto found =
      std::upper_bound(kBlocks.begin(), kBlocks.end(), code_point,
                       [](char32_t value, const Block& block) { return value < block.first; });
  if (found == kBlocks.begin() || code_point > std::prev(found)->last) return std::nullopt;
  return std::prev(found)->script;
}

bool PartsNoWords(Script script) {
  return script == Script::kHan || script == Script::kJapanese || script == Script::kThai;
}

bool IsWrittenIn(Script letter, Script language) {
  return letter == language || (letter == Script::kHan && language == Script::kJapanese);
}

}  // namespace

std::optional<Script> ScriptOfLanguage(std::string_view code) {
  constexpr std::array<std::pair<std::string_view, Script>, 26> kLanguages = {
      {{"en", Script::kLatin},      {"de", Script::kLatin},    {"fr", Script::kLatin},
       {"es", Script::kLatin},      {"it", Script::kLatin},    {"pt", Script::kLatin},
       {"nl", Script::kLatin},      {"pl", Script::kLatin},    {"sv", Script::kLatin},
       {"tr", Script::kLatin},      {"vi", Script::kLatin},    {"id", Script::kLatin},
       {"cs", Script::kLatin},      {"zh", Script::kHan},      {"ja", Script::kJapanese},
       {"ko", Script::kHangul},     {"ru", Script::kCyrillic}, {"uk", Script::kCyrillic},
       {"bg", Script::kCyrillic},   {"el", Script::kGreek},    {"ar", Script::kArabic},
       {"fa", Script::kArabic},     {"ur", Script::kArabic},   {"he", Script::kHebrew},
       {"hi", Script::kDevanagari}, {"th", Script::kThai}}};
  for (const auto& [known, script] : kLanguages) {
    if (known == code) return script;
  }
  return std::nullopt;
}

double ShareOfWords(std::string_view original, Script script) {
  std::string valid;
  std::string_view text = original;
  if (!IsValidUtf8(text)) text = valid = ReplaceInvalidUtf8(text);
  const ClassLookup classes;
  // In half words.
  int64_t all = 0, of_script = 0;
  const auto count = [&](Script written, int64_t letters) {
    int64_t halves = 0;
    if (PartsNoWords(written)) {
      halves = letters;
    } else if (letters > 1) {
      halves = 2;
    }
    all += halves;
    if (IsWrittenIn(written, script)) of_script += halves;
  };
  std::optional<Script> run;
  int64_t letters = 0;
  bool command = false;  // behind a backslash
  const char* p = text.data();
  const char* const end = p + text.size();
  while (p < end) {
    const char32_t code_point = NextCodePoint(p);
    const uint16_t kind = classes(code_point);
    // Accents and vowel signs belong to the letter before them.
    if ((kind & kMark) != 0 && run) continue;
    std::optional<Script> written;
    if ((kind & (kLetter | kMark)) != 0) written = ScriptOf(code_point);
    if (written != run) {
      if (run && !command) count(*run, letters);
      if (run) command = false;
      run = written;
      letters = 0;
    }
    if (written) {
      ++letters;
    } else {
      command = code_point == U'\\';
    }
  }
  if (run && !command) count(*run, letters);
  return all == 0 ? 1 : static_cast<double>(of_script) / static_cast<double>(all);
}

}  // namespace fathom

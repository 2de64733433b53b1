#include "text/scanners.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/random.h"
#include "text/regex.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace fathom {
namespace {

const std::vector<std::string_view> kPatterns = {
    kGpt2Pattern,       kLlama3Pattern,     kQwen2Pattern,      kDeepSeekV3Numbers,
    kDeepSeekV3Han,     kDeepSeekV3Words,   kDeepSeekV2Newline, kDeepSeekV2Letters,
    kDeepSeekV2Signs,   kDeepSeekV2LineEnd, kDeepSeekV2Han,     kDeepSeekCoderLetters,
    kDeepSeekCoderSigns};

// Every match in `text` by both; the first that differs, or "".
std::string Difference(const Matcher& scanner, const Matcher& regex, std::string_view text) {
  for (size_t start = 0; start <= text.size();) {
    const auto ours = scanner.Find(text, start);
    const auto theirs = regex.Find(text, start);
    if (ours.has_value() != theirs.has_value() ||
        (ours && (ours->begin != theirs->begin || ours->end != theirs->end))) {
      const auto show = [](const auto& match) {
        return match ? std::to_string(match->begin) + "-" + std::to_string(match->end) : "none";
      };
      return "from " + std::to_string(start) + " " + show(ours) + " against " + show(theirs) +
             " in '" + std::string(text) + "'";
    }
    if (!ours) break;
    start = ours->end;
  }
  return "";
}

TEST(Scanners, AreThereForTheKnownPatternsOnly) {
  for (const std::string_view pattern : kPatterns) EXPECT_NE(MakeScanner(pattern), nullptr);
  EXPECT_EQ(MakeScanner("\\p{L}+"), nullptr);
  EXPECT_EQ(MakeScanner(std::string(kGpt2Pattern) + "|x"), nullptr);
  EXPECT_EQ(MakeScanner(""), nullptr);
}

TEST(Scanners, FindWhatPcreFindsOnAdversarialText) {
  const std::vector<std::string> parts = {
      " ",          "  ",         "\t",     "\n",         "\r",         "\r\n",       "\u0085",
      "\u00A0",     "\u2028",     "\u3000", "\u180E",     "\u200B",     "a",          "Z",
      "the",        "\u00E9",     "\u01C5", "\u4E2D",     "\u3042",     "\u30FB",     "\uAC00",
      "\u0301",     "\u0903",     "\u20DD", "1",          "234",        "\u0663",     "\u2167",
      "\u00BD",     "\uFF11",     "'",      "'s",         "'S",         "'ll",        "'Re",
      "'\u017F",    "!",          ".",      "-",          "_",          "$",          "+",
      "\u00AC",     "\u3002",     "\uFF01", "\u2019",     "\x01",       "\x7F",       "\u0378",
      "\U0001F600", "\U0001F3FD", "\u200D", "\U00010D50", "\U000105C0", "\U00031350", "\U0010FFFF",
      "\uE000",     "\u02BC",     "\u212A", "\u00B5"};
  RandomStream random(11);
  std::vector<std::string> texts = {""};
  for (int i = 0; i < 6000; ++i) {
    std::string text;
    const auto length = random.NextBelow(14);
    for (uint64_t n = 0; n < length; ++n) text += parts[random.NextBelow(parts.size())];
    texts.push_back(text);
  }
  for (const std::string_view pattern : kPatterns) {
    const auto scanner = MakeScanner(pattern);
    const Regex regex(pattern, "test");
    for (const std::string& text : texts) {
      const std::string difference = Difference(*scanner, regex, text);
      ASSERT_EQ(difference, "") << pattern;
    }
  }
}

TEST(Scanners, FindWhatPcreFindsBesideEveryCharacter) {
  // Planes 4 to 13, 15 and 16 hold one kind of character each: a few of them do.
  std::vector<std::string> texts;
  for (char32_t c = 0; c <= 0x10FFFF;
       c += c >= 0x33500 && (c < 0xE0000 || c >= 0xE0200) ? 4099 : 1) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    if (c % 32 == 0 || texts.empty()) texts.emplace_back();
    std::string character;
    AppendUtf8(c, character);
    for (const char* before : {"a", "1", " ", "!", "\n", "\u0301", "\u4E2D"}) {
      texts.back() += before + character;
    }
    texts.back() += character + "a";
  }
  for (const std::string_view pattern : kPatterns) {
    const auto scanner = MakeScanner(pattern);
    const Regex regex(pattern, "test");
    for (const std::string& text : texts) {
      const std::string difference = Difference(*scanner, regex, text);
      ASSERT_EQ(difference, "") << pattern;
    }
  }
}

TEST(Unicode, PatternsKnowTheCategoriesOfTheTable) {
  // One text of all characters: the runs that a pattern finds are the table's.
  std::string all;
  std::vector<size_t> offsets(0x110001);
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    offsets[c] = all.size();
    if (c < 0xD800 || c > 0xDFFF) AppendUtf8(c, all);
  }
  offsets[0x110000] = all.size();
  for (const char* category :
       {"L", "Lu", "Ll", "M", "Mn", "Mc", "N", "Nd", "P", "S", "So", "Z", "C", "Cn", "Han"}) {
    const std::string name(category);
    for (const std::string& pattern :
         {"\\p{" + name + "}+", "[\\p{" + name + "}]+", "[^\\P{" + name + "}]+"}) {
      const Regex regex(pattern, "test");
      size_t start = 0;
      // Surrogates are in no text: runs on both sides of them are one.
      std::vector<TextRange> expected;
      for (const CodePointRange& range : CodePointsOf(name)) {
        const TextRange bytes{offsets[range.first], offsets[range.last + 1]};
        if (bytes.begin == bytes.end) continue;
        if (!expected.empty() && expected.back().end == bytes.begin) {
          expected.back().end = bytes.end;
        } else {
          expected.push_back(bytes);
        }
      }
      for (const TextRange& bytes : expected) {
        const auto match = regex.Find(all, start);
        ASSERT_TRUE(match.has_value()) << pattern;
        ASSERT_EQ(match->begin, bytes.begin) << pattern;
        ASSERT_EQ(match->end, bytes.end) << pattern;
        start = match->end;
      }
      EXPECT_FALSE(regex.Find(all, start).has_value()) << pattern;
    }
  }
}

TEST(Unicode, ClassesOfSomeCharacters) {
  const ClassLookup classes;
  EXPECT_EQ(classes('A'), kLetter | kAsciiLetter | kWord);
  EXPECT_EQ(classes('_') & (kPunctuation | kWord), kPunctuation | kWord);
  EXPECT_EQ(classes(0x4E2D), kLetter | kWord);
  EXPECT_EQ(classes(0x301), kMark | kWord);
  EXPECT_TRUE(classes(0x85) & kSpace);
  EXPECT_FALSE(classes(0x180E) & kSpace);  // not since Unicode 6.3
  EXPECT_TRUE(classes(0x2167) & kNumber);
  EXPECT_TRUE(classes('$') & kSymbol);
  EXPECT_TRUE(classes('$') & kPunctuationStep);
  EXPECT_TRUE(classes(0x31350) & kLetter);  // Unicode 15
  EXPECT_TRUE(classes(0x10D50) & kLetter);  // Unicode 16
  EXPECT_EQ(classes(0x10FFFF), 0);
}

}  // namespace
}  // namespace fathom

#include "text/regex.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "text/pretokenizer.h"

namespace fathom {
namespace {

using Strings = std::vector<std::string>;

Strings Pieces(std::string_view pattern, std::string_view text) {
  Strings pieces;
  PreTokenizer({PreTokenizerStep::Regex(pattern)}).Split(text, [&](std::string_view piece) {
    pieces.emplace_back(piece);
  });
  return pieces;
}

// What Hugging Face's Split step (Oniguruma) makes of these, where PCRE2 alone would do otherwise.
TEST(Regex, ReadsPatternsAsTheOriginalDoes) {
  EXPECT_EQ(Pieces("a{2}+", "aaaaab"), (Strings{"aaaa", "ab"}));  // not possessive
  EXPECT_EQ(Pieces("a{,2}", "aaaab"), (Strings{"aa", "aa", "b"}));
  EXPECT_EQ(Pieces("a++a", "aaab"), Strings{"aaab"});  // possessive
  EXPECT_EQ(Pieces("\\h+", "xdeadgh"), (Strings{"x", "dead", "gh"}));
  EXPECT_EQ(Pieces("(?i:'s)", "a'\u017F'S"), (Strings{"a", "'\u017F", "'S"}));
  EXPECT_EQ(Pieces("\\bfoo\\b", "\u00B2foo foo"), (Strings{"\u00B2foo ", "foo"}));
  EXPECT_EQ(Pieces("$", "ab\ncd\n"), (Strings{"ab", "\ncd", "\n"}));
  EXPECT_EQ(Pieces("^", "ab\ncd\n"), (Strings{"ab\n", "cd\n"}));
  EXPECT_EQ(Pieces(".+", "ab\ncd"), (Strings{"ab", "\n", "cd"}));
  EXPECT_EQ(Pieces("\\p{Greek}+", "a\u0342\u03B1"), (Strings{"a\u0342", "\u03B1"}));
  EXPECT_EQ(Pieces("\\p{Hiragana}+", "\u30FC\u3042\u30A2"),
            (Strings{"\u30FC", "\u3042", "\u30A2"}));
  EXPECT_EQ(Pieces("\\p{^L}+", "ab12"), (Strings{"ab", "12"}));
  EXPECT_EQ(Pieces("\\p{l}+", "1ab"), (Strings{"1", "ab"}));
  EXPECT_EQ(Pieces("\\u0061", "ba"), (Strings{"b", "a"}));
  EXPECT_EQ(Pieces("\\x{61}", "ba"), (Strings{"b", "a"}));
  EXPECT_EQ(Pieces("\\v+", "a\x0B\nb"), (Strings{"a", "\x0B", "\nb"}));
  EXPECT_EQ(Pieces("\\R", "a\r\nb"), (Strings{"a", "\r\n", "b"}));
  EXPECT_EQ(Pieces("[]a]", "]a"), (Strings{"]", "a"}));
  EXPECT_EQ(Pieces("[\\w-]+", "a-b c"), (Strings{"a-b", " ", "c"}));
  EXPECT_EQ(Pieces("{", "a{1"), (Strings{"a", "{", "1"}));
  EXPECT_EQ(Pieces("", "ab"), (Strings{"a", "b"}));
}

TEST(Regex, RefusesWhatItReadsDifferently) {
  for (const char* pattern : {"[a[b]]",      "[a&&b]",
                              "[[:alpha:]]", "[[:digit",
                              "\\X",         "\\K",
                              "\\Ga",        "(a)\\1",
                              "\\pL",        "(?m:.)",
                              "(?<n>a)",     "(?#x)",
                              "(*ACCEPT)",   "(?i:[\\p{Lu}])",
                              "\\x80",       "\\u12",
                              "a\\",         "[a",
                              "(",           ")",
                              "a**",         "\\p{Nonsense}",
                              "\\p{",        "\\p{L",
                              "(?<=a+)b",    "[\\p{Zl"}) {
    EXPECT_THROW(Regex(pattern, "test"), Error) << pattern;
  }
}

TEST(Regex, HugePatternsAreErrors) {
  EXPECT_THROW(Regex(std::string(100'000, 'a'), "test"), Error);
  EXPECT_THROW(Regex(std::string(5000, '('), "test"), Error);
  std::string many = "[";
  for (int i = 0; i < 10'000; ++i) many += "\\P{L}";
  EXPECT_THROW(Regex(many + "]", "test"), Error);
  EXPECT_THROW(Regex("((((a{1,1000}){1,1000}){1,1000}){1,1000})", "test"), Error);
}

TEST(Regex, TheErrorNamesWhereAndThePattern) {
  try {
    Regex("a(?<n>b)", "tokenizer.json: pre_tokenizer");
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("tokenizer.json: pre_tokenizer"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("a(?<n>b)"), std::string::npos);
  }
}

}  // namespace
}  // namespace fathom

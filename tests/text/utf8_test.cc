#include "text/utf8.h"

#include <gtest/gtest.h>

#include "text/byte_level.h"

namespace fathom {
namespace {

using std::string_literals::operator""s;

TEST(Utf8, ReplacesEachMaximalSubpartOnce) {
  EXPECT_EQ(ReplaceInvalidUtf8("aé中😀"), "aé中😀");
  EXPECT_EQ(ReplaceInvalidUtf8("a\x80z"), "a\uFFFDz");
  EXPECT_EQ(ReplaceInvalidUtf8("\xC0\xAF"), "\uFFFD\uFFFD");            // overlong
  EXPECT_EQ(ReplaceInvalidUtf8("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");  // surrogate
  EXPECT_EQ(ReplaceInvalidUtf8("\xF5\x80\x80\x80"), "\uFFFD\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(ReplaceInvalidUtf8("\xF0\x9F\x98x"), "\uFFFDx");
  EXPECT_EQ(ReplaceInvalidUtf8("\xE4\xB8"), "\uFFFD");
  // The example of The Unicode Standard, section 3.9, table 3-8.
  EXPECT_EQ(ReplaceInvalidUtf8("a\xF1\x80\x80\xE1\x80\xC2"
                               "b\x80"
                               "c\x80\xBF"
                               "d"),
            "a\uFFFD\uFFFD\uFFFD"
            "b\uFFFD"
            "c\uFFFD\uFFFD"
            "d");
}

TEST(Utf8, KnowsAnUnfinishedCharacter) {
  EXPECT_EQ(IncompleteUtf8Tail(""), 0u);
  EXPECT_EQ(IncompleteUtf8Tail("abc"), 0u);
  EXPECT_EQ(IncompleteUtf8Tail("é"), 0u);
  EXPECT_EQ(IncompleteUtf8Tail("a\xC3"), 1u);
  EXPECT_EQ(IncompleteUtf8Tail("\xE4\xB8"), 2u);
  EXPECT_EQ(IncompleteUtf8Tail("\xF0\x9F\x98"), 3u);
  // These can no longer become a character.
  EXPECT_EQ(IncompleteUtf8Tail("\xED\xA0"), 0u);
  EXPECT_EQ(IncompleteUtf8Tail("\x80\x80"), 0u);
  EXPECT_EQ(IncompleteUtf8Tail("\xFF"), 0u);
}

TEST(ByteLevel, WritesBytesAsGpt2Does) {
  EXPECT_EQ(BytesToPrintable("a b\n"), "aĠbĊ");
  EXPECT_EQ(BytesToPrintable("\x00\x7F\xAD\xFF"s), "ĀġŃÿ");
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all.push_back(static_cast<char>(byte));
  EXPECT_EQ(PrintableToBytes(BytesToPrintable(all)), all);
  EXPECT_EQ(PrintableToBytes("a b"), std::nullopt);
  EXPECT_EQ(PrintableToBytes("｜"), std::nullopt);
  EXPECT_EQ(PrintableToBytes("\xC3"), std::nullopt);
}

}  // namespace
}  // namespace fathom

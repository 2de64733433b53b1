#include "data/text_pieces.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace fathom {
namespace {

std::vector<std::string> Cut(std::string_view text, size_t target) {
  std::vector<std::string> pieces;
  while (!text.empty()) {
    const size_t length = FirstPieceLength(text, target);
    EXPECT_GT(length, 0u);
    EXPECT_LE(length, text.size());
    if (length == 0 || length > text.size()) break;
    pieces.emplace_back(text.substr(0, length));
    text.remove_prefix(length);
  }
  return pieces;
}

using Pieces = std::vector<std::string>;

TEST(TextPieces, CutsWherePreTokenisersDo) {
  EXPECT_EQ(Cut("short", 8), Pieces{"short"});
  EXPECT_EQ(Cut("int x;\nint y;\n\n  int z;\nend\n", 4),
            (Pieces{"int x;\n", "int y;\n\n  int", " z;\n", "end\n"}));
  EXPECT_EQ(Cut("seven words stand in one long line", 6),
            (Pieces{"seven words", " stand", " in one", " long line"}));
  // Neither before a digit nor at doubled blanks.
  EXPECT_EQ(Cut("abcd 1  efgh", 4), Pieces{"abcd 1  efgh"});
}

TEST(TextPieces, WithoutAPlaceItCutsBetweenCharacters) {
  std::string text;
  for (int i = 0; i < 200; ++i) text += "\xe4\xb8\xad";
  const Pieces pieces = Cut(text, 5);
  EXPECT_GT(pieces.size(), 3u);
  std::string joined;
  for (const std::string& piece : pieces) {
    EXPECT_EQ(piece.size() % 3, 0u);
    joined += piece;
  }
  EXPECT_EQ(joined, text);
  // Nor does it stop at what is no UTF-8.
  for (const auto& bytes :
       {std::string(500, '\x80'), std::string(500, '\n'), std::string(500, ' ')}) {
    joined.clear();
    for (const std::string& piece : Cut(bytes, 4)) joined += piece;
    EXPECT_EQ(joined, bytes);
  }
}

}  // namespace
}  // namespace fathom

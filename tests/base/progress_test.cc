#include "base/progress.h"

#include <gtest/gtest.h>

namespace fathom {
namespace {

TEST(FitPieces, DropsWholePiecesFromTheEnd) {
  const std::string line = "training: 5% of 1.2M tokens, 2 min left, loss 3.213, 104.2K/s";
  EXPECT_EQ(FitPieces(line, line.size()), line);
  for (size_t width = 0; width < line.size(); ++width) {
    const std::string fit = FitPieces(line, width);
    EXPECT_LE(fit.size(), width);
    EXPECT_TRUE(line.starts_with(fit));
    // Never a part of a number, but where the first piece alone is too long.
    if (width < line.find(", ")) continue;
    EXPECT_TRUE(line.substr(fit.size()).starts_with(", ")) << fit;
  }
  EXPECT_EQ(FitPieces(line, line.size() - 1),
            "training: 5% of 1.2M tokens, 2 min left, loss 3.213");
}

TEST(FitPieces, CutsAFirstPieceThatIsTooLong) {
  EXPECT_EQ(FitPieces("a-long-name: 3, 4", 6), "a-long");
  EXPECT_EQ(FitPieces("name", 0), "");
}

}  // namespace
}  // namespace fathom

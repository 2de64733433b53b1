#include "serve/runs/log_follower.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/temporary_directory.h"

namespace fathom {
namespace {

class LogFollowerTest : public testing::Test {
 protected:
  void Append(std::string_view text) {
    std::ofstream(path_, std::ios::binary | std::ios::app) << text;
  }
  // What has come, "|" where it begins anew.
  std::vector<std::string> Read(size_t most = 1 << 20) {
    std::vector<std::string> lines;
    follower_.Read(
        most, [&] { lines.emplace_back("|"); },
        [&](std::string_view line, uint64_t offset) {
          lines.emplace_back(line);
          EXPECT_EQ(ReadPart(path_, offset, line.size()), line);
        });
    return lines;
  }

  using Lines = std::vector<std::string>;
  TemporaryDirectory directory_;
  std::filesystem::path path_ = directory_ / "log.jsonl";
  LogFollower follower_{path_};
};

TEST_F(LogFollowerTest, TakesALineOnceItIsWhole) {
  EXPECT_EQ(Read(), Lines{});
  EXPECT_FALSE(follower_.exists());
  Append("one\ntw");
  EXPECT_EQ(Read(), Lines{"one"});
  EXPECT_EQ(Read(), Lines{});
  Append("o");
  EXPECT_EQ(Read(), Lines{});
  Append("\n\nthree\n");
  EXPECT_EQ(Read(), (Lines{"two", "", "three"}));
  EXPECT_EQ(Read(), Lines{});
  EXPECT_FALSE(follower_.behind());
}

// RunLog writes the lines that it keeps beside the file and renames it.
TEST_F(LogFollowerTest, ALogThatIsReplacedIsReadFromItsBeginning) {
  Append("1\n2\n3\n");
  EXPECT_EQ(Read().size(), 3u);
  WriteFileAtomically(path_, "1\n2\n");
  EXPECT_EQ(Read(), (Lines{"|", "1", "2"}));
  Append("3 again\n");
  EXPECT_EQ(Read(), Lines{"3 again"});
  // Longer than before at once.
  WriteFileAtomically(path_, "1\n2\n3\n4\n5\n");
  EXPECT_EQ(Read(), (Lines{"|", "1", "2", "3", "4", "5"}));
}

TEST_F(LogFollowerTest, AFileThatIsCutAndWrittenAgainIsNotTheSame) {
  Append("1\n2\n3\n");
  EXPECT_EQ(Read().size(), 3u);
  std::filesystem::resize_file(path_, 2);
  EXPECT_EQ(Read(), (Lines{"|", "1"}));
  // Cut and, before anybody looked, as long again: its end is another one.
  Append("2\n3\n");
  EXPECT_EQ(Read(), (Lines{"2", "3"}));
  std::filesystem::resize_file(path_, 2);
  Append("a\nb\nc\n");
  EXPECT_EQ(Read(), (Lines{"|", "1", "a", "b", "c"}));
}

TEST_F(LogFollowerTest, AFileThatGoesMayComeAgain) {
  Append("1\n");
  EXPECT_EQ(Read(), Lines{"1"});
  std::filesystem::remove(path_);
  EXPECT_EQ(Read(), Lines{"|"});
  EXPECT_FALSE(follower_.exists());
  Append("2\n");
  EXPECT_EQ(Read(), Lines{"2"});
}

TEST_F(LogFollowerTest, ALongLogComesPieceByPiece) {
  // 5 MB.
  std::string text;
  const std::string filler(40, ' ');
  for (int i = 0; i < 100'000; ++i) text += filler + std::to_string(i) + "\n";
  Append(text);
  size_t lines = 0, reads = 0;
  do {
    const Lines some = Read(1 << 20);
    for (const std::string& line : some) EXPECT_EQ(line, filler + std::to_string(lines++));
    ++reads;
    EXPECT_LE(some.size(), 50'000u);
  } while (follower_.behind());
  EXPECT_EQ(lines, 100'000u);
  EXPECT_GE(reads, 3u);
}

TEST_F(LogFollowerTest, LinesThatAreTooLongArePassedOver) {
  const std::string fits(LogFollower::kMostLine - 10, 'a');
  Append("before\n" + fits + "\nbetween\n");
  EXPECT_EQ(Read(64 << 20), (Lines{"before", fits, "between"}));
  Append(std::string(LogFollower::kMostLine + 10, 'b'));
  EXPECT_EQ(Read(64 << 20), Lines{});
  EXPECT_EQ(follower_.passed_over(), 1);
  Append(std::string(2 * LogFollower::kMostLine, 'b') + "\nafter\n");
  EXPECT_EQ(Read(64 << 20), Lines{"after"});
  EXPECT_EQ(follower_.passed_over(), 1);
}

// A run directory may come from somebody else.
TEST_F(LogFollowerTest, LinksAndPipesAreNoLogs) {
  const std::filesystem::path secret = directory_ / "secret";
  std::ofstream(secret) << "secret\n";
  std::filesystem::create_symlink(secret, path_);
  EXPECT_EQ(Read(), Lines{});
  EXPECT_FALSE(follower_.exists());
  EXPECT_EQ(ReadPart(path_, 0, 100), "");
  std::filesystem::remove(path_);
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  EXPECT_EQ(Read(), Lines{});
  EXPECT_FALSE(follower_.exists());
}

}  // namespace
}  // namespace fathom

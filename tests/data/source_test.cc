#include "data/source.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/error.h"
#include "data/test_corpus.h"

namespace fathom {
namespace fs = std::filesystem;
namespace {

std::vector<std::string> FileNames(const SourceSpec& spec) {
  std::vector<std::string> names;
  for (const SourceFile& file : ListFiles(spec)) names.push_back(file.name);
  return names;
}

using Names = std::vector<std::string>;

TEST(ListFiles, TakesWantedFilesInOrderOfTheirNames) {
  TemporaryDirectory directory;
  for (const char* name : {"b.txt", "a/z.txt", "a.txt", "a-b.txt", "a/deep/er.jsonl", "c.jsonl.zst",
                           "picture.png", "a/plain", ".txt"})
    PutFile(directory / name, "x");
  EXPECT_EQ(FileNames({directory.path()}),
            (Names{"a-b.txt", "a.txt", "a/deep/er.jsonl", "a/z.txt", "b.txt", "c.jsonl.zst"}));
  SourceSpec spec{directory.path()};
  spec.extensions = {"", ".png"};
  EXPECT_EQ(FileNames(spec), (Names{"a/plain", "picture.png"}));
  const auto files = ListFiles({directory.path()});
  EXPECT_EQ(files[2].kind, FileKind::kJsonLines);
  EXPECT_EQ(files[5].kind, FileKind::kCompressedJsonLines);
  EXPECT_EQ(files[0].kind, FileKind::kText);
  EXPECT_EQ(files[0].size, 1u);
}

TEST(ListFiles, TakesOneFile) {
  TemporaryDirectory directory;
  PutFile(directory / "notes.txt", "x");
  PutFile(directory / "notes.md", "x");
  EXPECT_EQ(FileNames({directory / "notes.txt"}), Names{"notes.txt"});
  EXPECT_ERROR(ListFiles({directory / "notes.md"}), "not read as data (.txt, .jsonl, .jsonl.zst)");
  SourceSpec spec{directory / "notes.md"};
  spec.extensions = {".md"};
  EXPECT_EQ(FileNames(spec), Names{"notes.md"});
}

TEST(ListFiles, FollowsLinksAndTakesEveryFileOnce) {
  TemporaryDirectory directory, elsewhere;
  PutFile(elsewhere / "blob.txt", "far");
  PutFile(directory / "b/one.txt", "x");
  fs::create_symlink(elsewhere / "blob.txt", directory / "b/far.txt");
  fs::create_directory_symlink(directory.path(), directory / "b/loop");
  fs::create_symlink(directory / "b/one.txt", directory / "again.txt");
  fs::create_directory_symlink(directory / "b", directory / "z");
  fs::create_symlink(directory / "nowhere.txt", directory / "dangling.txt");
  ASSERT_EQ(mkfifo((directory / "pipe.txt").c_str(), 0600), 0);
  EXPECT_EQ(FileNames({directory.path()}), (Names{"again.txt", "b/far.txt"}));
}

TEST(ListFiles, NothingToReadIsAnError) {
  TemporaryDirectory directory;
  EXPECT_ERROR(ListFiles({directory / "missing"}), "missing: cannot be read: No such file");
  EXPECT_ERROR(ListFiles({directory.path()}), "the folder is empty");
  PutFile(directory / "a.md", "x");
  PutFile(directory / "sub/b.md", "x");
  EXPECT_ERROR(ListFiles({directory.path()}), "it holds 2 .md");
}

}  // namespace
}  // namespace fathom

#include "base/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <set>

#include "base/directories.h"
#include "base/error.h"
#include "base/temporary_directory.h"

namespace fathom {
namespace fs = std::filesystem;
namespace {

std::set<std::string> Names(const fs::path& directory) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(directory))
    names.insert(entry.path().filename().string());
  return names;
}

void Put(const fs::path& path, std::string_view content) { std::ofstream(path) << content; }

TEST(MappedFile, ReadsAndMoves) {
  TemporaryDirectory directory;
  Put(directory / "a", "hello");
  MappedFile file(directory / "a");
  EXPECT_EQ(file.text(), "hello");
  EXPECT_EQ(file.bytes().size(), 5u);
  MappedFile other(std::move(file));
  EXPECT_EQ(other.text(), "hello");
  Put(directory / "empty", "");
  other = MappedFile(directory / "empty");
  EXPECT_EQ(other.text(), "");
  EXPECT_EQ(ReadFile(directory / "a"), "hello");
}

TEST(MappedFile, WhatIsNoFileIsAnError) {
  TemporaryDirectory directory;
  EXPECT_ERROR(MappedFile(directory / "missing"), "missing: cannot be opened: No such file");
  EXPECT_ERROR(ReadFile(directory.path()), "is not a regular file");
  // A pipe must not be waited for.
  ASSERT_EQ(mkfifo((directory / "pipe").c_str(), 0600), 0);
  EXPECT_ERROR(MappedFile(directory / "pipe"), "is not a regular file");
}

TEST(AtomicFile, AppearsOnCommitOnly) {
  TemporaryDirectory directory;
  const fs::path path = directory / "file";
  Put(path, "old");
  {
    AtomicFile file(path);
    file.Write("new ");
    file.Write("content");
    EXPECT_EQ(ReadFile(path), "old");
    file.Commit();
    EXPECT_EQ(ReadFile(path), "new content");
  }
  EXPECT_EQ(Names(directory.path()), std::set<std::string>{"file"});
}

TEST(AtomicFile, LeavesNothingWithoutCommit) {
  TemporaryDirectory directory;
  Put(directory / "file", "old");
  { AtomicFile(directory / "file").Write("half"); }
  EXPECT_EQ(ReadFile(directory / "file"), "old");
  EXPECT_EQ(Names(directory.path()), std::set<std::string>{"file"});
}

TEST(AtomicFile, ReplacesWhatAKilledRunLeft) {
  TemporaryDirectory directory;
  // A run killed before its commit leaves what it wrote beside the file: the next one starts over.
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    AtomicFile file(directory / "file");
    file.Write("a long half-written content");
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_FALSE(fs::exists(directory / "file"));
  WriteFileAtomically(directory / "file", "whole");
  EXPECT_EQ(ReadFile(directory / "file"), "whole");
  EXPECT_EQ(Names(directory.path()), std::set<std::string>{"file"});
}

TEST(AtomicFile, FailuresNameThePath) {
  TemporaryDirectory directory;
  EXPECT_ERROR(AtomicFile(directory / "missing/file"), "missing/file");
  fs::create_directory(directory / "folder");
  EXPECT_ERROR(WriteFileAtomically(directory / "folder", "x"), "folder: cannot be put in place");
  EXPECT_EQ(Names(directory.path()), std::set<std::string>{"folder"});
  if (fs::exists("/dev/full")) {
    // A full disk: the device accepts nothing.
    fs::create_symlink("/dev/full", directory / "full.partial");
    EXPECT_ERROR(WriteFileAtomically(directory / "full", "x"), "No space left");
  }
}

TEST(WriteDirectoryAtomically, ReplacesTheWholeDirectory) {
  TemporaryDirectory directory;
  const fs::path final = directory / "step";
  WriteDirectoryAtomically(final, [](const fs::path& temporary) {
    Put(temporary / "one", "1");
    fs::create_directory(temporary / "sub");
    Put(temporary / "sub" / "two", "2");
  });
  EXPECT_EQ(ReadFile(final / "sub" / "two"), "2");
  WriteDirectoryAtomically(final, [&](const fs::path& temporary) {
    EXPECT_EQ(ReadFile(final / "one"), "1");  // readers see the old one until the end
    Put(temporary / "three", "3");
  });
  EXPECT_EQ(Names(final), std::set<std::string>{"three"});
  EXPECT_EQ(Names(directory.path()), std::set<std::string>{"step"});
}

TEST(WriteDirectoryAtomically, AFailureKeepsTheOldOne) {
  TemporaryDirectory directory;
  const fs::path final = directory / "step";
  WriteDirectoryAtomically(final, [](const fs::path& t) { Put(t / "one", "1"); });
  EXPECT_ERROR(WriteDirectoryAtomically(final,
                                        [](const fs::path& t) {
                                          Put(t / "two", "2");
                                          throw Error("inside", "fails");
                                        }),
               "inside: fails");
  EXPECT_EQ(Names(final), std::set<std::string>{"one"});
  EXPECT_EQ(Names(directory.path()), std::set<std::string>{"step"});
}

TEST(WriteDirectoryAtomically, AKilledRunLosesNothing) {
  TemporaryDirectory directory;
  const fs::path final = directory / "step";
  WriteDirectoryAtomically(final, [](const fs::path& t) { Put(t / "one", "1"); });
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    WriteDirectoryAtomically(final, [](const fs::path& t) {
      Put(t / "half", "?");
      _exit(0);
    });
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(Names(final), std::set<std::string>{"one"});
  WriteDirectoryAtomically(final, [](const fs::path& t) { Put(t / "two", "2"); });
  EXPECT_EQ(Names(final), std::set<std::string>{"two"});
  EXPECT_EQ(Names(directory.path()), std::set<std::string>{"step"});
}

// A reader that looks all the time never finds the directory missing.
TEST(WriteDirectoryAtomically, ThereIsNoMomentWithoutADirectory) {
  TemporaryDirectory directory;
  const fs::path final = directory / "step";
  const auto write = [&] {
    WriteDirectoryAtomically(final, [](const fs::path& t) { Put(t / "file", "x"); });
  };
  write();
  const pid_t reader = fork();
  ASSERT_GE(reader, 0);
  if (reader == 0) {
    struct stat info {};
    while (!fs::exists(directory / "stop")) {
      if (stat(final.c_str(), &info) != 0) _exit(1);
    }
    _exit(0);
  }
  for (int i = 0; i < 50; ++i) write();
  Put(directory / "stop", "");
  int status = 0;
  ASSERT_EQ(waitpid(reader, &status, 0), reader);
  EXPECT_EQ(status, 0);
}

TEST(WriteDirectoryAtomically, TakesAPathWithASlashAtTheEnd) {
  TemporaryDirectory directory;
  for (int i = 0; i < 2; ++i) {
    WriteDirectoryAtomically((directory / "step").string() + "/",
                             [](const fs::path& t) { Put(t / "one", "1"); });
    EXPECT_EQ(Names(directory / "step"), std::set<std::string>{"one"});
    EXPECT_EQ(Names(directory.path()), std::set<std::string>{"step"});
  }
}

TEST(CreateDirectories, SaysWhichAndWhyNot) {
  TemporaryDirectory directory;
  CreateDirectories(directory / "a/b");
  CreateDirectories(directory / "a/b");
  EXPECT_TRUE(fs::is_directory(directory / "a/b"));
  Put(directory / "file", "");
  EXPECT_ERROR(CreateDirectories(directory / "file"), "file: cannot be created: ");
  EXPECT_ERROR(CreateDirectories(directory / "file/below"), "file/below: cannot be created: ");
}

}  // namespace
}  // namespace fathom

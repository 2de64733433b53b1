#include "base/file_lock.h"

#include <gtest/gtest.h>

#include <optional>

#include "base/error.h"
#include "base/temporary_directory.h"

namespace fathom {
namespace {

TEST(FileLock, IsOnesUntilItEnds) {
  const TemporaryDirectory directory;
  std::optional<FileLock> lock(directory / "log.jsonl");
  EXPECT_TRUE(std::filesystem::exists(directory / "log.jsonl"));
  EXPECT_ERROR(FileLock(directory / "log.jsonl"), "is being written by another run");
  lock.reset();
  EXPECT_NO_THROW(FileLock(directory / "log.jsonl"));
  EXPECT_ERROR(FileLock(directory / "nowhere" / "log.jsonl"), "cannot be opened");
}

}  // namespace
}  // namespace fathom

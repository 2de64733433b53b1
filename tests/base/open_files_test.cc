#include "base/open_files.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

namespace fathom {
namespace {

TEST(OpenFiles, RaisesTheLimitAsFarAsItMay) {
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlim_t hard = before.rlim_max;
  const rlimit low = {64, hard};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
  EXPECT_EQ(AllowOpenFiles(50), 64) << "it does not lower it";
  EXPECT_EQ(AllowOpenFiles(70), 70);
  EXPECT_EQ(AllowOpenFiles(INT64_MAX), static_cast<int64_t>(hard));
  rlimit after;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &after), 0);
  EXPECT_EQ(after.rlim_cur, hard);
  EXPECT_EQ(after.rlim_max, hard);
  setrlimit(RLIMIT_NOFILE, &before);
}

}  // namespace
}  // namespace fathom

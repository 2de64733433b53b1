#include "base/log.h"

#include <gtest/gtest.h>

#include <cmath>

namespace fathom {
namespace {

TEST(Format, Bytes) {
  EXPECT_EQ(FormatBytes(0), "0 B");
  EXPECT_EQ(FormatBytes(1023), "1023 B");
  EXPECT_EQ(FormatBytes(1024), "1.0 KiB");
  EXPECT_EQ(FormatBytes(1536), "1.5 KiB");
  EXPECT_EQ(FormatBytes(200 * 1024), "200 KiB");
  EXPECT_EQ(FormatBytes(1.3 * 1024 * 1024 * 1024), "1.3 GiB");
  // What rounds to the next unit is shown in it.
  EXPECT_EQ(FormatBytes(1024 * 1024 - 1), "1.0 MiB");
}

TEST(Format, Count) {
  EXPECT_EQ(FormatCount(0), "0");
  EXPECT_EQ(FormatCount(999), "999");
  EXPECT_EQ(FormatCount(1000), "1.00 K");
  EXPECT_EQ(FormatCount(1.25e6), "1.25 M");
  EXPECT_EQ(FormatCount(15.7e9), "15.7 B");
  EXPECT_EQ(FormatCount(671e9), "671 B");
  EXPECT_EQ(FormatCount(14.8e12), "14.8 T");
  EXPECT_EQ(FormatCount(999.9), "1.00 K");
  EXPECT_EQ(FormatCount(999999), "1.00 M");
  EXPECT_EQ(FormatCount(9999), "10.0 K");
}

TEST(Format, Duration) {
  EXPECT_EQ(FormatDuration(0), "0.0 s");
  EXPECT_EQ(FormatDuration(0.0004), "0.4 ms");
  EXPECT_EQ(FormatDuration(0.012), "12 ms");
  EXPECT_EQ(FormatDuration(4.25), "4.2 s");
  EXPECT_EQ(FormatDuration(45.2), "45 s");
  EXPECT_EQ(FormatDuration(59.7), "1 min 0 s");
  EXPECT_EQ(FormatDuration(200), "3 min 20 s");
  EXPECT_EQ(FormatDuration(7500), "2 h 5 min");
  EXPECT_EQ(FormatDuration(NAN), "?");
  EXPECT_EQ(FormatDuration(INFINITY), "?");
  EXPECT_EQ(FormatDuration(-1), "?");
  EXPECT_EQ(FormatDuration(1e30), "?");
}

}  // namespace
}  // namespace fathom

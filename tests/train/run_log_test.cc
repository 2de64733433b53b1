#include "train/run_log.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "base/file.h"
#include "base/temporary_directory.h"

namespace fathom {
namespace {

class RunLogTest : public testing::Test {
 protected:
  std::string Text() const { return ReadFile(path_); }

  TemporaryDirectory directory_;
  std::filesystem::path path_ = directory_ / "log.jsonl";
};

TEST_F(RunLogTest, WritesALineAnObject) {
  RunLog log(path_, 0);
  log.Write({{"kind", "step"}, {"step", 1}, {"loss", 0.5}});
  log.Write({{"kind", "sample"}, {"step", 1}, {"text", "a\nb \xff"}});
  // Each line is in the file as soon as it is written, and is JSON whatever the text.
  EXPECT_EQ(Text(),
            "{\"kind\":\"step\",\"step\":1,\"loss\":0.5}\n"
            "{\"kind\":\"sample\",\"step\":1,\"text\":\"a\\nb \xEF\xBF\xBD\"}\n");
}

TEST_F(RunLogTest, GoesOnAfterTheCheckpoint) {
  {
    RunLog log(path_, 0);
    for (int step = 1; step <= 5; ++step) {
      log.Write({{"kind", "step"}, {"step", step}});
      if (step % 2 == 0) log.Write({{"kind", "validation"}, {"step", step}});
    }
  }
  {
    // The checkpoint was at step 4; the kill came in the middle of a line.
    std::ofstream(path_, std::ios::app) << "{\"kind\":\"step\",\"st";
    RunLog log(path_, 4);
    log.Write({{"kind", "step"}, {"step", 5}});
  }
  EXPECT_EQ(Text(),
            "{\"kind\":\"step\",\"step\":1}\n"
            "{\"kind\":\"step\",\"step\":2}\n{\"kind\":\"validation\",\"step\":2}\n"
            "{\"kind\":\"step\",\"step\":3}\n"
            "{\"kind\":\"step\",\"step\":4}\n{\"kind\":\"validation\",\"step\":4}\n"
            "{\"kind\":\"step\",\"step\":5}\n");
}

TEST_F(RunLogTest, AResumedRunWasNotInterrupted) {
  {
    RunLog log(path_, 0);
    log.Write({{"kind", "step"}, {"step", 1}});
    log.WriteInterrupted(1);
  }
  const std::string step = "{\"kind\":\"step\",\"step\":1}\n";
  EXPECT_TRUE(Text().starts_with(step + R"({"kind":"interrupted","step":1,"time":)"));
  RunLog log(path_, 1);
  EXPECT_EQ(Text(), step);
}

TEST_F(RunLogTest, ANewRunStartsAnew) {
  RunLog(path_, 0).Write({{"step", 1}});
  RunLog log(path_, 0);
  EXPECT_EQ(Text(), "");
}

TEST_F(RunLogTest, GoesOnWithoutAFile) {
  RunLog(path_, 7).Write({{"step", 8}});
  EXPECT_EQ(Text(), "{\"step\":8}\n");
}

TEST_F(RunLogTest, LinesThatAreNotOursAreDropped) {
  std::ofstream(path_) << "not json\n[1]\n{\"step\": \"two\"}\n\n{\"step\": 2}\n{\"step\": 2.5}\n";
  RunLog log(path_, 2);
  EXPECT_EQ(Text(), "{\"step\": 2}\n");
}

TEST_F(RunLogTest, ADirectoryThatIsMissingIsAnError) {
  EXPECT_ERROR(RunLog(directory_ / "missing" / "log.jsonl", 0), "log.jsonl");
}

}  // namespace
}  // namespace fathom

#include <gtest/gtest.h>

#include "base/error.h"
#include "cli/options/program.h"
#include "cli/options/size.h"

namespace fathom {
namespace {

TEST(Size, ReadsUnitsOfBothKinds) {
  EXPECT_EQ(ParseSize("4096"), 4096);
  EXPECT_EQ(ParseSize("500MB"), 500'000'000);
  EXPECT_EQ(ParseSize("2GiB"), uint64_t{2} << 30);
  EXPECT_EQ(ParseSize("1.5k"), 1500);
  EXPECT_EQ(ParseSize("1tib"), uint64_t{1} << 40);
  for (const char* text : {"4096", "1b", "1.5GiB", "3PB"}) EXPECT_EQ(SizeProblem(text), "") << text;
  for (const char* text : {"", "MB", "5QB", "5iB", "5GiBs", "five", "1.5.5MB"}) {
    EXPECT_NE(SizeProblem(text).find("is not a size"), std::string::npos) << text;
  }
  for (const char* text : {"0", "-1GB", "0.5", "nan", "1e30"}) {
    EXPECT_NE(SizeProblem(text).find("out of range"), std::string::npos) << text;
  }
}

// A program with commands, as main() makes one.
class ProgramTest : public testing::Test {
 protected:
  ProgramTest() {
    program_.command().RequireCommand();
    Command train = program_.command().AddCommand("train", "Trains.");
    train.AddOption("FILE", file_).Required();
    train.AddOption("--threads", threads_).InRange(1, 64);
    train.AddOption("--set", set_).Repeatable();
    train.AddFlag("--quiet,!--loud", quiet_, "");
    train.OnRun([this] { ran_ = true; });
    Command plan = program_.command().AddCommand("plan", "Plans.");
    plan.RequireCommand();
    plan.AddCommand("serve", "Plans a server.").AddOption("--size", threads_);
  }

  // What the line is told; nothing if it is understood.
  std::string Run(std::vector<const char*> words) {
    words.insert(words.begin(), "program");
    try {
      program_.Run(static_cast<int>(words.size()), words.data());
    } catch (const UsageError& error) {
      return error.what();
    }
    return {};
  }

  Program program_{"program", "Does things."};
  std::string file_;
  int threads_ = 0;
  std::vector<std::string> set_;
  std::optional<bool> quiet_;
  bool ran_ = false;
};

TEST_F(ProgramTest, SetsWhatTheLineSays) {
  EXPECT_EQ(Run({"train", "a.toml", "--threads", "3", "--set", "a=1", "--set", "b=2", "--loud"}),
            "");
  EXPECT_TRUE(ran_);
  EXPECT_EQ(file_, "a.toml");
  EXPECT_EQ(threads_, 3);
  EXPECT_EQ(set_, (std::vector<std::string>{"a=1", "b=2"}));
  EXPECT_EQ(quiet_, false);
}

TEST_F(ProgramTest, SaysWhatIsWrongWhere) {
  EXPECT_EQ(Run({}), "which command? (--help lists them)");
  EXPECT_EQ(Run({"plan"}), "plan: which command? (--help lists them)");
  EXPECT_EQ(Run({"trian", "a.toml"}), "there is no command 'trian' (did you mean 'train'?)");
  EXPECT_EQ(Run({"train", "a.toml", "--thread", "3"}),
            "train: there is no option '--thread' (did you mean '--threads'?)");
  EXPECT_EQ(Run({"plan", "serve", "--sise=3"}),
            "plan serve: there is no option '--sise' (did you mean '--size'?)");
  EXPECT_EQ(Run({"train"}), "train: FILE is required (--help says more)");
  EXPECT_EQ(Run({"train", "a.toml", "b.toml"}),
            "train: nothing is known to do with 'b.toml' (--help says what it takes)");
  EXPECT_EQ(Run({"train", "a.toml", "--threads", "65"}),
            "train: --threads: Value 65 not in range 1 to 64 (--help says more)");
  EXPECT_FALSE(ran_);
  // A value may look like an option, and a number may be negative.
  EXPECT_EQ(Run({"train", "a.toml", "--set", "--x"}), "");
}

}  // namespace
}  // namespace fathom

// The planner page in a real browser, served by the binary.

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/file.h"
#include "e2e/process.h"

namespace fathom {
namespace {

namespace fs = std::filesystem;

class PlanPage : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = fs::temp_directory_path() / ("fathom_page_" + std::to_string(getpid()));
    fs::create_directories(directory_);
    server_ = std::make_unique<test::Process>(
        directory_, std::vector<std::string>{"plan", "page", "--port", "0"});
    // Until the process has opened its output and said where it listens.
    const auto has_spoken = [&] {
      return fs::exists(directory_ / "stdout.txt") &&
             server_->Out().find('\n') != std::string::npos;
    };
    while (!server_->Ended() && !has_spoken()) std::this_thread::yield();
    const std::string out = server_->Out();
    const size_t begin = out.find("http://");
    ASSERT_NE(begin, std::string::npos) << server_->Err();
    address_ = out.substr(begin, out.find(' ', begin) - begin);
  }
  void TearDown() override {
    server_.reset();
    fs::remove_all(directory_);
  }

  // The page's elements after its scripts have run.
  std::string Dom(const std::string& fragment) {
    const std::string command =
        "timeout 60 chromium --headless=new --no-sandbox --disable-gpu --user-data-dir=" +
        (directory_ / "profile").string() + " --virtual-time-budget=8000 --dump-dom '" + address_ +
        fragment + "' >" + (directory_ / "dom.html").string() + " 2>/dev/null";
    EXPECT_EQ(std::system(command.c_str()), 0);
    return ReadFile(directory_ / "dom.html");
  }

  fs::path directory_;
  std::unique_ptr<test::Process> server_;
  std::string address_;
};

TEST_F(PlanPage, ShowsTheScenariosOfALink) {
  if (std::system("command -v chromium >/dev/null") != 0) GTEST_SKIP() << "there is no chromium";
  const std::string dom = Dom("#serve?on=h800;serve?on=h20");
  EXPECT_NE(dom.find("option-kv-heads-slider"), std::string::npos);
  EXPECT_NE(dom.find("Remove B"), std::string::npos);
  EXPECT_NE(dom.find("×"), std::string::npos);
  EXPECT_NE(dom.find("class=\"whisker\""), std::string::npos);
  EXPECT_EQ(dom.find("role=\"alert\""), std::string::npos);
  const std::string wrong = Dom("#serve?on=nowhere");
  EXPECT_NE(wrong.find("'nowhere' is not known"), std::string::npos);
}

TEST_F(PlanPage, EndsInGoodOrder) {
  server_->Signal(SIGTERM);
  EXPECT_EQ(server_->Status(), 0);
}

}  // namespace
}  // namespace fathom

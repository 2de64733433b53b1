// The planner page in a real browser, served by the binary.

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "e2e/browser.h"
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

  // Until every scenario has been answered.
  static constexpr const char* kAnswered =
      "document.querySelector('#output').getAttribute('aria-busy') === 'false' && "
      "document.querySelector('#output').children.length > 0";
  // The value of a row of the output, as it is shown.
  static std::string Shown(test::Browser& browser, const std::string& key) {
    return browser
        .Evaluate("document.querySelector('tr[data-key=\"" + key +
                  "\"] td.number')"
                  ".textContent")
        .get<std::string>();
  }
  // Drags a slider's thumb from where it is to a share of its width.
  static void DragSlider(test::Browser& browser, const std::string& option, double share) {
    const std::string id = "option-" + option + "-slider";
    const nlohmann::json box =
        browser.Evaluate("(() => { const s = document.getElementById('" + id +
                         "'); s.scrollIntoView({block: 'center'}); const b = "
                         "s.getBoundingClientRect(); const t = 8; "
                         "return {x: b.x + t, y: b.y + b.height / 2, width: b.width - 2 * t, "
                         "at: (s.value - s.min) / (s.max - s.min)}; })()");
    const double x = box["x"], y = box["y"], width = box["width"], at = box["at"];
    browser.Drag(x + width * at, y, x + width * share, y);
  }

  fs::path directory_;
  std::unique_ptr<test::Process> server_;
  std::string address_;
};

TEST_F(PlanPage, ShowsTheScenariosOfALink) {
  test::Browser browser(directory_, 1400, 1000);
  browser.Open(address_ + "#serve?on=h800;serve?on=h20");
  browser.WaitFor(kAnswered);
  browser.WaitFor("document.querySelectorAll('table.compared').length > 3");
  EXPECT_EQ(browser.Evaluate("document.querySelectorAll('.scenario').length"), 2);
  EXPECT_GT(browser.Evaluate("document.querySelectorAll('svg .whisker').length").get<int>(), 3);
  EXPECT_EQ(browser.Evaluate("document.querySelectorAll('[role=alert]').length"), 0);
}

// Every number keeps to its column, however many scenarios there are, and what was asked has a
// card.
TEST_F(PlanPage, FourScenariosStandSideBySide) {
  test::Browser browser(directory_, 1400, 1000);
  browser.Open(address_ +
               "#serve?on=h800&samples=50;serve?on=h20&samples=50;serve?on=h200&samples=50;"
               "serve?on=b200&samples=50");
  browser.WaitFor(kAnswered);
  browser.WaitFor("document.querySelectorAll('table.compared thead th.number').length > 12");
  EXPECT_GT(
      browser.Evaluate("document.querySelectorAll('table.compared .range-text').length").get<int>(),
      40);
  const auto outside = browser.Evaluate(
      "[...document.querySelectorAll('table.compared td')].filter((cell) => { const box = "
      "document.createRange(); box.selectNodeContents(cell); const text = "
      "box.getBoundingClientRect(), room = cell.getBoundingClientRect(); return text.width > 0 && "
      "(text.left < room.left - 1 || text.right > room.right + 1); }).map((cell) => "
      "cell.textContent)");
  EXPECT_EQ(outside.size(), 0u) << outside;
  for (const char* key : {"hit_cost", "miss_cost", "output_cost", "cost", "margin"}) {
    EXPECT_EQ(browser.Evaluate("document.querySelectorAll(\".headlines li[data-key='" +
                               std::string(key) + "'] svg rect\").length"),
              4)
        << key;
  }
}

TEST_F(PlanPage, SlidersMoveTheAnswer) {
  test::Browser browser(directory_, 1400, 1000);
  browser.Open(address_ + "#serve?samples=50");
  browser.WaitFor(kAnswered);
  const std::string before = Shown(browser, "output_cost");
  DragSlider(browser, "speed", 0.65);
  browser.WaitFor("location.hash.includes('speed=')");
  browser.WaitFor(kAnswered);
  const std::string faster = Shown(browser, "output_cost");
  EXPECT_NE(faster, before);
  // What the hash carries is what the box says, and what another page shows that opens it.
  const auto link = browser.Evaluate("location.href").get<std::string>();
  const auto box = browser.Evaluate("document.getElementById('option-speed').value");
  EXPECT_NE(link.find("speed=" + box.get<std::string>()), std::string::npos) << link;
  browser.Open(link);
  browser.WaitFor(kAnswered);
  EXPECT_EQ(Shown(browser, "output_cost"), faster);
  EXPECT_EQ(browser.Evaluate("document.getElementById('option-speed').value"), box);
  // A second scenario beside it, which the link carries too.
  browser.Evaluate("document.getElementById('add').click()");
  DragSlider(browser, "hit-rate", 0.02);
  browser.WaitFor("/;serve.*hit-rate/.test(location.hash)");
  browser.WaitFor(kAnswered);
  EXPECT_EQ(browser.Evaluate("document.querySelectorAll('.scenario').length"), 2);
  browser.WaitFor("document.querySelector('tr[data-key=cost].differs')");
}

// What drives a number is below its row when its name is pressed, and stays when numbers change.
TEST_F(PlanPage, RowsSayWhatDrivesThem) {
  test::Browser browser(directory_, 1400, 1000);
  browser.Open(address_ + "#price?samples=50");
  browser.WaitFor(kAnswered);
  EXPECT_EQ(browser.Evaluate("document.querySelectorAll('tr.drivers:not([hidden])').length"), 0);
  browser.Evaluate("document.querySelector('tr[data-key=electricity] button.why').click()");
  EXPECT_EQ(browser.Evaluate("document.querySelectorAll('tr.drivers:not([hidden]) svg').length"),
            1);
  DragSlider(browser, "device-price", 0.8);
  browser.WaitFor("location.hash.includes('device-price=')");
  browser.WaitFor(kAnswered);
  EXPECT_EQ(browser.Evaluate("document.querySelectorAll('tr.drivers:not([hidden])').length"), 1);
}

// Every question has an answer (without samples, which take their time), and one is asked by hand.
TEST_F(PlanPage, QuestionsHaveAnswers) {
  test::Browser browser(directory_, 1400, 1000);
  browser.Open(address_ + "#price?samples=0");
  browser.WaitFor(kAnswered);
  const auto answers = browser.Evaluate(
      "import('./questions.js').then(({QUESTIONS}) => Promise.all(QUESTIONS.flatMap((q) => "
      "q.scenarios.map((s) => fetch('plan', {method: 'POST', headers: {'Content-Type': "
      "'application/json'}, body: JSON.stringify({command: q.command, options: {...s, samples: "
      "'0'}})}).then(async (r) => r.ok ? '' : q.title + ' ' + await r.text())))))");
  EXPECT_GT(answers.size(), 40u);
  for (const auto& answer : answers) EXPECT_EQ(answer, "");
  browser.Evaluate(
      "(() => { const q = document.getElementById('questions'); q.selectedIndex = "
      "[...q.options].findIndex((o) => o.text.includes('MLA')); q.dispatchEvent(new "
      "Event('change')); })()");
  browser.WaitFor("document.querySelectorAll('.scenario').length === 3");
  browser.WaitFor(kAnswered);
  EXPECT_NE(browser.Evaluate("location.hash").get<std::string>().find("kv-heads=8"),
            std::string::npos);
}

TEST_F(PlanPage, FaultsStandBesideTheirControl) {
  test::Browser browser(directory_, 1400, 1000);
  browser.Open(address_ + "#train?devices=2047");
  browser.WaitFor(kAnswered);
  EXPECT_NE(browser.Evaluate("document.querySelector('.option.faulty .wrong').textContent")
                .get<std::string>()
                .find("the nearest that fits is 2048"),
            std::string::npos);
  EXPECT_EQ(browser.Evaluate("document.querySelector('.option.faulty').dataset.option"), "devices");
}

// Nothing is wider than a phone, but what scrolls by itself.
TEST_F(PlanPage, FitsAPhone) {
  test::Browser browser(directory_, 420, 900);
  for (const char* link : {"train", "serve;serve?on=h20", "price", "fleet", "market"}) {
    browser.Open(address_ + "#" + link);
    browser.WaitFor(kAnswered);
    EXPECT_LE(browser.Evaluate("document.documentElement.scrollWidth - innerWidth").get<int>(), 0)
        << link;
  }
}

TEST_F(PlanPage, EndsInGoodOrder) {
  server_->Signal(SIGTERM);
  EXPECT_EQ(server_->Status(), 0);
}

}  // namespace
}  // namespace fathom

// The run dashboard in a real browser, served by the binary. Most logs are written by the tests.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/temporary_directory.h"
#include "e2e/browser.h"
#include "e2e/process.h"
#include "train/tiny_run.h"

namespace fathom::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string Line(const json& line) { return line.dump() + "\n"; }

std::string StartLine(int steps, const json& more = json::object()) {
  json line = {{"kind", "start"}, {"step", 0},           {"steps", steps},
               {"layers", 3},     {"parameters", 12345}, {"expert_layers", {1, 2, 3}},
               {"time", 1.7e9}};
  line.update(more);
  return Line(line);
}
// 64 tokens and 2 seconds each; the loss is 10 / step.
std::string StepLine(int step, const json& more = json::object()) {
  json line = {{"kind", "step"},          {"step", step},      {"tokens", 64 * step},
               {"loss", 10.0 / step},     {"lr", 0.001},       {"grad_norm", 1.5},
               {"mtp_loss", {5.0}},       {"mtp_weight", 0.3}, {"max_violation", 0.5},
               {"time", 1.7e9 + 2 * step}};
  line.update(more);
  return Line(line);
}
std::string Steps(int from, int to) {
  std::string lines;
  for (int step = from; step <= to; ++step) lines += StepLine(step);
  return lines;
}

class DashboardPage : public testing::Test {
 protected:
  ~DashboardPage() override {
    if (HasFailure()) return;
    for (const std::string& fault : browser_.faults()) ADD_FAILURE() << fault;
  }

  fs::path Log(const std::string& run) const { return directory_ / "runs" / run / "log.jsonl"; }
  void Append(const std::string& run, const std::string& lines) {
    fs::create_directories(Log(run).parent_path());
    std::ofstream(Log(run), std::ios::binary | std::ios::app) << lines;
  }
  void Serve(const std::string& port = "0") {
    fs::create_directories(directory_ / "runs");
    server_ = std::make_unique<Process>(
        directory_.path(),
        std::vector<std::string>{"dashboard", (directory_ / "runs").string(), "--port", port});
    port_ = std::to_string(server_->AwaitPort());
    ASSERT_NE(port_, "0") << server_->Err();
  }
  void Open(const std::string& hash = "") {
    if (!server_) Serve();
    browser_.Open("http://127.0.0.1:" + port_ + "/" + hash);
  }
  json Evaluate(const std::string& expression) { return browser_.Evaluate(expression); }
  void WaitFor(const std::string& expression) {
    SCOPED_TRACE(expression);
    browser_.WaitFor(expression);
  }
  static std::string Chart(const std::string& title) {
    return "document.querySelector('[data-chart=\"" + title + "\"]')";
  }
  // Until what a chart says in words has a text in it.
  void WaitForChart(const std::string& title, const std::string& words) {
    WaitFor(Chart(title) + ".querySelector('.plot svg').getAttribute('aria-label').includes(" +
            json(words).dump() + ")");
  }
  void WaitForRun(const std::string& name) {
    WaitFor("document.querySelector('h1')?.textContent === " + json(name).dump());
  }
  std::string Text(const std::string& selector) {
    return Evaluate("document.querySelector('" + selector + "').textContent");
  }
  json Count(const std::string& selector) {
    return Evaluate("document.querySelectorAll('" + selector + "').length");
  }
  // Of a run in the list, with its name and how far it is.
  static std::string Button(const std::string& name) {
    return "[...document.querySelectorAll('.runs button')].find((b) => "
           "b.querySelector('.name').textContent === " +
           json(name).dump() + ")";
  }
  void Click(const std::string& expression) {
    WaitFor("(" + expression + ") != null");
    Evaluate("(" + expression + ").click()");
  }

  TemporaryDirectory directory_;
  std::unique_ptr<Process> server_;
  std::string port_;
  Browser browser_{directory_.path(), 1400, 1000};
};

TEST_F(DashboardPage, ARunIsFollowedWhileItIsWritten) {
  Append("one", StartLine(1000) + Steps(1, 20));
  Open();
  WaitForRun("one");
  WaitForChart("Loss", "training: now");
  WaitFor(Button("one") + ".textContent.includes('step 20')");
  EXPECT_EQ(Evaluate("document.querySelector('#smoothing').value = 0, "
                     "document.querySelector('#smoothing').dispatchEvent(new Event('input')), 1"),
            1);
  WaitForChart("Loss", "now 0.5, between 0.5 and 10");
  EXPECT_EQ(Count("[data-chart=\"Held-out text\"]"), 0);
  // Half a line is no line yet.
  const std::string next = StepLine(25);
  Append("one", Steps(21, 24) + next.substr(0, 30));
  WaitForChart("Loss", "now 0.4167");
  Append("one",
         next.substr(30) + Line({{"kind", "validation"}, {"step", 25}, {"bits_per_byte", 1.25}}));
  WaitForChart("Loss", "now 0.4,");
  WaitForChart("Held-out text", "now 1.25");
  WaitFor("document.querySelector('.progress').textContent.startsWith('step 25 of 1,000')");
  EXPECT_EQ(Text(".badge"), "stopped?");  // its lines are of 2023
  Append("one", Line({{"kind", "result"}, {"step", 25}, {"seconds", 9}}));
  WaitFor("document.querySelector('.badge').textContent === 'finished'");
  // Stopped in good order is no silence.
  Append("one", Line({{"kind", "start"}, {"step", 25}, {"steps", 2000}, {"time", 1.7e9 + 60}}) +
                    Line({{"kind", "interrupted"}, {"step", 25}, {"time", 1.7e9 + 70}}));
  WaitFor("document.querySelector('.badge').textContent === 'interrupted'");
  WaitFor(Button("one") + ".textContent.endsWith('step 25 · interrupted')");
  // Nothing of a title is cut off.
  EXPECT_EQ(Text("[data-chart=\"Busiest expert\"] .unit"), "over its share (max violation)");
  EXPECT_EQ(Evaluate("[...document.querySelectorAll('.chart .names *')].filter((one) => "
                     "one.scrollWidth > one.clientWidth && getComputedStyle(one).overflow === "
                     "'hidden').length"),
            0);
  EXPECT_EQ(Evaluate(Chart("Busiest expert") + ".querySelector('.names').title"),
            "Busiest expert, over its share (max violation)");
  // What only some runs have makes no empty charts.
  EXPECT_EQ(Count("[data-chart=\"Reward\"]"), 0);
  EXPECT_EQ(Evaluate("document.querySelector('[data-group=Reward]').hidden"), true);
}

TEST_F(DashboardPage, RunsShowUpAsTheyBegin) {
  Open();
  WaitFor("!document.getElementById('welcome').hidden");
  Append("deep/down/first", StartLine(10) + Steps(1, 2));
  WaitForRun("deep/down/first");
  Append("second", StartLine(10) + Steps(1, 3));
  WaitFor("document.querySelectorAll('.runs li').length === 2");
  // What is looked at stays.
  EXPECT_EQ(Text("h1"), "deep/down/first");
  fs::remove_all(directory_ / "runs/deep");
  WaitForRun("second");
  EXPECT_EQ(Count(".runs li"), 1);
}

TEST_F(DashboardPage, WhatOthersWroteIsText) {
  const std::string evil =
      "<img src=x onerror='window.hacked = 1'><script>window.hacked = 2<\\/script>";
  const std::string name = "<script>hacked=3<b>";
  Append(name, StartLine(10));
  Append(name, StepLine(1, {{"<i>metric</i>", 7}}));
  Append(name, Line({{"kind", "sample"},
                     {"step", 1},
                     {"prompt", "<b>Once</b>"},
                     {"text", "<b>Once</b> upon " + evil}}));
  std::ofstream(directory_ / "runs" / name / "config.toml") << "output = '" << evil << "'\n";
  Open();
  WaitForRun(name);
  WaitFor("document.querySelector('.sample pre')?.textContent === " +
          json("<b>Once</b> upon " + evil).dump());
  EXPECT_EQ(Text(".sample .prompt"), "<b>Once</b>");
  WaitFor("document.querySelector('.config').textContent.includes('onerror')");
  WaitFor(Chart("<i>metric</i>") + " !== null");
  EXPECT_EQ(Count("main img, main script, main b, main i, nav b"), 0);
  EXPECT_EQ(Evaluate("typeof window.hacked"), "undefined");
  const std::string policy =
      Evaluate("fetch('/').then((answer) => answer.headers.get('Content-Security-Policy'))");
  EXPECT_NE(policy.find("default-src 'none'; script-src 'self'; style-src 'self'"),
            std::string::npos);
  EXPECT_NE(policy.find("require-trusted-types-for 'script'"), std::string::npos);
  EXPECT_EQ(policy.find("unsafe"), std::string::npos);
}

TEST_F(DashboardPage, ExpertsHaveHeatMaps) {
  std::string log = StartLine(100);
  for (int step = 1; step <= 12; ++step) {
    const double odd = step == 12 ? 3.5 : 0.5;
    log += StepLine(
        step, {{"expert_load", {{1, 1, 1, 1}, {0.25, 0.75, odd, 2.5}, {1.5, 0.5, 1.5, 0.5}}}});
  }
  Append("moe", log);
  Open();
  const std::string map =
      "document.querySelector('[data-map=\"Expert load of all layers\"] canvas')";
  const std::string over =
      "document.querySelector('[data-map=\"Expert load over the run\"] canvas')";
  WaitFor(map + ".dataset.rows === '3'");
  EXPECT_EQ(Evaluate(map + ".dataset.columns"), "4");
  EXPECT_EQ(Evaluate(over + ".dataset.rows"), "4");
  EXPECT_EQ(Evaluate(over + ".dataset.columns"), "12");
  const std::string said = Evaluate(map + ".getAttribute('aria-label')");
  EXPECT_NE(said.find("Busiest: layer 2, expert 2, 3.5× its share."), std::string::npos) << said;
  EXPECT_NE(said.find("Idlest: layer 2, expert 0, 0.25× its share."), std::string::npos) << said;
  EXPECT_NE(said.find("1 of 12 get less than half"), std::string::npos) << said;
  // Different loads have different colours.
  const std::string colours = Evaluate(
      "(() => { const c = " + map +
      ", at = (row, column) => [...c.getContext('2d').getImageData((column + 0.5) * c.width / 4, "
      "(row + 0.5) * c.height / 3, 1, 1).data].slice(0, 3).join(); return [at(0, 0) === at(0, 3), "
      "at(1, 0) === at(1, 3), at(1, 2) === at(2, 0), at(2, 0) === at(2, 2)].join(); })()");
  EXPECT_EQ(colours, "true,false,false,true");
  // Cells are read with the arrow keys.
  Evaluate(map + ".focus()");
  browser_.Press("ArrowDown");
  browser_.Press("ArrowRight");
  WaitFor(
      "document.getElementById('spoken').textContent === "
      "'layer 2, expert 1: 0.75× its share at step 12'");
  // At another step.
  Evaluate(
      "(() => { const slider = document.getElementById('load-step'); slider.value = 3; "
      "slider.dispatchEvent(new Event('input')); })()");
  WaitFor(map + ".getAttribute('aria-label').includes('Busiest: layer 2, expert 3, 2.5×')");
  // Of the MTP module, over the run.
  Evaluate(
      "(() => { const layers = document.getElementById('load-layer'); layers.selectedIndex = "
      "2; layers.dispatchEvent(new Event('change')); })()");
  EXPECT_EQ(Evaluate("document.getElementById('load-layer').value"), "MTP module 1");
  WaitFor(over + ".getAttribute('aria-label').includes('expert 0 got most, 1.5×')");
  // New ones come, and the step that was chosen stays.
  Append("moe", StepLine(13, {{"expert_load", {{1, 1, 1, 1}, {1, 1, 1, 1}, {1, 1, 1, 1}}}}));
  WaitFor(over + ".dataset.columns === '13'");
  EXPECT_EQ(Evaluate("document.getElementById('load-step').value"), "3");
}

// A resumed run writes its log anew, up to its checkpoint.
TEST_F(DashboardPage, AResumedRunLosesWhatItHadLost) {
  Append("run", StartLine(100) + Steps(1, 50));
  Open();
  WaitForChart("Learning rate", "now");
  WaitFor(Button("run") + ".textContent.includes('step 50')");
  // How far the axis goes.
  const std::string ticks = "[..." + Chart("Loss") +
                            ".querySelectorAll('.tick[text-anchor=middle]')].map((tick) => "
                            "Number(tick.textContent))";
  WaitFor("Math.max(..." + ticks + ") === 40");
  WriteFileAtomically(Log("run"), StartLine(100) + Steps(1, 30));
  WaitFor(Button("run") + ".textContent.includes('step 30')");
  WaitFor("Math.max(..." + ticks + ") === 30");
  Append("run", StepLine(31, {{"lr", 0.5}}));
  WaitForChart("Learning rate", "now 0.5");
}

TEST_F(DashboardPage, RunsAreCompared) {
  Append("a", StartLine(100) + Steps(1, 30));
  Append("b", StartLine(100) + Steps(1, 60));
  std::ofstream(directory_ / "runs/a/config.toml") << "seed = 1\n\n[optimizer]\nlr = 0.1\n";
  std::ofstream(directory_ / "runs/b/config.toml") << "seed = 1\n\n[optimizer]\nlr = 0.2\n";
  Open();
  WaitFor("document.querySelectorAll('.runs li').length === 2");
  Click(Button("a"));
  WaitForRun("a");
  WaitFor(Chart("Loss") + ".querySelectorAll('.plot .line').length === 1");
  Evaluate(Button("b") + ".closest('li').querySelector('input').click()");
  WaitForRun("2 runs compared");
  WaitFor(Chart("Loss") + ".querySelectorAll('.plot .line').length === 2");
  const json colours = Evaluate("[..." + Chart("Loss") +
                                ".querySelectorAll('.plot .line')].map((line) => "
                                "getComputedStyle(line).stroke)");
  EXPECT_NE(colours[0], colours[1]);
  EXPECT_EQ(Count("table.compared tbody tr"), 2);
  WaitFor("document.querySelector('.differences')?.textContent.includes('optimizer.lr')");
  EXPECT_EQ(Count(".differences tbody tr"), 1);
  // The link shows the same to whoever opens it.
  const std::string link = Evaluate("location.href");
  Append("c", StartLine(100) + Steps(1, 5));
  browser_.Open(link);
  WaitForRun("2 runs compared");
  EXPECT_EQ(Evaluate("document.querySelectorAll('.runs li.shown').length"), 2);
  // One alone again.
  Click(Button("c"));
  WaitForRun("c");
}

TEST_F(DashboardPage, ChartsAreReadAndZoomed) {
  Append("run", StartLine(100) + Steps(1, 100));
  Open();
  WaitForChart("Loss", "now");
  const json box = Evaluate("(() => { const b = " + Chart("Loss") +
                            ".querySelector('.plot svg').getBoundingClientRect(); return {x: b.x, "
                            "y: b.y, width: b.width, height: b.height}; })()");
  const double x = box["x"], y = box["y"], width = box["width"], height = box["height"];
  browser_.Drag(x + width * 0.5, y + height * 0.4, x + width * 0.7, y + height * 0.4);
  WaitFor("!document.getElementById('reset-zoom').hidden");
  // All charts show the same part.
  for (const char* chart : {"Loss", "Gradient norm"}) {
    const std::string ticks = "[..." + Chart(chart) +
                              ".querySelectorAll('.tick[text-anchor=middle]')].map((tick) => "
                              "Number(tick.textContent))";
    WaitFor(ticks + ".every((tick) => tick > 40 && tick < 75)");
  }
  // Values stand where the pointer is, and the line is in every chart.
  browser_.Drag(x + width * 0.6, y + height * 0.4, x + width * 0.6, y + height * 0.4);
  WaitFor("!" + Chart("Loss") + ".querySelector('.tip').hidden");
  EXPECT_NE(Text("[data-chart=\"Loss\"] .tip p").find("step "), std::string::npos);
  EXPECT_EQ(
      Evaluate(Chart("Gradient norm") + ".querySelector('.cross').getAttribute('visibility')"),
      "visible");
  Evaluate("document.getElementById('reset-zoom').click()");
  WaitFor("document.getElementById('reset-zoom').hidden");
  // With the keyboard alone.
  Evaluate(Chart("Loss") + ".querySelector('.plot svg').focus()");
  browser_.Press("End");
  browser_.Press("ArrowLeft");
  WaitFor("document.getElementById('spoken').textContent.startsWith('step 99: training')");
  browser_.Press("Escape");
  // Another axis.
  Evaluate("document.querySelector('input[value=tokens]').click()");
  WaitFor(Chart("Loss") + ".querySelector('.axis-name').textContent === 'tokens'");
  Evaluate("document.querySelector('input[value=time]').click()");
  WaitFor(Chart("Loss") + ".querySelector('.axis-name').textContent === 'time since the start'");
  // A logarithmic one has the powers of ten.
  Evaluate(Chart("Loss") + ".querySelector('.log').click()");
  WaitFor("[..." + Chart("Loss") +
          ".querySelectorAll('.tick[text-anchor=end]')].some((tick) => tick.textContent === '1')");
}

TEST_F(DashboardPage, RewardsHaveCurves) {
  std::string log = StartLine(10, {{"problems", 7}, {"chat_template", "x"}});
  for (int step = 1; step <= 5; ++step) {
    log += Line({{"kind", "step"},
                 {"step", step},
                 {"tokens", step},
                 {"loss", -0.1},
                 {"reward", 0.125 * step},
                 {"accuracy", 0.1 * step},
                 {"format", 1},
                 {"answer_tokens", 10 + step},
                 {"finished", 0.5},
                 {"kl", 0.01},
                 {"ratio", 1},
                 {"clipped", 0},
                 {"deviation", 0},
                 {"time", 1.7e9 + step}});
  }
  log += Line({{"kind", "sample"}, {"step", 5}, {"text", "the best"}, {"reward", 1}});
  log += Line({{"kind", "sample"}, {"step", 5}, {"text", "the worst"}, {"reward", -0.5}});
  Append("grpo", log + Line({{"kind", "validation"}, {"step", 5}, {"accuracy", 0.75}}));
  Open();
  WaitForChart("Reward", "between 0.125 and");
  WaitForChart("Right answers", "held out, greedy: now 75 %");
  WaitFor(Chart("Parts of the reward") + ".querySelectorAll('.legend button').length === 2");
  for (const char* chart : {"Length of answers", "Answers that ended themselves", "Policy loss",
                            "Divergence from the reference", "Clipped", "Ratio"}) {
    EXPECT_EQ(Evaluate(Chart(chart) + " !== null"), true) << chart;
  }
  EXPECT_EQ(Evaluate(Chart("Loss") + " === null"), true);
  // A line is hidden by its name in the legend.
  Click(Chart("Parts of the reward") + ".querySelector('.legend button')");
  EXPECT_EQ(Evaluate(Chart("Parts of the reward") + ".querySelectorAll('.plot .line').length"), 1);
  WaitFor("document.querySelectorAll('.sample').length === 2");
  EXPECT_EQ(Text(".sample .reward"), "reward 1");
  EXPECT_EQ(Evaluate("[...document.querySelectorAll('.sample pre')].map((s) => s.textContent)"),
            (json{"the best", "the worst"}));
}

// The server may stop and start again; what was shown stays meanwhile.
TEST_F(DashboardPage, ARestartOfTheServerIsNoticed) {
  Append("run", StartLine(100) + Steps(1, 10));
  Open();
  WaitForChart("Loss", "now");
  server_->Signal(SIGTERM);
  EXPECT_EQ(server_->Status(), 0);
  WaitFor("!document.getElementById('disconnected').hidden");
  EXPECT_EQ(Text("h1"), "run");
  Append("run", StepLine(11, {{"lr", 0.25}}));
  Serve(port_);
  Evaluate("document.getElementById('try').click()");
  WaitFor("document.getElementById('disconnected').hidden");
  WaitForChart("Learning rate", "now 0.25");
}

// 200,000 steps take no more elements and no longer lines than some thousand.
TEST_F(DashboardPage, LongRunsAreDrawnShort) {
  std::string log = StartLine(200'000);
  for (int step = 1; step <= 200'000; ++step) {
    log += Line({{"kind", "step"},
                 {"step", step},
                 {"tokens", 64 * step},
                 {"loss", step == 123'456 ? 50.0 : 2.0 + step % 2},
                 {"time", 1.7e9 + step}});
  }
  Append("long", log);
  Open();
  WaitForRun("long");
  WaitFor("document.querySelector('.note') === null");
  WaitForChart("Loss", "now 2.5");
  EXPECT_LT(Evaluate(Chart("Loss") + ".querySelector('.plot .line').getAttribute('d').length"),
            60'000);
  EXPECT_GT(Evaluate(Chart("Loss") + ".querySelector('.plot .band').getAttribute('d').length"),
            1000);
  Append("long", StepLine(200'001, {{"lr", 0.125}}));
  WaitForChart("Learning rate", "now 0.125");
}

TEST_F(DashboardPage, FitsAPhoneInBothColours) {
  const std::string name = "a-run-with-a-name-that-is-much-longer-than-any-phone-is-wide-and-more";
  Append(name, StartLine(100) + Steps(1, 20));
  const json load = json::array({std::vector(16, 1), std::vector(16, 1)});
  for (int step = 10'000; step < 10'060; ++step)
    Append(name, StepLine(step, {{"expert_load", load}}));
  Append("other", StartLine(100) + Steps(1, 20));
  Append(name, Line({{"kind", "sample"}, {"step", 10'060}, {"text", std::string(500, 'x')}}));
  Append(name, StepLine(10'061, {{"time", 1.8e9}, {"finished", 0.95123}, {"kl", 0.0001234}}));
  browser_.Resize(390, 844);
  Open();
  for (const bool dark : {false, true}) {
    browser_.PreferDark(dark);
    WaitForRun(name);
    WaitFor("document.querySelector('.sample pre') !== null");
    WaitFor("document.querySelector('.heat').clientHeight > 0");
    EXPECT_LE(Evaluate("document.documentElement.scrollWidth - "
                       "document.documentElement.clientWidth"),
              0);
    const std::string paper = Evaluate("getComputedStyle(document.body).backgroundColor");
    EXPECT_EQ(paper, dark ? "rgb(20, 22, 26)" : "rgb(251, 250, 248)");
  }
  // The list of runs opens and closes again when one is chosen.
  EXPECT_EQ(Evaluate("document.getElementById('run-list').clientHeight"), 0);
  Evaluate("document.getElementById('show-runs').click()");
  EXPECT_GT(Evaluate("document.getElementById('run-list').clientHeight"), 0);
  Click(Button("other"));
  WaitForRun("other");
  EXPECT_EQ(Evaluate("document.getElementById('run-list').clientHeight"), 0);
}

// What fathom train writes is what the page shows.
TEST_F(DashboardPage, ARealRunIsShownToItsEnd) {
  WriteLanguage(directory_ / "texts", 40, 40);
  const RunConfig config =
      TinyRun(directory_.path(), {"output=runs/tiny", "validation.every=4", "steps=20"});
  std::ofstream(directory_ / "run.toml") << config.ToToml();
  Open();
  fs::create_directories(directory_ / "train");
  Process train(directory_ / "train",
                {"train", (directory_ / "run.toml").string(), "--quiet", "--threads", "1"});
  WaitForRun("tiny");
  EXPECT_EQ(train.Status(), 0) << train.Err();
  WaitFor("document.querySelector('.badge').textContent === 'finished'");
  WaitForChart("Loss", "held out: now");
  WaitForChart("Held-out text", "now");
  WaitForChart("MTP acceptance", "now");
  WaitFor("document.querySelector('.progress').textContent.includes('step 20 of 20')");
  WaitFor("document.querySelector('.heat').dataset.rows === '2'");
  EXPECT_EQ(Evaluate("document.querySelector('.heat').dataset.columns"), "4");
  EXPECT_EQ(Evaluate("[...document.querySelectorAll('#load-layer option')].map((o) => o.text)"),
            (json{"layer 1", "MTP module 1"}));
  WaitFor("document.querySelector('.config')?.textContent.includes('load_entries = 200')");
}

TEST_F(DashboardPage, AFolderThatIsNotThereIsAnError) {
  Process none(directory_.path(), {"dashboard", (directory_ / "nowhere").string()});
  EXPECT_EQ(none.Status(), 1);
  EXPECT_NE(none.Err().find("nowhere: is no folder"), std::string::npos) << none.Err();
}

}  // namespace
}  // namespace fathom::test

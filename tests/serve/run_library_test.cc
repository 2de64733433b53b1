#include "serve/runs/run_library.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/temporary_directory.h"
#include "serve/client.h"
#include "serve/running_server.h"
#include "serve/runs/run_routes.h"

namespace fathom {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

std::string Line(json line) { return line.dump() + "\n"; }
std::string StepLine(int step, double time = 0) {
  return Line({{"kind", "step"},
               {"step", step},
               {"tokens", 100 * step},
               {"loss", 1.0 / step},
               {"time", time}});
}

class RunLibraryTest : public testing::Test {
 protected:
  void Write(const std::string& run, std::string_view text) {
    fs::create_directories(directory_ / run);
    std::ofstream(directory_ / (run + "/log.jsonl"), std::ios::binary | std::ios::app) << text;
  }
  RunLibrary Library() { return RunLibrary({directory_.path()}, 0ms); }
  static json List(RunLibrary& library, double now = 0) {
    return json::parse(library.ListJson(now)).at("runs");
  }
  static std::string Id(RunLibrary& library, const std::string& name) {
    for (const json& run : List(library)) {
      if (run.at("name") == name) return run.at("id");
    }
    return "";
  }
  // All that is known of a run.
  static json News(RunRecord& run, RunRecord::Seen seen = {}) {
    seen.wants_loads = true;
    return json::parse(run.NewsJson(seen));
  }

  TemporaryDirectory directory_;
};

TEST_F(RunLibraryTest, FindsRunsWhereverTheyAre) {
  Write("b/c", Line({{"kind", "start"}, {"step", 0}, {"time", 3}}));
  Write("a", Line({{"kind", "start"}, {"step", 0}, {"chat_template", "x"}, {"time", 2}}));
  Write("a/inside", Line({{"kind", "start"}, {"step", 0}}));
  Write("1/2/3/4", Line({{"kind", "start"}, {"step", 0}, {"problems", 7}, {"time", 1}}));
  Write("r", Line({{"kind", "start"},
                   {"step", 0},
                   {"reward_kind", "pairwise"},
                   {"chat_template", "x"},
                   {"time", 0.5}}));
  Write("1/2/3/too/deep", Line({{"kind", "start"}, {"step", 0}}));
  Write(".hidden", Line({{"kind", "start"}, {"step", 0}}));
  fs::create_directory_symlink(directory_.path(), directory_ / "round");
  RunLibrary library = Library();
  const json runs = List(library);
  ASSERT_EQ(runs.size(), 4u) << runs;
  EXPECT_EQ(runs[0]["name"], "b/c");
  EXPECT_EQ(runs[0]["kind"], "pretraining");
  EXPECT_EQ(runs[1]["name"], "a");
  EXPECT_EQ(runs[1]["kind"], "sft");
  EXPECT_EQ(runs[2]["name"], "1/2/3/4");
  EXPECT_EQ(runs[2]["kind"], "rl");
  EXPECT_EQ(runs[3]["kind"], "reward");
  // Runs come and go.
  Write("new", Line({{"kind", "start"}, {"step", 0}, {"time", 9}}));
  fs::remove(directory_ / "a/log.jsonl");
  const json later = List(library);
  ASSERT_EQ(later.size(), 5u) << later;  // a/inside is no longer inside of a run
  EXPECT_EQ(later[0]["name"], "new");
  RunLibrary one({directory_ / "b/c"}, 0ms);
  EXPECT_EQ(List(one)[0]["name"], "c");
  EXPECT_EQ(List(one)[0]["id"], runs[0]["id"]);
  EXPECT_ERROR(RunLibrary({directory_ / "nowhere"}, 0ms), "nowhere");
  // What is called the same is told apart by its path.
  Write("d/c", Line({{"kind", "start"}, {"step", 0}, {"time", 4}}));
  RunLibrary two({directory_ / "b/c", directory_ / "d/c"}, 0ms);
  EXPECT_EQ(List(two)[0]["name"], fs::canonical(directory_ / "d/c").string());
}

TEST_F(RunLibraryTest, SaysHowARunGoes) {
  Write("run", Line({{"kind", "start"}, {"step", 0}, {"steps", 1000}, {"time", 1000}}));
  for (int step = 1; step <= 100; ++step) Write("run", StepLine(step, 1000 + 3 * step));
  RunLibrary library = Library();
  const json run = List(library, 1310)[0];
  EXPECT_EQ(run["state"], "running");
  EXPECT_EQ(run["step"], 100);
  EXPECT_EQ(run["steps"], 1000);
  EXPECT_EQ(run["tokens"], 10000);
  EXPECT_EQ(run["loss"], 0.01);
  EXPECT_EQ(run["seconds_left"], 2700);
  EXPECT_EQ(run["started"], 1000);
  // Long after any step would have come.
  EXPECT_EQ(List(library, 1300 + 119)[0]["state"], "running");
  EXPECT_EQ(List(library, 1300 + 121)[0]["state"], "stale");
  Write("run", Line({{"kind", "result"}, {"step", 100}, {"time", 1304}}));
  EXPECT_EQ(List(library, 1e6)[0]["state"], "finished");
  // It was resumed with more steps.
  Write("run", Line({{"kind", "start"}, {"step", 100}, {"steps", 2000}, {"time", 1500}}));
  const json resumed = List(library, 1510)[0];
  EXPECT_EQ(resumed["state"], "running");
  EXPECT_EQ(resumed["steps"], 2000);
  // It was stopped, which is no silence.
  Write("run", Line({{"kind", "interrupted"}, {"step", 100}, {"time", 1511}}));
  EXPECT_EQ(List(library, 1e6)[0]["state"], "interrupted");
}

// After the last step all that is held out is judged.
TEST_F(RunLibraryTest, TheEndMayTakeItsTime) {
  Write("run", Line({{"kind", "start"}, {"step", 0}, {"steps", 2}, {"time", 1000}}));
  Write("run", StepLine(1, 1001) + StepLine(2, 1002));
  RunLibrary library = Library();
  EXPECT_EQ(List(library, 1002 + 1799)[0]["state"], "running");
  EXPECT_FALSE(List(library, 1100)[0].contains("seconds_left"));
  EXPECT_EQ(List(library, 1002 + 1801)[0]["state"], "stale");
}

// Of slow steps ten are waited for.
TEST_F(RunLibraryTest, SlowRunsAreNotStaleSoon) {
  Write("run", StepLine(1, 1000) + StepLine(2, 1600));
  RunLibrary library = Library();
  EXPECT_EQ(List(library, 1600 + 5999)[0]["state"], "running");
  EXPECT_EQ(List(library, 1600 + 6001)[0]["state"], "stale");
}

// The list reads the ends of a log, however long it is.
TEST_F(RunLibraryTest, TheListDoesNotReadALongLog) {
  Write("run", Line({{"kind", "start"}, {"step", 0}, {"problems", 1}, {"time", 1}}));
  const fs::path log = directory_ / "run/log.jsonl";
  fs::resize_file(log, uint64_t{3} << 30);  // a hole of 3 GiB
  Write("run", "\n" + StepLine(7, 99));
  RunLibrary library = Library();
  const json run = List(library, 100)[0];
  EXPECT_EQ(run["kind"], "rl");
  EXPECT_EQ(run["step"], 7);
  EXPECT_EQ(run["state"], "running");
}

TEST_F(RunLibraryTest, NewsAreWhatHasComeSince) {
  Write("run", Line({{"kind", "start"},
                     {"step", 0},
                     {"steps", 10},
                     {"layers", 2},
                     {"expert_layers", {1, 2}},
                     {"parameters", 123}}));
  Write("run", Line({{"kind", "step"},
                     {"step", 1},
                     {"tokens", 5},
                     {"mtp_loss", {3, 4}},
                     {"expert_load", {{0.5, 1.5}, {1, 1}}}}));
  Write("run", Line({{"kind", "validation"}, {"step", 1}, {"bits_per_byte", 1.5}}));
  Write("run", Line({{"kind", "sample"}, {"step", 1}, {"text", "once"}, {"prompt", "on"}}));
  RunLibrary library = Library();
  const auto run = library.Open(Id(library, "run"));
  ASSERT_NE(run, nullptr);
  const json first = News(*run);
  EXPECT_EQ(first["kind"], "pretraining");
  EXPECT_EQ(first["start"]["steps"], 10);
  EXPECT_EQ(first["start"]["parameters"], 123);
  EXPECT_EQ(first["expert_layers"], (json{1, 2}));
  EXPECT_EQ(first["steps"]["values"]["mtp_loss_2"]["mean"], json::array({4}));
  EXPECT_EQ(first["validations"]["values"]["bits_per_byte"]["mean"], json::array({1.5}));
  EXPECT_EQ(first["validations"]["tokens"], json::array({5}));
  EXPECT_EQ(first["samples"]["step"], json::array({1}));
  EXPECT_EQ(first["loads"]["load"], json::array({{{0.5, 1.5}, {1, 1}}}));
  EXPECT_EQ(json::parse(run->SamplesJson(1))["samples"],
            json::array({{{"text", "once"}, {"prompt", "on"}}}));
  EXPECT_TRUE(json::parse(run->SamplesJson(2))["samples"].empty());

  Write("run", StepLine(2) + Line({{"kind", "result"},
                                   {"step", 2},
                                   {"bits_per_byte", 1.25},
                                   {"baseline_bits_per_byte", 2},
                                   {"seconds", 9}}));
  RunRecord::Seen seen{
      .epoch = first["epoch"], .steps = 1, .validations = 1, .samples = 1, .loads = 1};
  const json news = News(*run, seen);
  EXPECT_EQ(news["epoch"], first["epoch"]);
  EXPECT_EQ(news["steps"]["from"], 1);
  EXPECT_EQ(news["steps"]["step"], json::array({2}));
  // The end's judgement is the last point of the curve.
  EXPECT_EQ(news["validations"]["step"], json::array({2}));
  EXPECT_EQ(news["validations"]["values"]["bits_per_byte"]["mean"], json::array({1.25}));
  EXPECT_FALSE(news["validations"]["values"].contains("seconds"));
  EXPECT_EQ(news["result"]["baseline_bits_per_byte"], 2);
  EXPECT_EQ(news["samples"]["step"], json::array());
  EXPECT_EQ(news["loads"]["step"], json::array());
}

TEST_F(RunLibraryTest, AResumedRunIsAnotherEpoch) {
  Write("run", StepLine(1) + StepLine(2) + StepLine(3));
  RunLibrary library = Library();
  const auto run = library.Open(Id(library, "run"));
  const json before = News(*run);
  EXPECT_EQ(before["steps"]["step"], (json{1, 2, 3}));
  WriteFileAtomically(directory_ / "run/log.jsonl", StepLine(1) + StepLine(2));
  RunRecord::Seen seen{.epoch = before["epoch"], .steps = 3};
  const json after = News(*run, seen);
  EXPECT_NE(after["epoch"], before["epoch"]);
  EXPECT_EQ(after["steps"]["from"], 0);
  EXPECT_EQ(after["steps"]["step"], (json{1, 2}));
}

TEST_F(RunLibraryTest, BrokenLinesAreCountedAndPassedOver) {
  Write("run", "\nnonsense\n{\"kind\":\"step\"\n[1,2]\n{\"kind\":\"step\",\"step\":NaN}\n");
  Write("run", std::string(1000, '[') + "\n{\"kind\":\"step\",\"step\":-1}\n");
  Write("run", "{\"kind\":\"step\",\"step\":\"7\"}\n{\"kind\":7,\"step\":7}\n\x80\xff{}\n");
  Write("run", "{\"kind\":\"step\",\"step\":1,\"loss\":NaN}\n");
  Write("run", Line({{"kind", "step"},
                     {"step", 2},
                     {"loss", nullptr},
                     {"lr", true},
                     {"time", "now"},
                     {"tokens", -5},
                     {"expert_load", {{1, 2}, {1}}}}));
  Write("run", Line({{"kind", "step"},
                     {"step", 3},
                     {"loss", 1e300},
                     {"time", 1e300},
                     {"expert_load", {{1, "x"}}}}));
  Write("run", Line({{"kind", "sample"}, {"step", 3}, {"text", 7}}));
  Write("run", StepLine(4));
  RunLibrary library = Library();
  const auto run = library.Open(Id(library, "run"));
  const json news = News(*run);
  EXPECT_EQ(news["broken_lines"], 10);
  EXPECT_EQ(news["steps"]["step"], (json{2, 3, 4}));
  EXPECT_EQ(news["steps"]["time"], (json{0, 0, 0}));
  EXPECT_EQ(news["steps"]["values"]["loss"]["mean"], (json{nullptr, nullptr, 0.25}));
  EXPECT_EQ(news["loads"]["step"], json::array());
  EXPECT_TRUE(json::parse(run->SamplesJson(3))["samples"].empty());
}

// So that one answer takes no longer than another.
TEST_F(RunLibraryTest, ALongLogIsReadOverSeveralAnswers) {
  std::string text;
  const std::string filler(1000, 'x');
  for (int step = 1; step <= 40'000; ++step)
    text += Line({{"kind", "step"}, {"step", step}, {"loss", 1}, {"note", filler}});
  Write("run", text);
  RunLibrary library = Library();
  const auto run = library.Open(Id(library, "run"));
  json news = News(*run);
  EXPECT_EQ(news["behind"], true);
  EXPECT_LT(news["read"], RunRecord::kBytesAtOnce + (2 << 20));
  int answers = 1;
  for (; news["behind"] == true; ++answers) news = News(*run);
  EXPECT_EQ(answers, 3);
  EXPECT_EQ(news["steps"]["step"].back(), 40'000);
  EXPECT_LE(news["steps"]["step"].size(), Series::kMostBuckets);
}

TEST_F(RunLibraryTest, SamplesAreNotWithoutEnd) {
  std::string text;
  for (int step = 1; step <= 10'001; ++step)
    text += Line({{"kind", "sample"}, {"step", step}, {"text", std::to_string(step)}});
  Write("run", text + Line({{"kind", "sample"},
                            {"step", 20'000},
                            {"text", std::string(1 << 20, 'a')},
                            {"reward", 0.5}}));
  RunLibrary library = Library();
  const auto run = library.Open(Id(library, "run"));
  const json steps = News(*run)["samples"]["step"];
  EXPECT_EQ(steps.size(), 5'002u);
  EXPECT_EQ(steps.front(), 5'001);
  const json sample = json::parse(run->SamplesJson(20'000))["samples"][0];
  EXPECT_LT(sample["text"].get<std::string>().size(), 300'000u);
  EXPECT_EQ(sample["reward"], 0.5);
}

class RunRoutesTest : public RunLibraryTest {
 protected:
  std::string Fetch(const std::string& path) {
    if (!server_) {
      WebRouter router;
      AddRunRoutes(std::make_shared<RunLibrary>(std::vector{directory_.path()}, 0ms), router);
      server_.emplace(WebServerOptions(), std::move(router));
    }
    test::Client client(server_->port());
    client.Send(test::Get(path));
    return client.Receive();
  }
  static json Body(const std::string& answer) {
    return json::parse(answer.substr(answer.find("\r\n\r\n") + 4));
  }
  std::optional<test::Running> server_;
};

TEST_F(RunRoutesTest, RunsAreKnownByIdsAndNothingElse) {
  Write("run", Line({{"kind", "sample"}, {"step", 5}, {"text", "<b>"}}) + StepLine(6));
  std::ofstream(directory_ / "run/config.toml") << "steps = 7\n";
  std::ofstream(directory_ / "secret") << "secret\n";
  const std::string list = Fetch("/api/runs");
  EXPECT_TRUE(test::Has(list, "Cache-Control: no-store\r\n"));
  EXPECT_TRUE(test::Has(list, "X-Content-Type-Options: nosniff\r\n"));
  const std::string id = Body(list)["runs"][0]["id"];
  EXPECT_EQ(id.size(), 16u);
  EXPECT_EQ(Body(Fetch("/api/news?run=" + id))["steps"]["step"], json::array({6}));
  EXPECT_FALSE(Body(Fetch("/api/news?run=" + id)).contains("loads"));
  EXPECT_EQ(Body(Fetch("/api/news?loads=0&run=" + id))["loads"]["from"], 0);
  EXPECT_EQ(Body(Fetch("/api/samples?step=5&run=" + id))["samples"][0]["text"], "<b>");
  const std::string config = Fetch("/api/config?run=" + id);
  EXPECT_TRUE(test::Has(config, "Content-Type: text/plain; charset=utf-8\r\n"));
  EXPECT_TRUE(config.ends_with("\r\n\r\nsteps = 7\n"));
  for (const std::string& other :
       {std::string("run"), directory_.path().string() + "/run", std::string("../secret"),
        std::string("%2e%2e"), std::string(), std::string(5000, '0'), id + "0"}) {
    for (const char* what : {"news", "samples", "config"}) {
      EXPECT_EQ(test::Status(Fetch(std::string("/api/") + what + "?run=" + other)), 404) << other;
    }
  }
  EXPECT_EQ(test::Status(Fetch("/api/news")), 404);
  EXPECT_EQ(test::Status(Fetch("/api/runs/../secret")), 404);
}

TEST_F(RunRoutesTest, OddNumbersAreNone) {
  Write("run", StepLine(1));
  const std::string id = Body(Fetch("/api/runs"))["runs"][0]["id"];
  const std::string epoch = Body(Fetch("/api/news?run=" + id))["epoch"];
  for (const char* number : {"-1", "x", "", "1e3", "99999999999999999999", "9223372036854775807"}) {
    const json news = Body(
        Fetch("/api/news?run=" + id + "&epoch=" + epoch + "&steps=" + number + "&loads=" + number));
    EXPECT_EQ(news["epoch"], epoch) << number;
    EXPECT_LE(news["steps"]["from"], 1) << number;
  }
}

// A config that is a link may lead anywhere.
TEST_F(RunRoutesTest, LinksAreNotFollowed) {
  Write("run", StepLine(1));
  std::ofstream(directory_ / "secret") << "secret\n";
  fs::create_symlink(directory_ / "secret", directory_ / "run/config.toml");
  const std::string id = Body(Fetch("/api/runs"))["runs"][0]["id"];
  EXPECT_FALSE(test::Has(Fetch("/api/config?run=" + id), "secret"));
}

}  // namespace
}  // namespace fathom

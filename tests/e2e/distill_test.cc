// `fathom distill` from the outside: a teacher on this machine, `fathom serve` as an endpoint, what
// a kill leaves behind, and the way to a student.

#include <cstdlib>
#include <fstream>
#include <set>

#include "e2e/serve_fixture.h"

namespace fathom::test {
namespace {

namespace fs = std::filesystem;

class DistillTest : public ServeTest {
 protected:
  static constexpr int kQuestions = 12, kSamples = 4;

  DistillTest() {
    EXPECT_EQ(Run({"problems", "words", "--count", std::to_string(kQuestions), "--difficulty",
                   "1-2", "--out", (own_ / "problems.jsonl").string()}),
              0);
    std::ofstream(own_ / "distill.toml") << R"(
      output = "out"
      teacher = {model = ")" << Path("model")
                                         << R"(", at_a_time = 4, backoff = 0.01}
      sampling = {samples = 4, max_tokens = 24, temperature = 1.0, top_p = 1.0}
      data.source = [{path = "problems.jsonl"}]
      # As the endpoint of the same model answers.
      prompt.think = "model"
      # The model is random: nothing that it says is right, ends, or is a language.
      filter = {correct = false, finished = false, language_share = 0, repetition = 1}
    )";
  }

  std::vector<std::string> Arguments(const std::string& output,
                                     std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments = {"distill", (own_ / "distill.toml").string(),
                                          "--set",   "output=" + output,
                                          "--quiet", "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  json Distill(const std::string& output, const std::vector<std::string>& more = {}) const {
    Process process(own_.path(), Arguments(output, more));
    EXPECT_EQ(process.Status(), 0) << process.Err();
    return json::parse(process.Out());
  }
  // What it says when it fails.
  std::string Fail(const std::string& output, const std::vector<std::string>& more = {}) const {
    Process process(own_.path(), Arguments(output, more));
    EXPECT_EQ(process.Status(), 1);
    return process.Err();
  }
  std::string Traces(const std::string& output) const { return own_ / output / "traces.jsonl"; }
  // The lines of traces.jsonl, by id, without what may differ between two runs.
  std::map<std::string, json> Answers(const std::string& output) const {
    std::map<std::string, json> answers;
    std::istringstream lines(ReadFile(Traces(output)));
    for (std::string line; std::getline(lines, line);) {
      json trace = json::parse(line);
      const std::string id = trace["id"];
      trace["provenance"].erase("time");
      EXPECT_TRUE(answers.emplace(id, std::move(trace)).second) << id << " was asked for twice";
    }
    return answers;
  }
  size_t Lines(const std::string& output) const {
    if (!fs::exists(Traces(output))) return 0;
    const std::string text = ReadFile(Traces(output));
    return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
  }
  std::vector<std::string> AtServer() const {
    return {"--set", "teacher.url=\"http://127.0.0.1:" + std::to_string(port_) + "/v1\"",
            "--set", "teacher.model=model",
            "--set", "teacher.licence=\"our own\""};
  }
};

TEST_F(DistillTest, AKilledRunGoesOnAndAsksNothingTwice) {
  const json whole = Distill("whole");
  EXPECT_EQ(whole["asked"], kQuestions * kSamples);
  EXPECT_EQ(whole["filter"]["traces"], kQuestions * kSamples);
  const auto answers = Answers("whole");
  EXPECT_EQ(answers.size(), static_cast<size_t>(kQuestions * kSamples));
  const json& one = answers.begin()->second;
  EXPECT_EQ(one["provenance"]["teacher"], Path("model"));
  EXPECT_EQ(one["provenance"]["sampling"]["max_tokens"], 24);
  EXPECT_FALSE(one["provenance"]["fathom"].get<std::string>().empty());
  // Samples of one question differ.
  std::set<std::string> contents;
  for (const auto& [id, answer] : answers)
    contents.insert(answer["reasoning_content"].get<std::string>() +
                    answer["content"].get<std::string>());
  EXPECT_GT(contents.size(), answers.size() / 2);

  // Killed again and again.
  size_t had = 0;
  for (int kills = 0; kills < 3; ++kills) {
    Process process(own_.path(),
                    Arguments("parts", kills == 0 ? std::vector<std::string>()
                                                  : std::vector<std::string>{"--resume"}));
    while (Lines("parts") < had + 5 && !process.Ended()) std::this_thread::yield();
    process.Signal(SIGKILL);
    process.Wait();
    had = Lines("parts");
    ASSERT_GE(had, 5u);
    // As if it had been killed in the middle of a line, too.
    std::ofstream(Traces("parts"), std::ios::app) << R"({"id": "00)";
  }
  EXPECT_NE(Fail("parts").find("give --resume to go on with it"), std::string::npos);
  const json rest = Distill("parts", {"--resume"});
  EXPECT_EQ(rest["asked"], static_cast<size_t>(kQuestions * kSamples) - had);
  EXPECT_EQ(Answers("parts"), answers);
  EXPECT_EQ(ReadFile(own_ / "parts/sft.jsonl"), ReadFile(own_ / "whole/sft.jsonl"));
  // With all there, nobody is asked; with more samples, for those alone.
  EXPECT_EQ(Distill("parts", {"--resume"})["asked"], 0);
  EXPECT_EQ(Distill("parts", {"--resume", "--set", "sampling.samples=5"})["asked"], kQuestions);
  EXPECT_NE(Fail("parts", {"--resume", "--set", "sampling.temperature=0.5"})
                .find("sampling.temperature was 1, and is 0.5"),
            std::string::npos);
}

TEST_F(DistillTest, AnInterruptedRunSaysSoAndGoesOn) {
  Process process(own_.path(), Arguments("out"));
  while (Lines("out") < 3 && !process.Ended()) std::this_thread::yield();
  process.Signal(SIGINT);
  EXPECT_EQ(process.Status(), 130) << process.Err();
  const json part = json::parse(process.Out());
  EXPECT_EQ(part["interrupted"], true);
  EXPECT_EQ(part["missing"].get<int>() + part["asked"].get<int>(), kQuestions * kSamples);
  EXPECT_EQ(Distill("out", {"--resume"})["asked"], part["missing"]);
}

TEST_F(DistillTest, AnEndpointGivesWhatTheModelGivesHere) {
  Distill("local");
  key_ = CreateKey("distillation");
  Serve({"--ledger", Ledger(), "--name", "model"});
  setenv("FATHOM_TEST_KEY", key_.c_str(), 1);
  std::vector<std::string> options = AtServer();
  options.insert(options.end(), {"--set", "teacher.key_env=FATHOM_TEST_KEY"});
  Distill("remote", options);
  unsetenv("FATHOM_TEST_KEY");
  const auto local = Answers("local"), remote = Answers("remote");
  ASSERT_EQ(local.size(), remote.size());
  for (const auto& [id, answer] : local) {
    for (const char* key : {"reasoning_content", "content", "finish_reason", "prompt_tokens",
                            "completion_tokens", "messages", "sample", "question"}) {
      EXPECT_EQ(answer[key], remote.at(id)[key]) << id << " " << key;
    }
    EXPECT_EQ(answer["provenance"]["sampling"], remote.at(id)["provenance"]["sampling"]);
  }
  const json& provenance = remote.begin()->second["provenance"];
  EXPECT_EQ(provenance["host"], "127.0.0.1:" + std::to_string(port_));
  EXPECT_EQ(provenance["licence"], "our own");
  // The key is nowhere.
  for (const auto& entry : fs::recursive_directory_iterator(own_ / "remote")) {
    if (!entry.is_regular_file()) continue;
    EXPECT_EQ(ReadFile(entry.path()).find(key_), std::string::npos) << entry.path();
  }
  EXPECT_NE(Fail("other", options).find("the environment has no FATHOM_TEST_KEY"),
            std::string::npos);
  // Without a key, the server says no, and that is that.
  const std::string refused = Fail("keyless", AtServer());
  EXPECT_NE(refused.find("HTTP status 401"), std::string::npos) << refused;
}

TEST_F(DistillTest, WhenTheEndpointDiesHalfWayNothingIsLost) {
  Serve({"--name", "model"});
  std::vector<std::string> options = AtServer();
  options.insert(options.end(),
                 {"--set", "teacher.give_up_after=3", "--set", "teacher.requests_per_minute=1500"});
  Process process(own_.path(), Arguments("out", options));
  while (Lines("out") < 6 && !process.Ended()) std::this_thread::yield();
  server_->Signal(SIGKILL);
  server_->Wait();
  EXPECT_EQ(process.Status(), 1);
  const std::string error = process.Err();
  const size_t had = Lines("out");
  EXPECT_NE(error.find("3 failures in a row"), std::string::npos) << error;
  EXPECT_NE(error.find(std::to_string(had) + " traces are in"), std::string::npos) << error;
  EXPECT_NE(error.find("the same command with --resume goes on"), std::string::npos) << error;
  ASSERT_GE(had, 6u);

  Serve({"--name", "model"});
  options = AtServer();
  options.emplace_back("--resume");
  EXPECT_EQ(Distill("out", options)["asked"], static_cast<size_t>(kQuestions * kSamples) - had);
  Distill("local");
  const auto local = Answers("local"), remote = Answers("out");
  ASSERT_EQ(local.size(), remote.size());
  for (const auto& [id, answer] : local) EXPECT_EQ(answer["content"], remote.at(id)["content"]);
}

TEST_F(DistillTest, AStudentIsTunedOnWhatIsKept) {
  const std::vector<std::string> student = {
      "--set", "student.model.init_from=\"" + Path("model") + "\"",
      "--set", "student.steps=2",
      "--set", "student.batch_tokens=512",
      "--set", "student.data.sequence_length=256",
      "--set", "sampling.samples=2"};
  std::vector<std::string> dry = student;
  dry.emplace_back("--dry-run");
  const json plan = Distill("out", dry);
  EXPECT_EQ(plan["missing"], 2 * kQuestions);
  EXPECT_EQ(plan["most_tokens"], 2 * kQuestions * 24);
  EXPECT_FALSE(fs::exists(own_ / "out"));

  const json result = Distill("out", student);
  EXPECT_EQ(result["student"]["step"], 2);
  EXPECT_GT(result["filter"]["kept"], 0);
  EXPECT_TRUE(fs::exists(own_ / "out/student/model/model.safetensors"));
  EXPECT_TRUE(fs::exists(own_ / "out/report.html"));
  // No answer is so long: then there is nothing to learn.
  std::vector<std::string> right = student;
  right.insert(right.end(), {"--resume", "--set", "filter.least_tokens=1000"});
  const std::string error = Fail("out", right);
  EXPECT_NE(error.find("holds nothing for the student to learn"), std::string::npos) << error;
}

}  // namespace
}  // namespace fathom::test

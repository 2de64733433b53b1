// `fathom train` from the outside: killed, interrupted, and given what cannot work.

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "base/random.h"
#include "e2e/process.h"
#include "formats/safetensors.h"
#include "train/checkpoint.h"
#include "train/tiny_run.h"

namespace fathom::test {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using Arguments = std::vector<std::string>;

class TrainCommand : public testing::Test {
 protected:
  void SetUp() override {
    WriteLanguage(directory_ / "texts", 40, 40);
    // Whatever the run needs, as a file.
    const RunConfig config = TinyRun(directory_.path(), {"checkpoint.every=3"});
    std::ofstream(directory_ / "run.toml") << config.ToToml();
  }

  // "train run.toml --set output=NAME", quietly.
  Arguments Train(const std::string& output, Arguments more = {}) const {
    Arguments arguments = {
        "train", directory_ / "run.toml", "--set", "output=" + output, "--quiet", "--threads", "2"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  int Run(const Arguments& arguments) {
    Process process(directory_.path(), arguments);
    const int status = process.Status();
    if (status != 0) error_ = process.Err();
    return status;
  }
  void Seconds(double seconds) const {
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  }

  void ExpectSameEnd(const std::string& a, const std::string& b) const {
    const fs::path x = directory_ / a, y = directory_ / b;
    const auto last_x = NewestCheckpoint(x), last_y = NewestCheckpoint(y);
    ASSERT_TRUE(last_x && last_y);
    EXPECT_EQ(last_x->filename(), last_y->filename());
    for (const char* file : {"model.safetensors", "trainer/optimizer.safetensors", "config.json"})
      EXPECT_TRUE(ReadFile(*last_x / file) == ReadFile(*last_y / file)) << file;
    for (const char* file : {"model.safetensors", "config.json", "tokenizer.json"})
      EXPECT_TRUE(ReadFile(x / "model" / file) == ReadFile(y / "model" / file)) << file;
    const auto losses_x = Losses(x), losses_y = Losses(y);
    EXPECT_EQ(losses_x, losses_y);
  }
  // Step and loss of the log, in its order.
  static std::vector<std::pair<int64_t, double>> Losses(const fs::path& output) {
    std::vector<std::pair<int64_t, double>> losses;
    std::istringstream text(ReadFile(output / "log.jsonl"));
    for (std::string line; std::getline(text, line);) {
      const auto object = nlohmann::json::parse(line);
      if (object.at("kind") == "step") losses.emplace_back(object.at("step"), object.at("loss"));
    }
    return losses;
  }
  // Of the log's last whole line; 0: there is none.
  static int64_t LastStep(const fs::path& output) {
    if (!fs::exists(output / "log.jsonl")) return 0;
    const std::string text = ReadFile(output / "log.jsonl");
    const size_t at = text.rfind("\"step\":", text.rfind('\n'));
    return at == std::string::npos ? 0 : std::strtoll(text.c_str() + at + 7, nullptr, 10);
  }
  // With content.
  std::map<std::string, std::string> Files(const fs::path& below) const {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(below))
      if (entry.is_regular_file()) files[entry.path().string()] = ReadFile(entry.path());
    return files;
  }
  void ExpectNothingHalfMade(const std::string& output) const {
    for (const auto& entry : fs::recursive_directory_iterator(directory_ / output)) {
      const std::string name = entry.path().filename().string();
      EXPECT_FALSE(name.ends_with(".partial") || name.ends_with(".replaced")) << entry.path();
    }
  }
  // One clear line on stderr, nothing on stdout, this exit status.
  void ExpectRefused(const Arguments& arguments, int status, const std::string& message,
                     rlim_t file_limit = 0) {
    Process process(directory_.path(), arguments, file_limit);
    EXPECT_EQ(process.Status(), status) << process.Err();
    const std::string error = process.Err();
    EXPECT_EQ(process.Out(), "");
    EXPECT_TRUE(error.starts_with("fathom: error: ")) << error;
    EXPECT_EQ(std::count(error.begin(), error.end(), '\n'), 1) << error;
    EXPECT_NE(error.find(message), std::string::npos) << error;
  }

  TemporaryDirectory directory_;
  std::string error_;
};

TEST_F(TrainCommand, KilledTwentyTimesItEndsAsIfItNeverStopped) {
  constexpr int kSteps = 300;
  const Arguments settings = {"--set", fmt::format("steps={}", kSteps), "--set", "ema_decay=0.9"};
  const auto start = Clock::now();
  ASSERT_EQ(Run(Train("short", {"--set", "steps=1"})), 0) << error_;
  const double begin = std::chrono::duration<double>(Clock::now() - start).count();
  ASSERT_EQ(Run(Train("whole", settings)), 0) << error_;

  Arguments resume = Train("killed", settings);
  resume.push_back("--resume");
  // Every fourth while it starts, the others a moment after a step that lies further and further
  // in the run; the moment is a few steps and checkpoints long.
  RandomStream random(20);
  int64_t step_before = 0;
  int progressed = 0;
  for (int i = 0; i < 20; ++i) {
    const double moment = random.NextUniform();
    Process process(directory_.path(), resume);
    if (i % 4 == 0) {
      Seconds(moment * begin);
    } else {
      while (!process.Ended() && LastStep(directory_ / "killed") < kSteps * i / 25) Seconds(0.001);
      Seconds(moment * 0.04);
    }
    process.Signal(SIGKILL);
    ASSERT_EQ(process.Status(), -SIGKILL) << process.Err();
    // Whatever it was doing, the newest checkpoint is whole.
    const auto newest = NewestCheckpoint(directory_ / "killed");
    if (!newest) continue;
    const int64_t step = ReadProgress(*newest).step;
    EXPECT_GE(step, step_before);
    progressed += step > step_before ? 1 : 0;
    step_before = step;
    for (const char* file :
         {"model.safetensors", "trainer/optimizer.safetensors", "trainer/average.safetensors"})
      EXPECT_NO_THROW(SafetensorsFile{*newest / file});
  }
  EXPECT_GE(progressed, 10);
  ASSERT_EQ(Run(resume), 0) << error_;
  ExpectSameEnd("killed", "whole");
  EXPECT_TRUE(ReadFile(directory_ / "killed/model-average/model.safetensors") ==
              ReadFile(directory_ / "whole/model-average/model.safetensors"));
  ExpectNothingHalfMade("killed");
}

TEST_F(TrainCommand, InterruptedItWritesACheckpointAndGoesOn) {
  const Arguments settings = {"--set", "steps=300", "--set", "checkpoint.every=0"};
  ASSERT_EQ(Run(Train("whole", settings)), 0) << error_;
  for (const int number : {SIGINT, SIGTERM}) {
    SCOPED_TRACE(number);
    const std::string output = fmt::format("stopped-{}", number);
    Process process(directory_.path(),
                    {"train", directory_ / "run.toml", "--set", "output=" + output, "--set",
                     "steps=300", "--set", "checkpoint.every=0", "--threads", "2"});
    // Once it has done a step (the file is there, and empty, before).
    const fs::path log = directory_ / output / "log.jsonl";
    while (!process.Ended() && !(fs::exists(log) && fs::file_size(log) > 0)) Seconds(0.001);
    process.Signal(number);
    EXPECT_EQ(process.Status(), 130) << process.Err();
    EXPECT_NE(process.Err().find("go on with --resume"), std::string::npos) << process.Err();
    const auto newest = NewestCheckpoint(directory_ / output);
    ASSERT_TRUE(newest.has_value());
    EXPECT_GT(ReadProgress(*newest).step, 0);
    EXPECT_LT(ReadProgress(*newest).step, 300);
    EXPECT_FALSE(fs::exists(directory_ / output / "model"));
    Arguments resume = Train(output, settings);
    resume.push_back("--resume");
    ASSERT_EQ(Run(resume), 0) << error_;
    ExpectSameEnd(output, "whole");
  }
}

TEST_F(TrainCommand, ThreadsDoNotChangeAByte) {
  ASSERT_EQ(Run(Train("two")), 0) << error_;
  for (const char* threads : {"1", "3"}) {
    const std::string output = std::string("threads-") + threads;
    ASSERT_EQ(Run({"train", directory_ / "run.toml", "--set", "output=" + output, "--quiet",
                   "--threads", threads}),
              0)
        << error_;
    ExpectSameEnd(output, "two");
  }
}

TEST_F(TrainCommand, WhatCannotWorkIsOneClearLine) {
  const std::string toml = directory_ / "run.toml";
  const auto put = [&](const std::string& name, const std::string& text) {
    std::ofstream(directory_ / name) << text;
    return (directory_ / name).string();
  };
  struct Case {
    Arguments arguments;
    int status;
    std::string message;
  };
  const auto set = [&](const std::string& setting) { return Train("refused", {"--set", setting}); };
  fs::create_directories(directory_ / "empty");
  WriteLanguage(directory_ / "small", 2, 5);
  ModelConfig small = TinyRunModel();
  small.vocab_size = 280;
  put("small.json", small.ToJson("float32"));
  small.vocab_size = 200;
  put("smaller.json", small.ToJson("float32"));
  ASSERT_EQ(Run(Train("first", {"--set", "steps=1"})), 0) << error_;
  const std::string tokenizer = directory_ / "first/model/tokenizer.json";
  const std::vector<Case> cases = {
      {{"train", directory_ / "none.toml", "--quiet"}, 1, "none.toml: cannot be opened"},
      {{"train", directory_.path(), "--quiet"}, 1, "is not a regular file"},
      {{"train", put("syntax.toml", "steps = = 1\n"), "--quiet"}, 1, "syntax.toml:1:"},
      {{"train", put("binary.toml", std::string("\x00\xff\xfe", 3)), "--quiet"}, 1, "binary.toml"},
      {{"train", put("none.toml.empty", ""), "--quiet"}, 1, "exactly one of preset"},
      {set("data.source=[{path='nowhere'}]"), 1, "nowhere: cannot be read"},
      {set("data.source=[{path='empty'}]"), 1, "the folder is empty"},
      {set("data.source=[{path='config.json'}]"), 1, "has an extension that is not read"},
      {set("optimizer.learning_rate=1"), 1, "optimizer.learning_rate: is not a known key"},
      {set("optimiser.lr=1"), 1, "did you mean 'optimizer'?"},
      {set("schedule.warmup_step=1"), 1, "did you mean 'schedule.warmup_steps'?"},
      {set("data.source=[{path='small'}]"), 1, "is too small for one"},
      {set("batch_tokens=64000"), 1, "is too small for one batch"},
      {Train("refused", {"--set", "tokenizer.path=" + tokenizer, "--set",
                         "model.config=" + (directory_ / "small.json").string()}),
       1, "does not fit the model's vocab_size of 280"},
      {set("model.config=" + (directory_ / "smaller.json").string()), 1, "200"},
      {set("model.config=" + put("broken.json", "{\"model_type\": ")), 1, "broken.json"},
      {set("model.config=" + put("other.json", "{\"model_type\": \"gpt2\"}")), 1, "gpt2"},
      {set("model.config=nowhere.json"), 1, "nowhere.json"},
      {set("tokenizer.path=nowhere"), 1, "nowhere"},
      {set("tokenizer.path=" + put("tokenizer.json", "{}")), 1, "tokenizer.json"},
      {Train("refused", {"--set", "model.config=", "--set", "model.init_from=empty"}), 1, "empty"},
      {Train("refused", {"--set", "model.config=", "--set", "model.preset=huge"}), 1,
       "'huge' is not one of nano"},
      {set("steps"), 2, "'steps' is not KEY=VALUE"},
      {set("=1"), 2, "is not KEY=VALUE"},
      {set("a b=1"), 2, "is not KEY=VALUE"},
      {set("steps=many"), 1, "steps: expected an integer, found 'many'"},
      {set("steps=0"), 1, "0 is out of range"},
      {set("batch_tokens=100"), 1, "not a multiple of the sequence length"},
      {Train("first"), 1, "go on with --resume, or choose another output"},
      {Train("run.toml/below"), 1, "run.toml/below: "},
      {Train("run.toml"), 1, "run.toml: cannot be created: "},
      {Train("/proc/nowhere"), 1, "/proc/nowhere: cannot be created: "},
      {set("data.source[7].path=x"), 2, "there is no data.source[7]"},
      {set("batch_tokens=1099511627776"), 1, "memory: 1099511627776 tokens at once"},
      {set("steps=9007199254740992"), 1, "steps: 9007199254740992 is out of range"},
      // Not when the sample's turn comes.
      {set("sample={every=1, prompt=\"" + std::string(500, 'x') + "\"}"), 1, "sample.prompt: its"},
  };
  const auto before = Files(directory_ / "first");
  for (const Case& c : cases) {
    std::string line;
    for (const std::string& argument : c.arguments) line += argument + " ";
    SCOPED_TRACE(line);
    ExpectRefused(c.arguments, c.status, c.message);
    fs::remove_all(directory_ / "refused");
  }
  EXPECT_EQ(Files(directory_ / "first"), before);
}

TEST_F(TrainCommand, WhereADiskIsFullTheLastCheckpointStays) {
  ASSERT_EQ(Run(Train("whole")), 0) << error_;
  // The same run stopped half-way: its first checkpoint, and the log up to there.
  const auto stop = [&](const std::string& output) {
    ASSERT_EQ(Run(Train(output, {"--set", "checkpoint.keep=100"})), 0) << error_;
    for (const char* name : {"model", "checkpoints/step-12", "checkpoints/step-9"})
      fs::remove_all(directory_ / output / name);
  };
  for (const rlim_t limit : {1 << 10, 16 << 10, 100 << 10, 300 << 10}) {
    SCOPED_TRACE(limit);
    const std::string output = fmt::format("full-{}", limit);
    stop(output);
    const auto before = Files(directory_ / output / "checkpoints");
    Arguments resume = Train(output);
    resume.push_back("--resume");
    ExpectRefused(resume, 1, (directory_ / output).string(), limit);
    EXPECT_EQ(Files(directory_ / output / "checkpoints"), before);
    ExpectNothingHalfMade(output);
    ASSERT_EQ(Run(resume), 0) << error_;
    ExpectSameEnd(output, "whole");
    // From the start, too.
    ExpectRefused(Train(fmt::format("fresh-{}", limit)), 1, directory_.path().string(), limit);
  }
}

TEST_F(TrainCommand, DamagedCheckpointsAreOneClearLine) {
  ASSERT_EQ(Run(Train("run")), 0) << error_;
  Arguments resume = Train("run");
  resume.push_back("--resume");
  const fs::path newest = NewestCheckpoint(directory_ / "run").value();
  for (const char* file : {"model.safetensors", "tokenizer.json", "trainer/optimizer.safetensors",
                           "trainer/state.json"}) {
    SCOPED_TRACE(file);
    const std::string good = ReadFile(newest / file);
    for (const size_t size : {size_t{0}, size_t{5}, good.size() / 2, good.size() - 1}) {
      if (std::string(file) == "trainer/state.json" && size == good.size() - 1)
        continue;  // a line end
      SCOPED_TRACE(size);
      std::ofstream(newest / file, std::ios::binary) << good.substr(0, size);
      ExpectRefused(resume, 1, fs::path(file).filename().string());
    }
    fs::remove(newest / file);
    ExpectRefused(resume, 1, newest.string());
    std::ofstream(newest / file, std::ios::binary) << good;
  }
  EXPECT_EQ(Run(resume), 0) << error_;
}

TEST_F(TrainCommand, ADryRunSaysInJsonWhatTheRunWouldTake) {
  Process process(directory_.path(), Train("dry", {"--dry-run", "--json"}));
  ASSERT_EQ(process.Status(), 0) << process.Err();
  EXPECT_EQ(process.Err(), "");
  const auto estimate = nlohmann::json::parse(process.Out());
  // 12 steps of 256 tokens.
  EXPECT_EQ(estimate.at("tokens"), 12 * 256);
  EXPECT_EQ(estimate.at("fits"), true);
  // f32 gradients and two f32 moments of everything but the router's bias.
  const auto& memory = estimate.at("memory_bytes");
  EXPECT_GE(memory.at("optimizer").get<int64_t>(), 2 * memory.at("gradients").get<int64_t>());
  EXPECT_GT(estimate.at("seconds_at_40_percent").get<double>(),
            estimate.at("seconds_at_60_percent").get<double>());
  EXPECT_FALSE(fs::exists(directory_ / "dry"));
}

// Another seed holds other documents out, which the run was trained on.
TEST_F(TrainCommand, AnEndedRunIsNotScoredOnItsOwnText) {
  ASSERT_EQ(Run(Train("run")), 0) << error_;
  ExpectRefused(Train("run", {"--resume", "--set", "seed=5"}), 1, "seed: is 5, but was 1");
}

TEST_F(TrainCommand, AnExtensionThatIsGoneIsMissed) {
  const std::string extension =
      "extension=[{steps=8, sequence_length=128, batch_tokens=256, factor=2, lr=0.001}]";
  Arguments run = Train("run", {"--set", extension, "--set", "checkpoint={every=1, keep=100}"});
  ASSERT_EQ(Run(run), 0) << error_;
  fs::remove_all(directory_ / "run/checkpoints/step-20");
  ExpectRefused(Train("run", {"--resume"}), 1, "put the [[extension]] back");
  run.push_back("--resume");
  EXPECT_EQ(Run(run), 0) << error_;
}

// Without --quiet it says what it does.
TEST_F(TrainCommand, SaysThatThereIsNothingToResumeAndThatWarmupNeverEnds) {
  Process process(directory_.path(),
                  {"train", directory_ / "run.toml", "--set", "output=anew", "--set", "steps=2",
                   "--set", "schedule.warmup_steps=2", "--resume", "--threads", "2"});
  EXPECT_EQ(process.Status(), 0);
  const std::string said = process.Err();
  EXPECT_NE(said.find("anew has no checkpoint to go on from: starting at step 0"),
            std::string::npos)
      << said;
  EXPECT_NE(said.find("schedule.warmup_steps 2 is not less than steps 2"), std::string::npos)
      << said;
}

TEST_F(TrainCommand, NumbersThatAreNotFiniteAreOneClearLine) {
  ExpectRefused(Train("wild", {"--set", "steps=40", "--set", "optimizer.lr=1000", "--set",
                               "optimizer.weight_decay=100"}),
                1, "the first bad tensor is ");
}

}  // namespace
}  // namespace fathom::test

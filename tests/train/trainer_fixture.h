#pragma once

// Whole runs of a tiny model, and what they leave.

#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <csignal>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "backend/cpu/cpu_backend.h"
#include "base/file.h"
#include "ops/test_tensors.h"
#include "train/checkpoint.h"
#include "train/pretraining.h"
#include "train/tiny_run.h"

namespace fathom::test {

namespace fs = std::filesystem;
using Settings = std::vector<std::string>;

inline PretrainingSummary RunPretraining(const RunConfig& config, TrainOptions options = {},
                                         int threads = 2) {
  TestRun run(CreateCpuBackend(), threads);
  options.quiet = true;
  return Pretrain(run.context(), config, options);
}

// Stops a run at a step as Ctrl-C would; sample.every says where it is called.
inline void Interrupt(TrainingSettings& config, int64_t step, TrainOptions& options) {
  config.sample.every = step;
  options.sample = [](Context&, Transformer&, const Tokenizer&, const TrainingSettings::Sample&) {
    std::raise(SIGINT);
    return std::string("interrupted here");
  };
}

inline PretrainingSummary Resume(const RunConfig& config, int threads = 2) {
  TrainOptions options;
  options.resume = true;
  return RunPretraining(config, options, threads);
}

inline std::vector<nlohmann::json> Log(const TrainingSettings& config, const std::string& kind) {
  std::vector<nlohmann::json> lines;
  std::istringstream text(ReadFile(config.output / "log.jsonl"));
  for (std::string line; std::getline(text, line);) {
    lines.push_back(nlohmann::json::parse(line));
    if (lines.back().at("kind") != kind) lines.pop_back();
  }
  return lines;
}

inline fs::path LastCheckpoint(const TrainingSettings& config) {
  return NewestCheckpoint(config.output).value();
}

inline void ExpectSameFiles(const fs::path& a, const fs::path& b) {
  EXPECT_TRUE(ReadFile(a) == ReadFile(b)) << a << " differs from " << b;
}

// The models that two runs end with, and all that their next steps would depend on.
inline void ExpectSameEnd(const RunConfig& a, const RunConfig& b) {
  EXPECT_EQ(LastCheckpoint(a).filename(), LastCheckpoint(b).filename());
  for (const char* file : {"model.safetensors", "config.json", "trainer/optimizer.safetensors"})
    ExpectSameFiles(LastCheckpoint(a) / file, LastCheckpoint(b) / file);
  for (const char* file : {"model.safetensors", "config.json", "tokenizer.json"})
    ExpectSameFiles(a.output / "model" / file, b.output / "model" / file);
}

// What is logged while it lives, warnings only.
class CapturedWarnings {
 public:
  CapturedWarnings() : before_(spdlog::default_logger()) {
    auto logger = std::make_shared<spdlog::logger>(
        "test", std::make_shared<spdlog::sinks::ostream_sink_st>(stream_));
    logger->set_level(spdlog::level::warn);
    spdlog::set_default_logger(logger);
  }
  ~CapturedWarnings() { spdlog::set_default_logger(before_); }
  std::string text() const { return stream_.str(); }

 private:
  std::shared_ptr<spdlog::logger> before_;
  std::ostringstream stream_;
};

class TrainerTest : public testing::Test {
 protected:
  TrainerTest() { spdlog::set_level(spdlog::level::err); }
  void SetUp() override { WriteLanguage(directory_ / "texts", 40, 40); }

  RunConfig Config(Settings settings = {}, const ModelConfig& model = TinyRunModel()) {
    return TinyRun(directory_.path(), settings, model);
  }
  RunConfig In(const std::string& output, Settings settings = {}) {
    settings.push_back("output=" + output);
    return Config(settings);
  }

  TemporaryDirectory directory_;
};

}  // namespace fathom::test

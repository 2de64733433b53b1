#pragma once

// Tuning runs of a tiny model.

#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "posttrain/sft/sft.h"
#include "train/trainer_fixture.h"

namespace fathom::test {

// Eight questions, each with an answer that is always the same.
inline std::string Chat(int i) {
  const auto letter = static_cast<char>('a' + i % 8);
  const auto answer = static_cast<char>('a' + (3 * i + 1) % 8);
  return nlohmann::json({{"messages",
                          {{{"role", "user"}, {"content", std::string(1, letter) + "?"}},
                           {{"role", "assistant"}, {"content", std::string(3, answer)}}}}})
             .dump() +
         "\n";
}

class SftTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    spdlog::set_level(spdlog::level::err);
    pretrained_ = std::make_unique<TemporaryDirectory>();
    WriteLanguage(*pretrained_ / "texts", 40, 40);
    RunPretraining(TinyRun(pretrained_->path()));
  }
  static void TearDownTestSuite() { pretrained_.reset(); }
  static fs::path Model() { return *pretrained_ / "run/model"; }

  SftTest() { WriteChats(directory_); }

  static void WriteChats(const TemporaryDirectory& directory) {
    std::string text;
    for (int i = 0; i < 300; ++i) text += Chat(i);
    WriteFileAtomically(directory / "chat.jsonl", text);
  }

  SftConfig Config(Settings settings = {}) { return ConfigIn(directory_, std::move(settings)); }
  static SftConfig ConfigIn(const TemporaryDirectory& directory, Settings settings = {}) {
    settings.insert(settings.begin(), "model.init_from=" + Model().string());
    constexpr char kText[] = R"(
      output = "run"
      batch_tokens = 256
      steps = 40
      precision.recipe = "f32"
      optimizer.lr = 0.02
      schedule = {type = "constant", warmup_steps = 0}
      validation.every = 8
      checkpoint.every = 4
      [data]
      sequence_length = 64
      held_out_fraction = 0.1
      [[data.source]]
      path = "chat.jsonl"
    )";
    return SftConfig::Parse(kText, "sft.toml", directory.path(), settings);
  }
  static TrainSummary Tune(const SftConfig& config, TrainOptions options = {}, int threads = 2) {
    TestRun run(CreateCpuBackend(), threads);
    options.quiet = true;
    return RunSft(run.context(), config, options);
  }

  static inline std::unique_ptr<TemporaryDirectory> pretrained_;
  TemporaryDirectory directory_;
};

}  // namespace fathom::test

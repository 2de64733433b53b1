#pragma once

// Reward models of a tiny model.

#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/random.h"
#include "posttrain/reward_model/reward_training.h"
#include "train/trainer_fixture.h"

namespace fathom::test {

// A question and two answers of a character each: one of `good` is better than one of `bad`.
inline std::string PreferenceRows(int count, const std::string& good, const std::string& bad,
                                  bool pairs = true) {
  RandomStream random(17);
  const auto any = [&](const std::string& of) {
    return std::string(1, of[random.NextBelow(of.size())]);
  };
  std::string text;
  for (int i = 0; i < count; ++i) {
    nlohmann::json row = {{"prompt", any("abcdefgh") + "?"}};
    if (pairs) {
      row["chosen"] = any(good);
      row["rejected"] = any(bad);
    } else {
      row["completion"] = any(i % 2 == 0 ? good : bad);
      row["label"] = i % 2 == 0 ? 1 : 0;
    }
    text += row.dump() + "\n";
  }
  return text;
}

// For tests that train one from a tiny model of their own.
inline RewardConfig TinyRewardConfig(const std::filesystem::path& model,
                                     const std::filesystem::path& base, Settings settings = {}) {
  settings.insert(settings.begin(), "model.init_from=" + model.string());
  constexpr char kText[] = R"(
    output = "scores"
    batch_tokens = 512
    steps = 24
    precision = {recipe = "f32", attention = "absorbed"}
    optimizer.lr = 0.01
    schedule = {type = "constant", warmup_steps = 0}
    validation.every = 8
    checkpoint.every = 4
    [data]
    sequence_length = 64
    held_out_fraction = 0.2
    [[data.source]]
    path = "rows.jsonl"
  )";
  return RewardConfig::Parse(kText, "reward.toml", base, settings);
}

inline RewardSummary TrainReward(const RewardConfig& config, TrainOptions options = {},
                                 int threads = 2) {
  TestRun run(CreateCpuBackend(), threads);
  options.quiet = true;
  return RunReward(run.context(), config, options);
}

}  // namespace fathom::test

#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/toml/toml_reader.h"
#include "data/source.h"
#include "posttrain/reward_model/scored_texts.h"
#include "train/training_settings.h"

namespace fathom {

// The training of a reward model as a reward.toml describes it. Every key, its default and its
// meaning stand in docs/reward-models.md and docs/training.md.
struct RewardConfig : TrainingSettings {
  RewardConfig();

  std::string kind = "pairwise";  // or "pointwise"
  double centering = 0;           // PairwiseObjective's

  struct Model {
    std::filesystem::path init_from;  // a language model, or a reward model
  } model;

  struct Data {
    std::vector<SourceSpec> sources;
    int64_t sequence_length = 2048;  // of a row: an example's texts together
    double held_out_fraction = 0.05;
  } data;

  double epochs = 1;
  int64_t steps = 0;  // in place of epochs, unless it is 0

  ScoreKind Kind() const {
    return kind == "pointwise" ? ScoreKind::kPointwise : ScoreKind::kPairwise;
  }

  // As RunConfig's.
  static RewardConfig Load(const std::filesystem::path& path,
                           const std::vector<std::string>& overrides);
  static RewardConfig Parse(std::string_view text, std::string_view where,
                            const std::filesystem::path& base,
                            const std::vector<std::string>& overrides);
  // From a table that is read already.
  static RewardConfig Read(const toml::table& table, std::string_view where,
                           const std::filesystem::path& base);
  std::string ToToml() const;
  std::map<std::string, std::string> Values() const;
};

}  // namespace fathom

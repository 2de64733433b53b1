#include "posttrain/reward_model/reward_config.h"

#include "base/error.h"
#include "base/file.h"
#include "train/config_fields.h"

namespace fathom {
namespace {

template <typename Config, typename Fields>
void Describe(Config& config, Fields& fields) {
  DescribeSettings(config, fields, [](auto&) {});
  fields.Field("kind", config.kind, {"pairwise", "pointwise"});
  fields.Field("centering", config.centering, 0, 1e3);
  fields.Field("epochs", config.epochs, 1e-6, 1e6);
  fields.Field("steps", config.steps, 0, kMostSteps);
  fields.Section("model",
                 [&](auto& section) { section.Field("init_from", config.model.init_from); });
  fields.Section("data", [&](auto& section) {
    section.Field("sequence_length", config.data.sequence_length, 2, 1 << 24);
    section.Field("held_out_fraction", config.data.held_out_fraction, 0, 0.9);
    const SourceSpec plain{.extensions = {".jsonl", ".jsonl.zst"}};
    section.Sections("source", config.data.sources, plain, [](auto& table, auto& source) {
      table.Require("path");
      table.Field("path", source.path);
      table.Field("name", source.name);
      table.Field("weight", source.weight, 0.01, 1e6);
      table.Field("skip_bad_lines", source.skip_bad_lines);
    });
  });
}

void CheckTogether(const RewardConfig& config, std::string_view where) {
  const auto require = [&](bool holds, const char* what, const char* hint) {
    if (!holds) throw Error(where, what, hint);
  };
  require(!config.model.init_from.empty(), "model.init_from is missing",
          "the model to go on from, for example model.init_from = \"runs/tuned/model\"");
  CheckSettings(config, config.data.sequence_length, where);
  require(!config.data.sources.empty(), "there is no [[data.source]]",
          "give at least one, for example [[data.source]] path = \"pairs.jsonl\"");
  require(config.sample.every == 0, "sample.every is for models that write", "leave it out");
  require(config.centering == 0 || config.Kind() == ScoreKind::kPairwise,
          "centering is for kind = \"pairwise\"", "leave it out");
}

}  // namespace

RewardConfig::RewardConfig() {
  // R1's helpful reward model: 256 pairs a step, 6e-6, one epoch (Nature 645, supplement); more
  // epochs overfit (InstructGPT, section 3.5).
  batch_tokens = 65536;
  optimizer.lr = 1e-5;
  optimizer.weight_decay = 0;
  schedule = {.type = "cosine", .warmup_steps = 20, .decay_fraction = 0.2, .min_lr_ratio = 0.1};
  balance = {.bias_speed = 0, .bias_stop_fraction = 1, .sequence_alpha = 0};
  validation.every = 50;
  checkpoint = {.every = 200, .keep = 1, .best = true};
}

RewardConfig RewardConfig::Load(const std::filesystem::path& path,
                                const std::vector<std::string>& overrides) {
  return Parse(ReadFile(path), path.string(), path.parent_path(), overrides);
}

RewardConfig RewardConfig::Parse(std::string_view text, std::string_view where,
                                 const std::filesystem::path& base,
                                 const std::vector<std::string>& overrides) {
  return Read(ParseToml(text, where, overrides), where, base);
}

RewardConfig RewardConfig::Read(const toml::table& table, std::string_view where,
                                const std::filesystem::path& base) {
  FieldReader root(TomlTable(&table, std::string(where)), base);
  RewardConfig config;
  Describe(config, root);
  root.Finish();
  CheckTogether(config, where);
  return config;
}

std::map<std::string, std::string> RewardConfig::Values() const {
  FieldWriter root;
  Describe(*this, root);
  return TomlValues(root.Take());
}

std::string RewardConfig::ToToml() const {
  FieldWriter root;
  Describe(*this, root);
  return TomlText(root.Take());
}

}  // namespace fathom

#include "posttrain/sft/sft_config.h"

#include "base/error.h"
#include "base/file.h"
#include "train/config_fields.h"

namespace fathom {
namespace {

template <typename Config, typename Fields>
void Describe(Config& config, Fields& fields) {
  DescribeSettings(config, fields, [](auto&) {});
  DescribeLora(config, fields);
  fields.Field("epochs", config.epochs, 1e-6, 1e6);
  fields.Field("steps", config.steps, 0, kMostSteps);
  fields.Section("model", [&](auto& section) {
    section.Field("init_from", config.model.init_from);
    section.Field("mtp", config.model.mtp);
  });
  fields.Section("soft_targets", [&](auto& section) {
    section.Field("teacher", config.soft_targets.teacher);
    section.Field("weight", config.soft_targets.weight, 0, 1);
    section.Field("temperature", config.soft_targets.temperature, 0.01, 100);
  });
  fields.Section("data", [&](auto& section) {
    section.Field("sequence_length", config.data.sequence_length, 2, 1 << 24);
    section.Field("held_out_fraction", config.data.held_out_fraction, 0, 0.9);
    section.Field("turns", config.data.turns, {"all", "last"});
    section.Field("too_long", config.data.too_long, {"drop", "truncate"});
    section.Field("solution", config.data.solution, {"thoughts", "content"});
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

void CheckTogether(const SftConfig& config, std::string_view where) {
  if (config.model.init_from.empty()) {
    throw Error(where, "model.init_from is missing",
                "the model to tune, for example model.init_from = \"runs/first/model\"");
  }
  CheckSettings(config, config.data.sequence_length, where);
  if (config.data.sources.empty()) {
    throw Error(where, "there is no [[data.source]]",
                "give at least one, for example [[data.source]] path = \"chats.jsonl\"");
  }
}

}  // namespace

SftConfig::SftConfig() {
  // Gentler than pre-training: V3's fine-tuning ran two epochs, from 5e-6 down to 1e-6 by a cosine
  // (report, section 5.1); smaller models take more (R1's distilled ones 1e-4 to 2e-5).
  batch_tokens = 16384;
  optimizer.lr = 1e-5;
  schedule = {.type = "cosine", .warmup_steps = 20, .decay_fraction = 0.2, .min_lr_ratio = 0.1};
  // What the experts are good at is settled.
  balance = {.bias_speed = 0, .bias_stop_fraction = 1, .sequence_alpha = 0};
  mtp = {.weight = 0.1, .late_weight = 0.1, .switch_fraction = 1};
  validation.every = 50;
  checkpoint = {.every = 200, .keep = 1, .best = true};
}

SftConfig SftConfig::Load(const std::filesystem::path& path,
                          const std::vector<std::string>& overrides) {
  return Parse(ReadFile(path), path.string(), path.parent_path(), overrides);
}

SftConfig SftConfig::Parse(std::string_view text, std::string_view where,
                           const std::filesystem::path& base,
                           const std::vector<std::string>& overrides) {
  return Read(ParseToml(text, where, overrides), where, base, "");
}

SftConfig SftConfig::Read(const toml::table& table, std::string_view where,
                          const std::filesystem::path& base, const std::string& prefix) {
  FieldReader root(TomlTable(&table, std::string(where), prefix), base);
  SftConfig config;
  Describe(config, root);
  root.Finish();
  CheckTogether(config, where);
  CheckLora(config, config.model.init_from, where);
  return config;
}

std::map<std::string, std::string> SftConfig::Values() const {
  FieldWriter root;
  Describe(*this, root);
  return TomlValues(root.Take());
}

std::string SftConfig::ToToml() const {
  FieldWriter root;
  Describe(*this, root);
  return TomlText(root.Take());
}

}  // namespace fathom

#include "train/run_config.h"

#include "base/error.h"
#include "base/file.h"
#include "train/config_fields.h"

namespace fathom {
namespace {

// Every key of run.toml with its range, once for reading and writing.
template <typename Config, typename Fields>
void Describe(Config& config, Fields& fields) {
  DescribeSettings(config, fields, [&](auto& validation) {
    validation.Field("byte_baseline", config.byte_baseline);
  });
  fields.Field("steps", config.steps, 1, kMostSteps);
  fields.Section("model", [&](auto& section) {
    section.Field("preset", config.model.preset, PresetNames());
    section.Field("config", config.model.config);
    section.Field("init_from", config.model.init_from);
    section.Field("initializer_range", config.model.initializer_range, 0, 10);
    section.Field("mtp", config.model.mtp);
  });
  fields.Section("tokenizer", [&](auto& section) {
    section.Field("path", config.tokenizer.path);
    section.Field("train_bytes", config.tokenizer.train_bytes, 1);
  });
  fields.Section("data", [&](auto& section) {
    section.Field("sequence_length", config.data.sequence_length, 2, 1 << 24);
    section.Field("document_mask", config.data.document_mask);
    section.Field("held_out_fraction", config.data.held_out_fraction, 0, 0.9);
    section.Field("fim_rate", config.data.fim_rate, 0, 1);
    section.Sections("source", config.data.sources, SourceSpec(), [](auto& table, auto& source) {
      table.Require("path");
      table.Field("path", source.path);
      table.Field("name", source.name);
      table.Field("weight", source.weight, 1e-9, 1e9);
      table.Field("extensions", source.extensions);
      table.Field("text_field", source.text_field);
      table.Field("skip_bad_lines", source.skip_bad_lines);
      table.Field("document_separator", source.document_separator);
      table.Field("strip_license_header", source.strip_license_header);
    });
  });
  const RunConfig::Extension stage{.batch_tokens = config.batch_tokens};
  fields.Sections("extension", config.extensions, stage, [](auto& table, auto& extension) {
    for (const char* key : {"steps", "sequence_length", "factor", "lr"}) table.Require(key);
    table.Field("steps", extension.steps, 1, kMostSteps);
    table.Field("sequence_length", extension.sequence_length, 2, 1 << 24);
    table.Field("batch_tokens", extension.batch_tokens, 1);
    table.Field("factor", extension.factor, 1, 1e6);
    table.Field("lr", extension.lr, 0, 1e3);
  });
}

void CheckTogether(const RunConfig& config, std::string_view where) {
  const auto require = [&](bool holds, const std::string& what, std::string_view hint = {}) {
    if (!holds) throw Error(where, what, hint);
  };
  const int starts =
      !config.model.preset.empty() + !config.model.config.empty() + !config.model.init_from.empty();
  require(starts == 1, "[model] needs exactly one of preset, config and init_from",
          "for example preset = \"nano\"");
  CheckSettings(config, config.data.sequence_length, where);
  require(!config.data.sources.empty(), "there is no [[data.source]]",
          "give at least one, for example [[data.source]] path = \"texts\"");
  for (const SourceSpec& source : config.data.sources)
    require(!source.path.empty(), "the path of a data source is empty", "give a file or a folder");
  for (const RunConfig::Extension& extension : config.extensions) {
    require(extension.batch_tokens % extension.sequence_length == 0,
            fmt::format("extension.batch_tokens {} is not a multiple of the sequence length {}",
                        extension.batch_tokens, extension.sequence_length));
  }
}

}  // namespace

RunConfig RunConfig::Load(const std::filesystem::path& path,
                          const std::vector<std::string>& overrides) {
  return Parse(ReadFile(path), path.string(), path.parent_path(), overrides);
}

RunConfig RunConfig::Parse(std::string_view text, std::string_view where,
                           const std::filesystem::path& base,
                           const std::vector<std::string>& overrides) {
  const toml::table table = ParseToml(text, where, overrides);
  FieldReader root(TomlTable(&table, std::string(where)), base);
  RunConfig config;
  Describe(config, root);
  root.Finish();
  CheckTogether(config, where);
  return config;
}

std::map<std::string, std::string> RunConfig::Values() const {
  FieldWriter root;
  Describe(*this, root);
  return TomlValues(root.Take());
}

std::string RunConfig::ToToml() const {
  FieldWriter root;
  Describe(*this, root);
  return TomlText(root.Take());
}

}  // namespace fathom

#include "train/run_config.h"

#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "base/toml/toml_reader.h"
#include "model/config.h"

namespace fathom {
namespace {

constexpr double kHuge = 1e300;
constexpr int64_t kLargest = int64_t{1} << 53;
constexpr int64_t kMostSteps = int64_t{1} << 31;

std::filesystem::path PathIn(const std::filesystem::path& base, const std::string& path) {
  return path.empty() ? std::filesystem::path() : (base / path).lexically_normal();
}

// Sets fields from a table; what the table lacks stays as it is.
class FieldReader {
 public:
  FieldReader(TomlTable table, const std::filesystem::path& base)
      : table_(std::move(table)), base_(base) {}

  void Field(std::string_view key, int64_t& value, int64_t least, int64_t most = kLargest) {
    value = table_.Int(key, value, least, most);
  }
  void Field(std::string_view key, uint64_t& value, int64_t least) {
    value = static_cast<uint64_t>(table_.Int(key, static_cast<int64_t>(value), least, kLargest));
  }
  void Field(std::string_view key, double& value, double least, double most) {
    value = table_.Number(key, value, least, most);
  }
  void Field(std::string_view key, bool& value) { value = table_.Bool(key, value); }
  void Field(std::string_view key, std::string& value) { value = table_.String(key, value); }
  void Field(std::string_view key, std::string& value, const std::vector<std::string>& allowed) {
    value = table_.Choice(key, value, allowed);
  }
  void Field(std::string_view key, std::vector<std::string>& value) {
    value = table_.Strings(key, value);
  }
  void Field(std::string_view key, std::filesystem::path& value) {
    if (const auto text = table_.OptionalString(key)) value = PathIn(base_, *text);
  }
  void Require(std::string_view key) { table_.Require(key); }

  template <typename Fields>
  void Section(std::string_view key, Fields fields) {
    FieldReader section(table_.Table(key), base_);
    fields(section);
    section.Finish();
  }
  template <typename T, typename Fields>
  void Sections(std::string_view key, std::vector<T>& list, const T& defaults, Fields fields) {
    for (TomlTable& table : table_.Tables(key)) {
      FieldReader section(std::move(table), base_);
      fields(section, list.emplace_back(defaults));
      section.Finish();
    }
  }
  void Finish() { table_.Finish(); }

 private:
  TomlTable table_;
  const std::filesystem::path& base_;
};

// Puts every field into a table; ranges are the reader's.
class FieldWriter {
 public:
  toml::table Take() { return std::move(table_); }

  void Field(std::string_view key, int64_t value, int64_t, int64_t = 0) {
    table_.insert(key, value);
  }
  void Field(std::string_view key, uint64_t value, int64_t) {
    table_.insert(key, static_cast<int64_t>(value));
  }
  void Field(std::string_view key, double value, double, double) { table_.insert(key, value); }
  void Field(std::string_view key, bool value) { table_.insert(key, value); }
  void Field(std::string_view key, const std::string& value, const std::vector<std::string>& = {}) {
    table_.insert(key, value);
  }
  void Field(std::string_view key, const std::vector<std::string>& values) {
    toml::array array;
    for (const std::string& value : values) array.push_back(value);
    table_.insert(key, array);
  }
  void Field(std::string_view key, const std::filesystem::path& value) {
    table_.insert(key, value.empty()
                           ? std::string()
                           : std::filesystem::absolute(value).lexically_normal().string());
  }
  void Require(std::string_view) {}

  template <typename Fields>
  void Section(std::string_view key, Fields fields) {
    FieldWriter section;
    fields(section);
    table_.insert(key, section.Take());
  }
  template <typename T, typename Fields>
  void Sections(std::string_view key, const std::vector<T>& list, const T&, Fields fields) {
    if (list.empty()) return;
    toml::array array;
    for (const T& element : list) {
      FieldWriter section;
      fields(section, element);
      array.push_back(section.Take());
    }
    table_.insert(key, array);
  }

 private:
  toml::table table_;
};

// Every key of run.toml with its range, once for reading and writing.
template <typename Config, typename Fields>
void Describe(Config& config, Fields& fields) {
  fields.Field("output", config.output);
  fields.Field("steps", config.steps, 1, kMostSteps);
  fields.Field("batch_tokens", config.batch_tokens, 1);
  fields.Field("micro_batch_tokens", config.micro_batch_tokens, 0);
  fields.Field("seed", config.seed, 0);
  fields.Field("ema_decay", config.ema_decay, 0, 0.9999999);
  fields.Field("tensorboard", config.tensorboard);
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
  fields.Section("optimizer", [&](auto& section) {
    section.Field("lr", config.optimizer.lr, 0, 1e3);
    section.Field("beta1", config.optimizer.beta1, 0, 0.9999999);
    section.Field("beta2", config.optimizer.beta2, 0, 0.9999999);
    section.Field("eps", config.optimizer.eps, 1e-30, 1);
    section.Field("weight_decay", config.optimizer.weight_decay, 0, 100);
    section.Field("clip", config.optimizer.clip, 1e-9, kHuge);
    section.Field("moments", config.optimizer.moments, {"f32", "bf16"});
  });
  fields.Section("schedule", [&](auto& section) {
    section.Field("type", config.schedule.type, {"wsd", "cosine", "constant"});
    section.Field("warmup_steps", config.schedule.warmup_steps, 0);
    section.Field("decay_fraction", config.schedule.decay_fraction, 0, 1);
    section.Field("min_lr_ratio", config.schedule.min_lr_ratio, 0, 1);
  });
  fields.Section("precision", [&](auto& section) {
    section.Field("recipe", config.precision.recipe, {"bf16", "f32", "fp8"});
    section.Field("scales", config.precision.scales, {"amax", "ue8m0", "tensor"});
    section.Field("recompute", config.precision.recompute);
    section.Field("attention", config.precision.attention, {"expanded", "absorbed"});
  });
  fields.Section("balance", [&](auto& section) {
    section.Field("bias_speed", config.balance.bias_speed, 0, 1);
    section.Field("bias_stop_fraction", config.balance.bias_stop_fraction, 0, 1);
    section.Field("sequence_alpha", config.balance.sequence_alpha, 0, 10);
  });
  fields.Section("mtp", [&](auto& section) {
    section.Field("weight", config.mtp.weight, 0, 100);
    section.Field("late_weight", config.mtp.late_weight, 0, 100);
    section.Field("switch_fraction", config.mtp.switch_fraction, 0, 1);
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
  fields.Section("validation", [&](auto& section) {
    section.Field("every", config.validation.every, 0);
    section.Field("tokens", config.validation.tokens, 1);
    section.Field("byte_baseline", config.validation.byte_baseline);
  });
  fields.Section("sample", [&](auto& section) {
    section.Field("every", config.sample.every, 0);
    section.Field("prompt", config.sample.prompt);
    section.Field("tokens", config.sample.tokens, 1, 1 << 20);
    section.Field("temperature", config.sample.temperature, 0, 100);
  });
  fields.Section("checkpoint", [&](auto& section) {
    section.Field("every", config.checkpoint.every, 0);
    section.Field("keep", config.checkpoint.keep, 1);
  });
}

// As TOML; numbers in the shortest digits.
std::string ValueText(const toml::node& node) {
  if (node.is_floating_point()) return fmt::format("{}", node.as_floating_point()->get());
  std::ostringstream text;
  text << toml::node_view<const toml::node>(node);
  return text.str();
}

// Not toml++'s own formatter: it writes 0.9 with all its seventeen digits.
void WriteToml(const toml::table& table, const std::string& path, std::string& text) {
  const auto is_value = [](const toml::node& node) {
    return !node.is_table() && !node.is_array_of_tables();
  };
  for (const auto& [key, value] : table) {
    if (is_value(value)) text += fmt::format("{} = {}\n", key.str(), ValueText(value));
  }
  for (const auto& [key, value] : table) {
    if (is_value(value)) continue;
    const std::string name =
        path.empty() ? std::string(key) : fmt::format("{}.{}", path, key.str());
    if (const toml::table* section = value.as_table()) {
      text += fmt::format("\n[{}]\n", name);
      WriteToml(*section, name, text);
      continue;
    }
    for (const toml::node& element : *value.as_array()) {
      text += fmt::format("\n[[{}]]\n", name);
      WriteToml(*element.as_table(), name, text);
    }
  }
}

void Flatten(const toml::node& node, const std::string& path,
             std::map<std::string, std::string>& values) {
  if (const toml::table* table = node.as_table()) {
    for (const auto& [key, value] : *table)
      Flatten(value, path.empty() ? std::string(key) : fmt::format("{}.{}", path, key.str()),
              values);
  } else if (node.is_array_of_tables()) {
    const toml::array& array = *node.as_array();
    for (size_t i = 0; i < array.size(); ++i)
      Flatten(array[i], fmt::format("{}[{}]", path, i), values);
  } else {
    values[path] = ValueText(node);
  }
}

void CheckTogether(const RunConfig& config, std::string_view where) {
  const auto require = [&](bool holds, const std::string& what, std::string_view hint = {}) {
    if (!holds) throw Error(where, what, hint);
  };
  const int starts =
      !config.model.preset.empty() + !config.model.config.empty() + !config.model.init_from.empty();
  require(starts == 1, "[model] needs exactly one of preset, config and init_from",
          "for example preset = \"nano\"");
  require(!config.output.empty(), "output is missing",
          "the run directory, for example output = \"runs/first\"");
  require(!config.data.sources.empty(), "there is no [[data.source]]",
          "give at least one, for example [[data.source]] path = \"texts\"");
  for (const SourceSpec& source : config.data.sources)
    require(!source.path.empty(), "the path of a data source is empty", "give a file or a folder");
  const auto whole_rows = [&](int64_t tokens, int64_t length, std::string_view key) {
    require(tokens % length == 0,
            fmt::format("{} {} is not a multiple of the sequence length {}", key, tokens, length));
  };
  whole_rows(config.batch_tokens, config.data.sequence_length, "batch_tokens");
  whole_rows(config.micro_batch_tokens, config.data.sequence_length, "micro_batch_tokens");
  for (const RunConfig::Extension& extension : config.extensions) {
    whole_rows(extension.batch_tokens, extension.sequence_length, "extension.batch_tokens");
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
  std::map<std::string, std::string> values;
  Flatten(root.Take(), "", values);
  return values;
}

std::string RunConfig::ToToml() const {
  FieldWriter root;
  Describe(*this, root);
  std::string text;
  WriteToml(root.Take(), "", text);
  return text;
}

}  // namespace fathom

#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/toml/toml_reader.h"
#include "train/training_settings.h"

namespace fathom {

// A configuration names each of its keys once, with its range, in a function
//   template <typename Config, typename Fields> void Describe(Config& config, Fields& fields),
// which a FieldReader and a FieldWriter go through.

constexpr int64_t kLargestField = int64_t{1} << 53;
constexpr int64_t kMostSteps = int64_t{1} << 31;

// Sets fields from a table; what the table lacks stays as it is. Paths are relative to `base`.
// Throws Error for wrong types and values out of range.
class FieldReader {
 public:
  FieldReader(TomlTable table, const std::filesystem::path& base)
      : table_(std::move(table)), base_(base) {}

  void Field(std::string_view key, int64_t& value, int64_t least, int64_t most = kLargestField) {
    value = table_.Int(key, value, least, most);
  }
  void Field(std::string_view key, uint64_t& value, int64_t least) {
    value =
        static_cast<uint64_t>(table_.Int(key, static_cast<int64_t>(value), least, kLargestField));
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
    if (const auto text = table_.OptionalString(key)) value = PathIn(*text);
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
  // Throws Error when the table has a key that was not asked for.
  void Finish() { table_.Finish(); }

 private:
  std::filesystem::path PathIn(const std::string& path) const {
    return path.empty() ? std::filesystem::path() : (base_ / path).lexically_normal();
  }

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

// As TOML, numbers in the shortest digits.
std::string TomlText(const toml::table& table);
// The same as pairs: "data.source[0].weight" -> "1.0".
std::map<std::string, std::string> TomlValues(const toml::table& table);

// The keys of TrainingSettings; `validation` adds those of its own to that section.
template <typename Settings, typename Fields, typename Validation>
void DescribeSettings(Settings& settings, Fields& fields, Validation validation) {
  fields.Field("output", settings.output);
  fields.Field("batch_tokens", settings.batch_tokens, 1);
  fields.Field("micro_batch_tokens", settings.micro_batch_tokens, 0);
  fields.Field("seed", settings.seed, 0);
  fields.Field("ema_decay", settings.ema_decay, 0, 0.9999999);
  fields.Field("tensorboard", settings.tensorboard);
  fields.Section("optimizer", [&](auto& section) {
    section.Field("lr", settings.optimizer.lr, 0, 1e3);
    section.Field("beta1", settings.optimizer.beta1, 0, 0.9999999);
    section.Field("beta2", settings.optimizer.beta2, 0, 0.9999999);
    section.Field("eps", settings.optimizer.eps, 1e-30, 1);
    section.Field("weight_decay", settings.optimizer.weight_decay, 0, 100);
    section.Field("clip", settings.optimizer.clip, 1e-9, 1e300);
    section.Field("moments", settings.optimizer.moments, {"f32", "bf16"});
  });
  fields.Section("schedule", [&](auto& section) {
    section.Field("type", settings.schedule.type, {"wsd", "cosine", "constant"});
    section.Field("warmup_steps", settings.schedule.warmup_steps, 0);
    section.Field("decay_fraction", settings.schedule.decay_fraction, 0, 1);
    section.Field("min_lr_ratio", settings.schedule.min_lr_ratio, 0, 1);
  });
  fields.Section("precision", [&](auto& section) {
    section.Field("recipe", settings.precision.recipe, {"bf16", "f32", "fp8"});
    section.Field("scales", settings.precision.scales, {"amax", "ue8m0", "tensor"});
    section.Field("recompute", settings.precision.recompute);
    section.Field("attention", settings.precision.attention, {"expanded", "absorbed"});
  });
  fields.Section("balance", [&](auto& section) {
    section.Field("bias_speed", settings.balance.bias_speed, 0, 1);
    section.Field("bias_stop_fraction", settings.balance.bias_stop_fraction, 0, 1);
    section.Field("sequence_alpha", settings.balance.sequence_alpha, 0, 10);
    section.Field("load_entries", settings.balance.load_entries, 0, kMostSteps);
  });
  fields.Section("mtp", [&](auto& section) {
    section.Field("weight", settings.mtp.weight, 0, 100);
    section.Field("late_weight", settings.mtp.late_weight, 0, 100);
    section.Field("switch_fraction", settings.mtp.switch_fraction, 0, 1);
  });
  fields.Section("validation", [&](auto& section) {
    section.Field("every", settings.validation.every, 0);
    section.Field("tokens", settings.validation.tokens, 1);
    validation(section);
  });
  fields.Section("sample", [&](auto& section) {
    section.Field("every", settings.sample.every, 0);
    section.Field("prompt", settings.sample.prompt);
    section.Field("tokens", settings.sample.tokens, 1, 1 << 20);
    section.Field("temperature", settings.sample.temperature, 0, 100);
  });
  fields.Section("checkpoint", [&](auto& section) {
    section.Field("every", settings.checkpoint.every, 0);
    section.Field("keep", settings.checkpoint.keep, 1);
    section.Field("best", settings.checkpoint.best);
  });
}

// [lora], of runs that go on from a model.
template <typename Settings, typename Fields>
void DescribeLora(Settings& settings, Fields& fields) {
  fields.Section("lora", [&](auto& section) {
    section.Field("rank", settings.lora.rank, 0, 1 << 16);
    section.Field("alpha", settings.lora.alpha, 0, 1e6);
    section.Field("use_rslora", settings.lora.use_rslora);
    section.Field("dropout", settings.lora.dropout, 0, 1);
    section.Field("targets", settings.lora.targets);
    section.Field("routed_experts", settings.lora.routed_experts);
  });
}

// Of a run whose adapters are beside `base`, with what they cannot be combined with as an Error.
void CheckLora(TrainingSettings& settings, const std::filesystem::path& base,
               std::string_view where);

// Throws Error where settings contradict each other: no output, batches that are not whole rows.
void CheckSettings(const TrainingSettings& settings, int64_t sequence_length,
                   std::string_view where);

}  // namespace fathom

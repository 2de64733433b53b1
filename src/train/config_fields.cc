#include "train/config_fields.h"

#include <fmt/format.h>

#include <sstream>

#include "base/error.h"

namespace fathom {
namespace {

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

}  // namespace

std::string TomlText(const toml::table& table) {
  std::string text;
  WriteToml(table, "", text);
  return text;
}

std::map<std::string, std::string> TomlValues(const toml::table& table) {
  std::map<std::string, std::string> values;
  Flatten(table, "", values);
  return values;
}

void CheckLora(TrainingSettings& settings, const std::filesystem::path& base,
               std::string_view where) {
  settings.lora.base = base;
  if (!settings.lora.enabled()) return;
  if (settings.lora.dropout != 0) {
    throw Error(where, fmt::format("lora.dropout is {}", settings.lora.dropout),
                "adapters are trained without dropout: leave it out");
  }
  if (settings.precision.recipe == "fp8") {
    throw Error(where, "precision.recipe is \"fp8\", and adapters are trained in bf16 or f32",
                "leave it out");
  }
  if (settings.balance.bias_speed != 0) {
    throw Error(where, "balance.bias_speed moves a router that is frozen beside adapters",
                "leave it out");
  }
}

void CheckSettings(const TrainingSettings& settings, int64_t sequence_length,
                   std::string_view where) {
  if (settings.output.empty()) {
    throw Error(where, "output is missing",
                "the run directory, for example output = \"runs/first\"");
  }
  const auto whole_rows = [&](int64_t tokens, std::string_view key) {
    if (tokens % sequence_length == 0) return;
    throw Error(where, fmt::format("{} {} is not a multiple of the sequence length {}", key, tokens,
                                   sequence_length));
  };
  whole_rows(settings.batch_tokens, "batch_tokens");
  whole_rows(settings.micro_batch_tokens, "micro_batch_tokens");
}

}  // namespace fathom

#include "base/toml/toml_reader.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <sstream>

#include "base/error.h"
#include "base/nearest.h"

namespace fathom {
namespace {

toml::table Parse(std::string_view text, std::string_view where) {
  try {
    return toml::parse(text);
  } catch (const toml::parse_error& error) {
    throw Error(
        fmt::format("{}:{}:{}", where, error.source().begin.line, error.source().begin.column),
        error.description(), "the file is not valid TOML");
  }
}

void Merge(toml::table& into, const toml::table& from) {
  for (const auto& [key, value] : from) {
    if (const toml::table* table = value.as_table()) {
      if (!into.contains(key)) into.insert(key, toml::table{});
      if (toml::table* existing = into[key].as_table()) {
        Merge(*existing, *table);
        continue;
      }
    }
    into.insert_or_assign(key, value);
  }
}

[[noreturn]] void ThrowNotKeyValue(const std::string& override) {
  throw UsageError("--set", fmt::format("'{}' is not KEY=VALUE", override),
                   "for example --set optimizer.lr=1e-3 or --set 'data.source[0].weight=2'");
}

// "a.b" as the table {a = {b = 0}}, always of one key; empty where it is no key.
toml::table ParseKey(std::string_view key) {
  try {
    return toml::parse(fmt::format("{} = 0", key));
  } catch (const toml::parse_error&) {
    return {};
  }
}

// The table that is element `index` of the array that `key` names.
toml::table& Element(toml::table& table, std::string_view key, size_t index,
                     const std::string& override) {
  toml::node* node = &table;
  toml::table path = ParseKey(key);
  for (const toml::table* part = &path; part != nullptr && node != nullptr;
       part = part->begin()->second.as_table()) {
    if (part->empty()) ThrowNotKeyValue(override);
    node = node->is_table() ? node->as_table()->get(part->begin()->first.str()) : nullptr;
  }
  toml::array* array = node == nullptr ? nullptr : node->as_array();
  const size_t size = array == nullptr ? 0 : array->size();
  if (index >= size) {
    throw UsageError("--set", fmt::format("'{}': there is no {}[{}]", override, key, index),
                     size == 0 ? "the file has no such list"
                               : fmt::format("the file has {} of them, counted from 0", size));
  }
  toml::table* element = array->get(index)->as_table();
  if (element == nullptr) ThrowNotKeyValue(override);
  return *element;
}

// Puts the value of "a.b=value" into the table, or of "a[0].b=value" into what is there: keys are
// written as errors write them.
void Apply(toml::table& table, const std::string& override) {
  const size_t equals = override.find('=');
  if (equals == std::string::npos) ThrowNotKeyValue(override);
  std::string_view key = std::string_view(override).substr(0, equals);
  toml::table* at = &table;
  for (size_t open; (open = key.find('[')) != std::string_view::npos;) {
    const size_t close = std::min(key.find("].", open), key.size());
    size_t index = 0;
    const auto [end, code] = std::from_chars(key.data() + open + 1, key.data() + close, index);
    if (close == key.size() || code != std::errc() || end != key.data() + close)
      ThrowNotKeyValue(override);
    at = &Element(*at, key.substr(0, open), index, override);
    key.remove_prefix(close + 2);
  }
  toml::table change = ParseKey(key);
  if (change.empty()) ThrowNotKeyValue(override);
  toml::table* leaf = &change;
  while (toml::table* inner = leaf->begin()->second.as_table()) leaf = inner;
  const std::string name(leaf->begin()->first.str()), text = override.substr(equals + 1);
  toml::table value;
  try {
    value = toml::parse("value = " + text);
  } catch (const toml::parse_error&) {
  }
  if (value.size() == 1) {
    leaf->insert_or_assign(name, *value.get("value"));
  } else {
    leaf->insert_or_assign(name, text);
  }
  Merge(*at, change);
}

}  // namespace

toml::table ParseToml(std::string_view text, std::string_view where,
                      const std::vector<std::string>& overrides) {
  toml::table table = Parse(text, where);
  for (const std::string& override : overrides) Apply(table, override);
  return table;
}

TomlTable::TomlTable(const toml::table* table, std::string where, std::string prefix)
    : table_(table), where_(std::move(where)), prefix_(std::move(prefix)) {}

std::string TomlTable::PathOf(std::string_view key) const {
  return fmt::format("{}: {}{}", where_, prefix_, key);
}

const toml::node* TomlTable::Find(std::string_view key) {
  known_.emplace(key);
  return table_ == nullptr ? nullptr : table_->get(key);
}

std::vector<std::string> TomlTable::Names() const {
  std::vector<std::string> names;
  if (table_ == nullptr) return names;
  for (const auto& [key, value] : *table_) names.emplace_back(key.str());
  return names;
}

void TomlTable::Require(std::string_view key) {
  if (Find(key) == nullptr) throw Error(PathOf(key), "is missing");
}

void TomlTable::WrongKind(std::string_view key, std::string_view expected) const {
  std::ostringstream found;
  found << toml::node_view<const toml::node>(table_->get(key));
  throw Error(PathOf(key), fmt::format("expected {}, found {}", expected, found.str()));
}

std::string TomlTable::String(std::string_view key, std::string_view fallback) {
  return OptionalString(key).value_or(std::string(fallback));
}

std::optional<std::string> TomlTable::OptionalString(std::string_view key) {
  const toml::node* node = Find(key);
  if (node == nullptr) return std::nullopt;
  if (!node->is_string()) WrongKind(key, "a string");
  return node->as_string()->get();
}

int64_t TomlTable::Int(std::string_view key, int64_t fallback, int64_t smallest, int64_t largest) {
  const toml::node* node = Find(key);
  if (node == nullptr) return fallback;
  if (!node->is_integer()) WrongKind(key, "an integer");
  const int64_t value = node->as_integer()->get();
  if (value < smallest || value > largest) {
    throw Error(PathOf(key), fmt::format("{} is out of range [{}, {}]", value, smallest, largest));
  }
  return value;
}

double TomlTable::Number(std::string_view key, double fallback, double smallest, double largest) {
  const toml::node* node = Find(key);
  if (node == nullptr) return fallback;
  if (!node->is_number()) WrongKind(key, "a number");
  const double value = *node->value<double>();
  if (!(value >= smallest && value <= largest)) {
    throw Error(PathOf(key), fmt::format("{} is out of range [{}, {}]", value, smallest, largest));
  }
  return value;
}

bool TomlTable::Bool(std::string_view key, bool fallback) {
  const toml::node* node = Find(key);
  if (node == nullptr) return fallback;
  if (!node->is_boolean()) WrongKind(key, "true or false");
  return node->as_boolean()->get();
}

std::vector<std::string> TomlTable::Strings(std::string_view key,
                                            const std::vector<std::string>& fallback) {
  const toml::node* node = Find(key);
  if (node == nullptr) return fallback;
  const toml::array* array = node->as_array();
  if (array == nullptr) WrongKind(key, "an array of strings");
  std::vector<std::string> values;
  for (const toml::node& element : *array) {
    if (!element.is_string()) WrongKind(key, "an array of strings");
    values.push_back(element.as_string()->get());
  }
  return values;
}

std::string TomlTable::Choice(std::string_view key, std::string_view fallback,
                              const std::vector<std::string>& allowed) {
  std::string value = String(key, fallback);
  if (value != fallback && std::find(allowed.begin(), allowed.end(), value) == allowed.end()) {
    throw Error(PathOf(key), fmt::format("'{}' is not one of {}", value, fmt::join(allowed, ", ")));
  }
  return value;
}

TomlTable TomlTable::Table(std::string_view key) {
  const toml::node* node = Find(key);
  if (node != nullptr && !node->is_table()) WrongKind(key, "a table");
  return {node == nullptr ? nullptr : node->as_table(), where_, fmt::format("{}{}.", prefix_, key)};
}

std::vector<TomlTable> TomlTable::Tables(std::string_view key) {
  const toml::node* node = Find(key);
  if (node == nullptr) return {};
  const toml::array* array = node->as_array();
  if (array == nullptr) WrongKind(key, "an array of tables");
  std::vector<TomlTable> tables;
  for (size_t i = 0; i < array->size(); ++i) {
    const toml::table* table = array->get(i)->as_table();
    if (table == nullptr) WrongKind(key, "an array of tables");
    tables.emplace_back(table, where_, fmt::format("{}{}[{}].", prefix_, key, i));
  }
  return tables;
}

void TomlTable::Finish() const {
  if (table_ == nullptr) return;
  for (const auto& [key, value] : *table_) {
    if (known_.contains(key.str())) continue;
    const auto nearest = Nearest(key.str(), known_);
    throw Error(PathOf(key.str()), "is not a known key",
                nearest ? fmt::format("did you mean '{}{}'?", prefix_, *nearest)
                        : fmt::format("known here: {}", fmt::join(known_, ", ")));
  }
}

}  // namespace fathom

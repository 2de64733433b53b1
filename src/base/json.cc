#include "base/json.h"

#include <simdjson.h>

#include <bit>
#include <type_traits>

#include "base/error.h"

namespace fathom {
namespace {

constexpr size_t kMaxDepth = 256;

using Element = simdjson::dom::element;
static_assert(sizeof(Element) == sizeof(JsonElement) && std::is_trivially_copyable_v<Element>);
Element Of(JsonElement element) { return std::bit_cast<Element>(element); }
JsonElement From(Element element) { return std::bit_cast<JsonElement>(element); }

}  // namespace

bool JsonValue::IsNull() const { return Of(element_).is_null(); }
bool JsonValue::IsObject() const { return Of(element_).is_object(); }
bool JsonValue::IsArray() const { return Of(element_).is_array(); }
bool JsonValue::IsString() const { return Of(element_).is_string(); }
bool JsonValue::IsInt() const { return Of(element_).is_int64(); }
bool JsonValue::IsUnsigned() const { return Of(element_).is_uint64(); }
bool JsonValue::IsBool() const { return Of(element_).is_bool(); }

void JsonValue::WrongKind(std::string_view expected) const {
  std::string found = simdjson::minify(Of(element_));
  if (found.size() > 40) found = found.substr(0, 37) + "...";
  throw Error(path_, fmt::format("expected {}, found {}", expected, found));
}

JsonValue JsonValue::Inner(JsonElement element, std::string_view step) const {
  if (is_root_ && step.starts_with('.')) step.remove_prefix(1);
  JsonValue value(element, fmt::format("{}{}{}", path_, is_root_ ? ": " : "", step));
  value.is_root_ = false;
  return value;
}

int64_t JsonValue::Int() const {
  int64_t value;
  if (Of(element_).get(value) != simdjson::SUCCESS) WrongKind("an integer");
  return value;
}

double JsonValue::Number() const {
  double value;
  if (Of(element_).get(value) != simdjson::SUCCESS) WrongKind("a number");
  return value;
}

bool JsonValue::Bool() const {
  bool value;
  if (Of(element_).get(value) != simdjson::SUCCESS) WrongKind("true or false");
  return value;
}

std::string_view JsonValue::String() const {
  std::string_view value;
  if (Of(element_).get(value) != simdjson::SUCCESS) WrongKind("a string");
  return value;
}

std::string JsonValue::Minified() const { return simdjson::minify(Of(element_)); }

std::vector<JsonValue> JsonValue::Array() const {
  simdjson::dom::array array;
  if (Of(element_).get(array) != simdjson::SUCCESS) WrongKind("an array");
  std::vector<JsonValue> values;
  values.reserve(array.size());
  for (const auto element : array)
    values.push_back(Inner(From(element), fmt::format("[{}]", values.size())));
  return values;
}

std::vector<std::pair<std::string_view, JsonValue>> JsonValue::Object() const {
  simdjson::dom::object object;
  if (Of(element_).get(object) != simdjson::SUCCESS) WrongKind("an object");
  std::vector<std::pair<std::string_view, JsonValue>> members;
  members.reserve(object.size());
  for (const auto& [key, value] : object) {
    members.emplace_back(key, Inner(From(value), fmt::format(".{}", key)));
  }
  return members;
}

JsonValue JsonValue::At(std::string_view key) const {
  if (!IsObject()) WrongKind("an object");
  Element value;
  if (Of(element_).at_key(key).get(value) != simdjson::SUCCESS) {
    throw Error(path_, fmt::format("key '{}' is missing", key));
  }
  return Inner(From(value), fmt::format(".{}", key));
}

std::optional<JsonValue> JsonValue::Find(std::string_view key) const {
  if (!IsObject()) WrongKind("an object");
  Element value;
  if (Of(element_).at_key(key).get(value) != simdjson::SUCCESS || value.is_null())
    return std::nullopt;
  return Inner(From(value), fmt::format(".{}", key));
}

int64_t JsonValue::IntOr(std::string_view key, int64_t fallback) const {
  const auto value = Find(key);
  return value ? value->Int() : fallback;
}

double JsonValue::NumberOr(std::string_view key, double fallback) const {
  const auto value = Find(key);
  return value ? value->Number() : fallback;
}

bool JsonValue::BoolOr(std::string_view key, bool fallback) const {
  const auto value = Find(key);
  return value ? value->Bool() : fallback;
}

JsonDocument::JsonDocument(std::string_view text, std::string_view where)
    : root_({}, std::string(where)) {
  const auto parser = std::make_shared<simdjson::dom::parser>();
  parser_ = parser;
  if (text.empty()) throw Error(where, "is not valid JSON: it is empty");
  if (parser->allocate(text.size(), kMaxDepth) != simdjson::SUCCESS) {
    throw Error(where, fmt::format("cannot be read as JSON: no memory for {} bytes", text.size()));
  }
  Element element;
  const auto code = parser->parse(text.data(), text.size()).get(element);
  if (code != simdjson::SUCCESS) {
    throw Error(where, fmt::format("is not valid JSON: {}", simdjson::error_message(code)));
  }
  root_ = JsonValue(From(element), std::string(where));
}

}  // namespace fathom

#include "base/json.h"

#include "base/error.h"

namespace fathom {
namespace {

constexpr size_t kMaxDepth = 256;

}  // namespace

void JsonValue::WrongKind(std::string_view expected) const {
  std::string found = simdjson::minify(element_);
  if (found.size() > 40) found = found.substr(0, 37) + "...";
  throw Error(path_, fmt::format("expected {}, found {}", expected, found));
}

JsonValue JsonValue::Inner(simdjson::dom::element element, std::string_view step) const {
  if (is_root_ && step.starts_with('.')) step.remove_prefix(1);
  JsonValue value(element, fmt::format("{}{}{}", path_, is_root_ ? ": " : "", step));
  value.is_root_ = false;
  return value;
}

int64_t JsonValue::Int() const {
  int64_t value;
  if (element_.get(value) != simdjson::SUCCESS) WrongKind("an integer");
  return value;
}

double JsonValue::Number() const {
  double value;
  if (element_.get(value) != simdjson::SUCCESS) WrongKind("a number");
  return value;
}

bool JsonValue::Bool() const {
  bool value;
  if (element_.get(value) != simdjson::SUCCESS) WrongKind("true or false");
  return value;
}

std::string_view JsonValue::String() const {
  std::string_view value;
  if (element_.get(value) != simdjson::SUCCESS) WrongKind("a string");
  return value;
}

std::string JsonValue::Minified() const { return simdjson::minify(element_); }

std::vector<JsonValue> JsonValue::Array() const {
  simdjson::dom::array array;
  if (element_.get(array) != simdjson::SUCCESS) WrongKind("an array");
  std::vector<JsonValue> values;
  values.reserve(array.size());
  for (const auto element : array)
    values.push_back(Inner(element, fmt::format("[{}]", values.size())));
  return values;
}

std::vector<std::pair<std::string_view, JsonValue>> JsonValue::Object() const {
  simdjson::dom::object object;
  if (element_.get(object) != simdjson::SUCCESS) WrongKind("an object");
  std::vector<std::pair<std::string_view, JsonValue>> members;
  members.reserve(object.size());
  for (const auto& [key, value] : object) {
    members.emplace_back(key, Inner(value, fmt::format(".{}", key)));
  }
  return members;
}

JsonValue JsonValue::At(std::string_view key) const {
  if (!IsObject()) WrongKind("an object");
  simdjson::dom::element value;
  if (element_.at_key(key).get(value) != simdjson::SUCCESS) {
    throw Error(path_, fmt::format("key '{}' is missing", key));
  }
  return Inner(value, fmt::format(".{}", key));
}

std::optional<JsonValue> JsonValue::Find(std::string_view key) const {
  if (!IsObject()) WrongKind("an object");
  simdjson::dom::element value;
  if (element_.at_key(key).get(value) != simdjson::SUCCESS || value.is_null()) return std::nullopt;
  return Inner(value, fmt::format(".{}", key));
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
    : parser_(std::make_unique<simdjson::dom::parser>()),
      root_(simdjson::dom::element(), std::string(where)) {
  if (text.empty()) throw Error(where, "is not valid JSON: it is empty");
  if (parser_->allocate(text.size(), kMaxDepth) != simdjson::SUCCESS) {
    throw Error(where, fmt::format("cannot be read as JSON: no memory for {} bytes", text.size()));
  }
  simdjson::dom::element element;
  const auto code = parser_->parse(text.data(), text.size()).get(element);
  if (code != simdjson::SUCCESS) {
    throw Error(where, fmt::format("is not valid JSON: {}", simdjson::error_message(code)));
  }
  root_ = JsonValue(element, std::string(where));
}

}  // namespace fathom

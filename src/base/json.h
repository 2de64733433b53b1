#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fathom {

// What the parser knows a value by: simdjson's element, as plain words so that its large header is
// read in one place.
struct JsonElement {
  const void* document = nullptr;
  size_t index = 0;
};

// A value inside a parsed JSON document, which has to outlive it. It knows its own path
// ("config.json: rope_scaling.factor"), and every accessor throws Error with that path when the
// value is not of the kind that is asked for.
class JsonValue {
 public:
  JsonValue(JsonElement element, std::string path) : element_(element), path_(std::move(path)) {}

  const std::string& path() const { return path_; }
  bool IsNull() const;
  bool IsObject() const;
  bool IsArray() const;
  bool IsString() const;
  bool IsInt() const;
  // A positive integer that int64_t cannot hold, or any other one that is not negative.
  bool IsUnsigned() const;
  bool IsBool() const;

  int64_t Int() const;
  double Number() const;
  bool Bool() const;
  std::string_view String() const;

  // The value as JSON text without white space.
  std::string Minified() const;

  // Elements in order.
  std::vector<JsonValue> Array() const;
  // (key, value) pairs in the order of the file.
  std::vector<std::pair<std::string_view, JsonValue>> Object() const;

  // A member; Error when it is missing.
  JsonValue At(std::string_view key) const;
  // A member, or nothing when it is missing or null.
  std::optional<JsonValue> Find(std::string_view key) const;

  int64_t IntOr(std::string_view key, int64_t fallback) const;
  double NumberOr(std::string_view key, double fallback) const;
  bool BoolOr(std::string_view key, bool fallback) const;

 private:
  [[noreturn]] void WrongKind(std::string_view expected) const;
  // A value inside this one; step: ".key" or "[3]".
  JsonValue Inner(JsonElement element, std::string_view step) const;

  JsonElement element_;
  std::string path_;
  // Whether path_ is only the name of the source.
  bool is_root_ = true;
};

// Untrusted JSON, parsed strictly, with a bound on nesting. `where` names the source in errors.
class JsonDocument {
 public:
  JsonDocument(std::string_view text, std::string_view where);

  const JsonValue& root() const { return root_; }

 private:
  std::shared_ptr<const void> parser_;  // owns what the values point into
  JsonValue root_;
};

}  // namespace fathom

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace fathom::grammar {

// The kinds of JSON values.
enum JsonKind : uint8_t {
  kNullKind = 1,
  kBooleanKind = 2,
  kIntegerKind = 4,
  kFractionKind = 8,  // numbers that are no integers
  kStringKind = 16,
  kArrayKind = 32,
  kObjectKind = 64,
  kAllKinds = 127,
};
inline constexpr uint8_t kNumberKinds = kIntegerKind | kFractionKind;

// Looks into the schemas of one document. Errors name the place.
class SchemaView {
 public:
  explicit SchemaView(const JsonValue& root) : root_(root) {}

  // Error for keywords that are not known or not supported.
  static void CheckKeywords(const JsonValue& schema);
  // Whether a keyword says something about values, and is not only a description.
  static bool Restricts(std::string_view keyword);
  // A keyword's value, null too; nothing when it is not there.
  static std::optional<JsonValue> Find(const JsonValue& schema, std::string_view keyword);
  // What "type" allows; without it, what the other keywords are about, or all.
  static uint8_t Kinds(const JsonValue& schema);
  static uint8_t KindOf(const JsonValue& value);

  // What "#/..." refers to. Error when there is no such place in the document.
  JsonValue Resolve(const JsonValue& reference) const;

  // Whether no value can be valid for both, as far as types, constants and required properties
  // tell (and some thousand steps of looking).
  bool AreApart(const JsonValue& a, const JsonValue& b);

 private:
  // A schema behind references.
  JsonValue Target(JsonValue schema) const;
  // The values of "const" or "enum", as JSON text; nothing where it has neither.
  static std::optional<std::vector<std::string>> Constants(const JsonValue& schema);
  uint8_t KindsBehind(const JsonValue& schema);
  bool AreApartWithin(const JsonValue& a, const JsonValue& b);

  JsonValue root_;
  int steps_left_ = 0;
};

}  // namespace fathom::grammar

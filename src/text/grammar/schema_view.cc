#include "text/grammar/schema_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/error.h"

namespace fathom::grammar {
namespace {

// Keywords that are handled, each with the kinds of values that it is about (0: says nothing).
struct Keyword {
  std::string_view name;
  uint8_t kinds;
};
constexpr Keyword kKeywords[] = {
    {"type", kAllKinds},
    {"enum", kAllKinds},
    {"const", kAllKinds},
    {"anyOf", kAllKinds},
    {"oneOf", kAllKinds},
    {"allOf", kAllKinds},
    {"$ref", kAllKinds},
    {"minLength", kStringKind},
    {"maxLength", kStringKind},
    {"pattern", kStringKind},
    {"format", kStringKind},
    {"minimum", kNumberKinds},
    {"maximum", kNumberKinds},
    {"exclusiveMinimum", kNumberKinds},
    {"exclusiveMaximum", kNumberKinds},
    {"items", kArrayKind},
    {"prefixItems", kArrayKind},
    {"minItems", kArrayKind},
    {"maxItems", kArrayKind},
    {"uniqueItems", kArrayKind},
    {"properties", kObjectKind},
    {"required", kObjectKind},
    {"additionalProperties", kObjectKind},
    // What describes and does not restrict.
    {"title", 0},
    {"description", 0},
    {"default", 0},
    {"examples", 0},
    {"example", 0},
    {"deprecated", 0},
    {"readOnly", 0},
    {"writeOnly", 0},
    {"nullable", 0},  // checked: false only
    {"discriminator", 0},
    {"$schema", 0},
    {"$id", 0},
    {"$comment", 0},
    {"$defs", 0},
    {"definitions", 0},
};

const Keyword* FindKeyword(std::string_view name) {
  const auto found = std::ranges::find(kKeywords, name, &Keyword::name);
  return found == std::end(kKeywords) ? nullptr : found;
}

constexpr int kMostReferences = 16;  // in a chain
constexpr int kMostSteps = 4096;

}  // namespace

void SchemaView::CheckKeywords(const JsonValue& schema) {
  for (const auto& [name, value] : schema.Object()) {
    const bool known = FindKeyword(name) != nullptr || name.starts_with("x-");
    const bool switched_off = name == "nullable" || name == "uniqueItems";
    if (!known || (switched_off && (!value.IsBool() || value.Bool()))) {
      throw Error(schema.path(), fmt::format("'{}' is not supported", name),
                  "what is supported: docs/serving.md");
    }
  }
}

bool SchemaView::Restricts(std::string_view keyword) {
  const Keyword* known = FindKeyword(keyword);
  return known != nullptr && known->kinds != 0;
}

std::optional<JsonValue> SchemaView::Find(const JsonValue& schema, std::string_view keyword) {
  for (const auto& [name, value] : schema.Object()) {
    if (name == keyword) return value;
  }
  return std::nullopt;
}

uint8_t SchemaView::KindOf(const JsonValue& value) {
  if (value.IsNull()) return kNullKind;
  if (value.IsBool()) return kBooleanKind;
  if (value.IsInt() || value.IsUnsigned()) return kIntegerKind;
  if (value.IsString()) return kStringKind;
  if (value.IsArray()) return kArrayKind;
  return value.IsObject() ? kObjectKind : kFractionKind;
}

uint8_t SchemaView::Kinds(const JsonValue& schema) {
  const auto kind_of = [](const JsonValue& name) -> uint8_t {
    const std::string_view type = name.String();
    if (type == "null") return kNullKind;
    if (type == "boolean") return kBooleanKind;
    if (type == "integer") return kIntegerKind;
    if (type == "number") return kNumberKinds;
    if (type == "string") return kStringKind;
    if (type == "array") return kArrayKind;
    if (type == "object") return kObjectKind;
    throw Error(name.path(), fmt::format("there is no type '{}'", type),
                "null, boolean, integer, number, string, array, object");
  };
  if (const auto type = Find(schema, "type")) {
    if (!type->IsArray()) return kind_of(*type);
    uint8_t kinds = 0;
    for (const JsonValue& name : type->Array()) kinds |= kind_of(name);
    return kinds;
  }
  uint8_t kinds = 0;
  for (const auto& [name, value] : schema.Object()) {
    if (const Keyword* keyword = FindKeyword(name);
        keyword != nullptr && keyword->kinds != kAllKinds)
      kinds |= keyword->kinds;
  }
  return kinds != 0 ? kinds : uint8_t{kAllKinds};
}

JsonValue SchemaView::Resolve(const JsonValue& reference) const {
  std::string_view pointer = reference.String();
  const auto fail = [&](std::string_view what) {
    throw Error(reference.path(), fmt::format("'{}' {}", reference.String(), what),
                "references begin with '#/' and lead into the same schema");
  };
  if (!pointer.starts_with('#')) fail("is not supported");
  pointer.remove_prefix(1);
  JsonValue value = root_;
  while (!pointer.empty()) {
    if (!pointer.starts_with('/')) fail("is not supported");
    pointer.remove_prefix(1);
    std::string key(pointer.substr(0, pointer.find('/')));
    pointer.remove_prefix(key.size());
    // RFC 6901: ~1 is '/', ~0 is '~'.
    for (size_t at = 0; (at = key.find('~', at)) != std::string::npos; ++at) {
      const char code = at + 1 < key.size() ? key[at + 1] : ' ';
      if (code != '0' && code != '1') fail("is no JSON pointer");
      key.replace(at, 2, code == '0' ? "~" : "/");
    }
    std::optional<JsonValue> inner;
    if (value.IsObject()) inner = Find(value, key);
    if (value.IsArray()) {
      const std::vector<JsonValue> items = value.Array();
      for (size_t i = 0; i < items.size(); ++i) {
        if (std::to_string(i) == key) inner = items[i];
      }
    }
    if (!inner) fail("leads nowhere");
    value = *inner;
  }
  return value;
}

JsonValue SchemaView::Target(JsonValue schema) const {
  for (int i = 0; i < kMostReferences && schema.IsObject(); ++i) {
    const auto reference = Find(schema, "$ref");
    if (!reference) break;
    schema = Resolve(*reference);
  }
  return schema;
}

std::optional<std::vector<std::string>> SchemaView::Constants(const JsonValue& schema) {
  if (const auto value = Find(schema, "const")) return {{value->Minified()}};
  const auto values = Find(schema, "enum");
  if (!values) return std::nullopt;
  std::vector<std::string> constants;
  for (const JsonValue& value : values->Array()) constants.push_back(value.Minified());
  std::ranges::sort(constants);
  return constants;
}

uint8_t SchemaView::KindsBehind(const JsonValue& schema) {
  if (!schema.IsObject() || --steps_left_ < 0) return kAllKinds;
  uint8_t kinds = 0;
  if (const auto value = Find(schema, "const")) return KindOf(*value);
  if (const auto values = Find(schema, "enum")) {
    for (const JsonValue& value : values->Array()) kinds |= KindOf(value);
    return kinds;
  }
  for (const char* name : {"anyOf", "oneOf"}) {
    const auto parts = Find(schema, name);
    if (!parts) continue;
    for (const JsonValue& part : parts->Array()) kinds |= KindsBehind(Target(part));
    return kinds;
  }
  if (Find(schema, "allOf")) return kAllKinds;
  return Kinds(schema);
}

bool SchemaView::AreApart(const JsonValue& a, const JsonValue& b) {
  steps_left_ = kMostSteps;
  return AreApartWithin(a, b);
}

bool SchemaView::AreApartWithin(const JsonValue& first, const JsonValue& second) {
  if (--steps_left_ < 0) return false;
  const JsonValue a = Target(first), b = Target(second);
  if (!a.IsObject() || !b.IsObject()) return false;
  const uint8_t kinds = KindsBehind(a), other_kinds = KindsBehind(b);
  if ((kinds & other_kinds) == 0) return true;
  const auto constants = Constants(a), others = Constants(b);
  if (constants && others) {
    return std::ranges::none_of(*constants, [&](const std::string& value) {
      return std::ranges::binary_search(*others, value);
    });
  }
  if (kinds != kObjectKind || other_kinds != kObjectKind) return false;
  // Objects that both need a property which cannot be the same.
  const auto properties = Find(a, "properties"), other_properties = Find(b, "properties");
  const auto required = Find(a, "required"), other_required = Find(b, "required");
  if (!properties || !other_properties || !required || !other_required) return false;
  std::set<std::string_view> needed;
  for (const JsonValue& name : other_required->Array()) needed.insert(name.String());
  return std::ranges::any_of(required->Array(), [&](const JsonValue& name) {
    if (!needed.contains(name.String()) || --steps_left_ < 0) return false;
    const auto one = Find(*properties, name.String()),
               other = Find(*other_properties, name.String());
    return one && other && AreApartWithin(*one, *other);
  });
}

}  // namespace fathom::grammar

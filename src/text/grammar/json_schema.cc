#include "text/grammar/json_schema.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "text/grammar/number_range.h"
#include "text/grammar/object_schema.h"
#include "text/grammar/pattern.h"
#include "text/grammar/schema_view.h"
#include "text/grammar/string_formats.h"

namespace fathom::grammar {
namespace {

using E = Expression;

constexpr size_t kMostAlternatives = 256, kMostFixedItems = 256;
// Of a property: it is gone into character by character.
constexpr size_t kMostNameBytes = 1024;

class SchemaCompiler {
 public:
  SchemaCompiler(const JsonValue& root, const JsonText& json, GrammarBuilder& builder)
      : view_(root), json_(json), builder_(builder) {}

  E All(const JsonValue& schema) {
    E values = Values(schema);
    while (!undefined_.empty()) {
      const auto [rule, target] = undefined_.back();
      undefined_.pop_back();
      builder_.Define(rule, Values(target));
    }
    return values;
  }

 private:
  E Values(const JsonValue& schema) {
    if (schema.IsBool()) return schema.Bool() ? json_.Value() : E::Nothing();
    if (!schema.IsObject()) throw Error(schema.path(), "is no schema", "an object, true or false");
    SchemaView::CheckKeywords(schema);
    for (const char* name : {"$ref", "anyOf", "oneOf", "allOf", "const", "enum"}) {
      if (const auto value = SchemaView::Find(schema, name)) {
        CheckAlone(schema, name);
        return Combined(schema, name, *value);
      }
    }
    const uint8_t kinds = SchemaView::Kinds(schema);
    if (kinds == kAllKinds && !SchemaView::Find(schema, "type")) return json_.Value();
    std::vector<E> parts;
    if ((kinds & kNullKind) != 0) parts.push_back(JsonText::Null());
    if ((kinds & kBooleanKind) != 0) parts.push_back(JsonText::Boolean());
    if ((kinds & kNumberKinds) != 0) parts.push_back(Numbers(schema, kinds));
    if ((kinds & kStringKind) != 0) parts.push_back(Strings(schema));
    if ((kinds & kArrayKind) != 0) parts.push_back(Arrays(schema));
    if ((kinds & kObjectKind) != 0) parts.push_back(Objects(schema));
    return E::Choice(std::move(parts));
  }

  // Keywords that restrict and stand beside one that says it all.
  static void CheckAlone(const JsonValue& schema, std::string_view name) {
    for (const auto& [other, value] : schema.Object()) {
      const bool constant = name == "const" || name == "enum";
      if (other == name || !SchemaView::Restricts(other) || (constant && other == "type")) continue;
      throw Error(schema.path(), fmt::format("'{}' beside '{}' is not supported", other, name),
                  "put one of them inside the other");
    }
  }

  E Combined(const JsonValue& schema, std::string_view name, const JsonValue& value) {
    if (name == "$ref") return Reference(value);
    if (name == "const" || name == "enum") return Constants(schema, name, value);
    const std::vector<JsonValue> items = value.Array();
    if (items.empty() || items.size() > kMostAlternatives) {
      throw Error(value.path(), fmt::format("has {} schemas", items.size()),
                  fmt::format("it can have 1 to {}", kMostAlternatives));
    }
    if (name == "allOf" && items.size() > 1) {
      throw Error(value.path(), "several schemas at once are not supported", "write them as one");
    }
    for (size_t i = 0; name == "oneOf" && i < items.size(); ++i) {
      for (size_t j = 0; j < i; ++j) {
        if (view_.AreApart(items[i], items[j])) continue;
        throw Error(items[i].path(), fmt::format("may be valid where alternative {} is", j),
                    "tell them apart by types or by a required property that is constant, or say "
                    "anyOf");
      }
    }
    std::vector<E> parts;
    for (const JsonValue& item : items) parts.push_back(Values(item));
    return E::Choice(std::move(parts));
  }

  // Its rule is defined later: a chain of references is not gone down.
  E Reference(const JsonValue& reference) {
    const auto [found, is_new] = rules_.emplace(std::string(reference.String()), 0);
    if (is_new) {
      found->second = builder_.NewRule();
      undefined_.emplace_back(found->second, view_.Resolve(reference));
    }
    return E::Call(found->second);
  }

  E Constants(const JsonValue& schema, std::string_view name, const JsonValue& value) {
    const bool typed = SchemaView::Find(schema, "type").has_value();
    const uint8_t kinds = typed ? SchemaView::Kinds(schema) : uint8_t{kAllKinds};
    std::vector<E> parts;
    for (const JsonValue& item : name == "const" ? std::vector{value} : value.Array()) {
      if ((SchemaView::KindOf(item) & kinds) != 0) parts.push_back(json_.Literal(item));
    }
    return E::Choice(std::move(parts));
  }

  E Numbers(const JsonValue& schema, uint8_t kinds) {
    const bool fractions = (kinds & kFractionKind) != 0;
    NumberRange range;
    bool bounded = false;
    const auto read = [&](const char* name, bool lower, bool open) {
      const auto value = SchemaView::Find(schema, name);
      if (!value) return;
      const double bound = value->Number();
      const double whole = lower == open ? std::floor(bound) : std::ceil(bound);
      if (!(std::abs(bound) <= static_cast<double>(NumberRange::kMostBound)) ||
          (fractions && whole != bound)) {
        throw Error(
            value->path(), fmt::format("{} is not supported", bound),
            fmt::format("bounds of numbers are whole, and up to {}", NumberRange::kMostBound));
      }
      bounded = true;
      auto integer = static_cast<int64_t>(whole);
      if (open && !fractions) integer += lower ? 1 : -1;
      std::optional<int64_t>& mine = lower ? range.least : range.most;
      bool& mine_open = lower ? range.least_open : range.most_open;
      const bool tighter = !mine || (lower ? integer > *mine : integer < *mine);
      if (tighter || (integer == *mine && open)) {
        mine = integer;
        mine_open = open && fractions;
      }
    };
    read("minimum", true, false);
    read("exclusiveMinimum", true, true);
    read("maximum", false, false);
    read("exclusiveMaximum", false, true);
    if (!bounded) return fractions ? json_.Number() : json_.Integer();
    return fractions ? NumbersIn(range) : IntegersIn(range);
  }

  E Strings(const JsonValue& schema) {
    const auto pattern = SchemaView::Find(schema, "pattern"),
               format = SchemaView::Find(schema, "format");
    const int64_t least = Count(schema, "minLength", 0),
                  most = Count(schema, "maxLength", E::kUnbounded);
    const bool counted = least > 0 || most != E::kUnbounded;
    if ((pattern ? 1 : 0) + (format ? 1 : 0) + (counted ? 1 : 0) > 1) {
      throw Error(schema.path(), "pattern, format and lengths together are not supported",
                  "say it all with the pattern");
    }
    if (pattern) return JsonText::Quoted(PatternContent(pattern->String(), pattern->path()));
    if (format) {
      const auto known = PatternOfFormat(format->String());
      if (!known) {
        throw Error(format->path(), fmt::format("'{}' is not supported", format->String()),
                    "leave it out, or use a pattern");
      }
      return JsonText::Quoted(PatternContent(*known, format->path()));
    }
    return counted ? JsonText::StringOf(least, most) : json_.String();
  }

  E Arrays(const JsonValue& schema) {
    const int64_t least = Count(schema, "minItems", 0),
                  most = Count(schema, "maxItems", E::kUnbounded);
    const auto first = SchemaView::Find(schema, "prefixItems"),
               items = SchemaView::Find(schema, "items");
    if (!first && !items && least == 0 && most == E::kUnbounded) return json_.Array();
    std::vector<E> firsts;
    if (first) {
      for (const JsonValue& item : first->Array()) firsts.push_back(Values(item));
      if (firsts.size() > kMostFixedItems) {
        throw Error(first->path(), fmt::format("has {} schemas", firsts.size()),
                    fmt::format("it can have {}", kMostFixedItems));
      }
    }
    const E rest = items ? E::Call(builder_.NewRule(Values(*items))) : json_.Value();
    // From the end on: what may follow the first i + 1 of the fixed ones, and how many have to.
    const auto fixed = static_cast<int64_t>(firsts.size());
    const int64_t more = std::max<int64_t>(0, least - fixed);
    const int64_t most_more = most == E::kUnbounded ? most : std::max<int64_t>(0, most - fixed);
    const auto following = [&](const E& item) { return E::Sequence({json_.Comma(), item}); };
    if (firsts.empty()) {
      if (most == 0) return json_.Enclosed("[", E::Nothing(), true, "]");
      const E list = E::Sequence({rest, E::Repeat(following(rest), std::max<int64_t>(0, least - 1),
                                                  most == E::kUnbounded ? most : most - 1)});
      return json_.Enclosed("[", list, least == 0, "]");
    }
    E tail = E::Repeat(following(rest), more, most_more);
    for (int64_t i = fixed - 1; i > 0; --i) {
      if (most != E::kUnbounded && i >= most) {
        tail = E::Empty();
        continue;
      }
      tail = E::Sequence({following(firsts[static_cast<size_t>(i)]), tail});
      if (i >= least) tail = E::Optional(tail);
    }
    if (most == 0) return json_.Enclosed("[", E::Nothing(), true, "]");
    return json_.Enclosed("[", E::Sequence({firsts[0], tail}), least == 0, "]");
  }

  E Objects(const JsonValue& schema) {
    const auto properties = SchemaView::Find(schema, "properties"),
               required = SchemaView::Find(schema, "required"),
               additional = SchemaView::Find(schema, "additionalProperties");
    if (!properties && !required && !additional) return json_.Object();
    ObjectMembers members;
    const bool closed =
        additional ? additional->IsBool() && !additional->Bool() : properties.has_value();
    if (!closed) members.additional = additional ? Values(*additional) : json_.Value();
    std::set<std::string, std::less<>> missing;  // required ones that have not come
    if (required) {
      for (const JsonValue& name : required->Array()) missing.emplace(name.String());
    }
    if (properties) {
      for (const auto& [name, value] : properties->Object()) {
        if (name.size() > kMostNameBytes) {
          throw Error(properties->path(), "has a name that is too long",
                      fmt::format("{} bytes are possible", kMostNameBytes));
        }
        members.named.push_back(
            {std::string(name), Values(value), missing.erase(std::string(name)) > 0});
      }
    }
    for (const std::string& name : missing) {
      if (!members.additional || name.size() > kMostNameBytes) {
        throw Error(required->path(), fmt::format("'{}' is not one of the properties", name),
                    "add it to properties");
      }
      members.named.push_back({name, *members.additional, true});
    }
    return E::Call(builder_.NewRule(ObjectOf(members, json_, builder_)));
  }

  static int64_t Count(const JsonValue& schema, std::string_view name, int64_t fallback) {
    const auto value = SchemaView::Find(schema, name);
    if (!value) return fallback;
    const int64_t count = value->Int();
    if (count < 0) throw Error(value->path(), fmt::format("{} is less than 0", count));
    return count;
  }

  SchemaView view_;
  const JsonText& json_;
  GrammarBuilder& builder_;
  std::map<std::string, int> rules_;  // of references
  std::vector<std::pair<int, JsonValue>> undefined_;
};

}  // namespace

Expression SchemaValues(const JsonValue& schema, const JsonText& json, GrammarBuilder& builder) {
  return SchemaCompiler(schema, json, builder).All(schema);
}

}  // namespace fathom::grammar

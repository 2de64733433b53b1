#include "text/grammar/json_text.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

namespace fathom::grammar {
namespace {

using E = Expression;

// 18 digits fit into 64 bits, which is what many a reader of JSON can hold.
constexpr int64_t kMostDigits = 18, kMostDecimals = 20, kMostIndent = 32;

CharacterSet Controls() { return CharacterSet({{0, 0x1F}}); }
CharacterSet Escaped() { return Controls().With(CharacterSet({{'"', '"'}, {'\\', '\\'}})); }

E OneOf(std::string_view bytes) {
  std::vector<E> parts;
  for (const char byte : bytes) parts.push_back(E::Text(std::string_view(&byte, 1)));
  return E::Choice(std::move(parts));
}

E Digits(int64_t least, int64_t most) { return E::Repeat(E::Bytes('0', '9'), least, most); }

E Hex() { return E::Choice({E::Bytes('0', '9'), E::Bytes('a', 'f'), E::Bytes('A', 'F')}); }

// \uXXXX of a character, or of the two surrogates that make one.
E UnicodeEscape() {
  const E any = Hex(), d = OneOf("dD");
  const E not_d = E::Choice({E::Bytes('0', '9'), OneOf("abcefABCEF")});
  const E high = E::Sequence({d, OneOf("89abAB"), any, any});
  const E low = E::Sequence({d, E::Choice({E::Bytes('c', 'f'), E::Bytes('C', 'F')}), any, any});
  return E::Choice({E::Sequence({E::Text("\\u"), not_d, any, any, any}),
                    E::Sequence({E::Text("\\u"), d, E::Bytes('0', '7'), any, any}),
                    E::Sequence({E::Text("\\u"), high, E::Text("\\u"), low})});
}

E AnyCharacter() {
  return E::Choice({Utf8(Escaped().Complement()), E::Sequence({E::Text("\\"), OneOf("\"\\/bfnrt")}),
                    UnicodeEscape()});
}

}  // namespace

JsonText::JsonText(GrammarBuilder& builder) {
  space_ = builder.NewRule(
      E::Choice({E::Empty(), E::Text(" "),
                 E::Sequence({E::Text("\n"), E::Repeat(OneOf(" \t"), 0, kMostIndent)})}));
  string_ = builder.NewRule(StringOf(0, E::kUnbounded));
  integer_ = builder.NewRule(E::Sequence(
      {E::Optional(E::Text("-")),
       E::Choice({E::Text("0"), E::Sequence({E::Bytes('1', '9'), Digits(0, kMostDigits - 1)})})}));
  number_ = builder.NewRule(E::Sequence(
      {Integer(), E::Optional(E::Sequence({E::Text("."), Digits(1, kMostDecimals)})),
       E::Optional(E::Sequence({OneOf("eE"), E::Optional(OneOf("+-")), Digits(1, 2)}))}));
  value_ = builder.NewRule();
  object_ = builder.NewRule();
  array_ = builder.NewRule();
  const E member = Member(String(), Value());
  const auto list = [&](const E& item) {
    return E::Sequence({item, E::Repeat(E::Sequence({Comma(), item}), 0, E::kUnbounded)});
  };
  builder.Define(object_, Enclosed("{", list(member), true, "}"));
  builder.Define(array_, Enclosed("[", list(Value()), true, "]"));
  builder.Define(value_, E::Choice({Object(), Array(), String(), Number(), Boolean(), Null()}));
}

Expression JsonText::Boolean() { return E::Choice({E::Text("true"), E::Text("false")}); }

Expression JsonText::StringOf(int64_t least, int64_t most) {
  return Quoted(E::Repeat(AnyCharacter(), least, most));
}

Expression JsonText::Quoted(Expression content) {
  return E::Sequence({E::Text("\""), std::move(content), E::Text("\"")});
}

Expression JsonText::Character(const CharacterSet& set) {
  std::vector<E> parts = {Utf8(set.Without(Escaped()))};
  const CharacterSet escaped = set.Both(Escaped());
  for (const auto& [first, last] : escaped.ranges()) {
    for (char32_t c = first; c <= last; ++c) {
      // As JSON's writers escape it, without the quotes.
      const std::string text = nlohmann::json(std::string(1, static_cast<char>(c))).dump();
      parts.push_back(E::Text(std::string_view(text).substr(1, text.size() - 2)));
    }
  }
  return E::Choice(std::move(parts));
}

Expression JsonText::Text(std::string_view text) {
  return E::Text(nlohmann::json(std::string(text)).dump());
}

Expression JsonText::Literal(const JsonValue& value) const {
  if (value.IsObject()) {
    std::vector<E> members;
    for (const auto& [name, member] : value.Object()) {
      if (!members.empty()) members.push_back(Comma());
      members.push_back(Member(Text(name), Literal(member)));
    }
    const bool empty = members.empty();
    return Enclosed("{", empty ? E::Nothing() : E::Sequence(std::move(members)), empty, "}");
  }
  if (value.IsArray()) {
    std::vector<E> items;
    for (const JsonValue& item : value.Array()) {
      if (!items.empty()) items.push_back(Comma());
      items.push_back(Literal(item));
    }
    const bool empty = items.empty();
    return Enclosed("[", empty ? E::Nothing() : E::Sequence(std::move(items)), empty, "]");
  }
  return value.IsString() ? Text(value.String()) : E::Text(value.Minified());
}

Expression JsonText::Member(Expression name, Expression value) const {
  return E::Sequence({std::move(name), E::Text(":"), Space(), std::move(value)});
}

Expression JsonText::Comma() const { return E::Sequence({E::Text(","), Space()}); }

Expression JsonText::Enclosed(std::string_view open, Expression members, bool optional,
                              std::string_view close) const {
  std::vector<E> inside = {E::Sequence({Space(), std::move(members), Space()})};
  if (optional) inside.push_back(Space());
  return E::Sequence({E::Text(open), E::Choice(std::move(inside)), E::Text(close)});
}

}  // namespace fathom::grammar

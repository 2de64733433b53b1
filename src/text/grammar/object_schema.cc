#include "text/grammar/object_schema.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "text/grammar/characters.h"

namespace fathom::grammar {
namespace {

using E = Expression;

CharacterSet Plain() { return CharacterSet({{0, 0x1F}, {'"', '"'}, {'\\', '\\'}}).Complement(); }

// The length in bytes of the character that a text begins with.
size_t FirstLength(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  return lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

char32_t Decoded(std::string_view bytes) {
  char32_t c = static_cast<unsigned char>(bytes[0]);
  if (bytes.size() > 1) c &= 0x7FU >> bytes.size();
  for (const char byte : bytes.substr(1)) c = c << 6 | (static_cast<unsigned char>(byte) & 0x3F);
  return c;
}

// Texts without escapes that are none of `names` (ascending, each once); anything: any of them.
E OtherThan(const std::vector<std::string_view>& names, const E& anything) {
  std::vector<E> parts;
  CharacterSet first;
  const bool has_empty = !names.empty() && names[0].empty();
  if (!has_empty) parts.push_back(E::Empty());
  for (size_t i = has_empty ? 1 : 0; i < names.size();) {
    const std::string_view character = names[i].substr(0, FirstLength(names[i]));
    std::vector<std::string_view> rest;
    for (; i < names.size() && names[i].starts_with(character); ++i)
      rest.push_back(names[i].substr(character.size()));
    const char32_t c = Decoded(character);
    first = first.With(CharacterSet({{c, c}}));
    if (!Plain().Has(c)) continue;  // only written with an escape, which these texts have not
    parts.push_back(E::Sequence({E::Text(character), OtherThan(rest, anything)}));
  }
  parts.push_back(E::Sequence({Utf8(Plain().Without(first)), anything}));
  return E::Choice(std::move(parts));
}

}  // namespace

Expression ObjectOf(const ObjectMembers& members, const JsonText& json, GrammarBuilder& builder) {
  const size_t count = members.named.size();
  std::vector<E> named;
  for (const ObjectMembers::Named& member : members.named) {
    named.push_back(json.Member(JsonText::Text(member.name), member.value));
  }
  const auto following = [&](const E& member) { return E::Sequence({json.Comma(), member}); };
  std::optional<E> other;
  if (members.additional) {
    std::vector<std::string_view> names;
    for (const ObjectMembers::Named& member : members.named) names.push_back(member.name);
    std::ranges::sort(names);
    const int anything = builder.NewRule(E::Repeat(Utf8(Plain()), 0, E::kUnbounded));
    const int name = builder.NewRule(JsonText::Quoted(OtherThan(names, E::Call(anything))));
    other = E::Call(builder.NewRule(json.Member(E::Call(name), *members.additional)));
  }
  // rests[i]: what follows a member, if named ones from i on are still to come. A rule each, so
  // that each is there once.
  std::vector<int> rests(count + 1);
  rests[count] =
      builder.NewRule(other ? E::Repeat(following(*other), 0, E::kUnbounded) : E::Empty());
  for (size_t i = count; i-- > 0;) {
    const E here = following(named[i]);
    rests[i] = builder.NewRule(
        E::Sequence({members.named[i].required ? here : E::Optional(here), E::Call(rests[i + 1])}));
  }
  // The first member is one of those up to the first that is required.
  std::vector<E> firsts;
  bool may_be_empty = true;
  for (size_t i = 0; i < count && may_be_empty; ++i) {
    firsts.push_back(E::Sequence({named[i], E::Call(rests[i + 1])}));
    may_be_empty = !members.named[i].required;
  }
  if (may_be_empty && other) firsts.push_back(E::Sequence({*other, E::Call(rests[count])}));
  return json.Enclosed("{", E::Choice(std::move(firsts)), may_be_empty, "}");
}

}  // namespace fathom::grammar

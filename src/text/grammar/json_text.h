#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/json.h"
#include "text/grammar/characters.h"
#include "text/grammar/grammar.h"

namespace fathom::grammar {

// JSON (RFC 8259) as rules of a grammar: less than all of it where that keeps a model from going on
// without end. White space is one space, or a new line and up to 32 spaces or tabs, and stands
// after what opens, ',' and ':', and before what closes. A number has up to 18 digits before the
// point, 20 after it, and an exponent of up to 2.
class JsonText {
 public:
  explicit JsonText(GrammarBuilder& builder);

  Expression Space() const { return Expression::Call(space_); }
  Expression Value() const { return Expression::Call(value_); }  // any
  Expression Object() const { return Expression::Call(object_); }
  Expression Array() const { return Expression::Call(array_); }
  Expression String() const { return Expression::Call(string_); }
  Expression Number() const { return Expression::Call(number_); }
  Expression Integer() const { return Expression::Call(integer_); }
  static Expression Boolean();
  static Expression Null() { return Expression::Text("null"); }

  // A string of so many characters (code points); most: Expression::kUnbounded for any number.
  static Expression StringOf(int64_t least, int64_t most);
  // A string with this between its quotes.
  static Expression Quoted(Expression content);
  // One character of a set inside a string, escaped where it has to be.
  static Expression Character(const CharacterSet& set);
  // A string's text with its quotes.
  static Expression Text(std::string_view text);
  // One value as it is, with any white space.
  Expression Literal(const JsonValue& value) const;
  // `name: value` of an object.
  Expression Member(Expression name, Expression value) const;
  // Something between brackets or braces: members in a row, which may be none where `optional`.
  Expression Enclosed(std::string_view open, Expression members, bool optional,
                      std::string_view close) const;
  // A comma between two members.
  Expression Comma() const;

 private:
  int space_, value_, object_, array_, string_, number_, integer_;
};

}  // namespace fathom::grammar

#pragma once

#include <string_view>
#include <utility>

#include "text/chat/native_format.h"

namespace fathom {

// Builds the prompt of a native format from values.
class FormatWriter {
 public:
  explicit FormatWriter(const FormatInput& input) : runtime_(input.runtime) {}

  // The format's own text.
  void Put(std::string_view text) { out_.Append(text, true); }
  void Put(const jinja::Text& text);
  // A value that has to be a string, as where a template adds it to one; `what` names it in the
  // error.
  void PutString(const jinja::Value& value, std::string_view what);
  // Any value, as a template prints it.
  void Print(const jinja::Value& value);
  void PutJson(const jinja::Value& value);
  // With four spaces a level.
  void PutIndentedJson(const jinja::Value& value);

  jinja::Text Take() { return std::move(out_); }

 private:
  jinja::Runtime& runtime_;
  jinja::Text out_;
};

// The member of a message or another object; undefined when it is missing.
jinja::Value Member(jinja::Runtime& runtime, const jinja::Value& object, std::string_view key);
// Whether the member is the string.
bool MemberIs(jinja::Runtime& runtime, const jinja::Value& object, std::string_view key,
              std::string_view text);
// The text of a string; fails for anything else.
const jinja::Text& StringOf(jinja::Runtime& runtime, const jinja::Value& value,
                            std::string_view what);
// What follows the last `mark`, or all of it.
jinja::Text AfterLast(const jinja::Text& text, std::string_view mark);

}  // namespace fathom

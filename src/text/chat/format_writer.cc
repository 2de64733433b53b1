#include "text/chat/format_writer.h"

#include "base/error.h"
#include "text/jinja/json_writer.h"
#include "text/jinja/operations.h"
#include "text/jinja/python_text.h"

namespace fathom {

using jinja::Text;
using jinja::Value;

void FormatWriter::Put(const Text& text) {
  runtime_.Scan(text.size());
  runtime_.CheckSize(out_.size() + text.size());
  out_.Append(text);
}

void FormatWriter::PutString(const Value& value, std::string_view what) {
  Put(StringOf(runtime_, value, what));
}

void FormatWriter::Print(const Value& value) { Put(jinja::ToText(runtime_, value)); }

void FormatWriter::PutJson(const Value& value) { Put(jinja::ToJson(runtime_, value)); }

void FormatWriter::PutIndentedJson(const Value& value) {
  Put(jinja::ToJson(runtime_, value, jinja::IndentedJson(runtime_, 4)));
}

Value Member(jinja::Runtime& runtime, const Value& object, std::string_view key) {
  const Value* found = object.IsDict() ? jinja::FindItem(object.dict(), key) : nullptr;
  return found != nullptr ? *found : runtime.Undefined(key);
}

bool MemberIs(jinja::Runtime& runtime, const Value& object, std::string_view key,
              std::string_view text) {
  const Value value = Member(runtime, object, key);
  return value.IsString() && value.bytes() == text;
}

const Text& StringOf(jinja::Runtime& runtime, const Value& value, std::string_view what) {
  if (!value.IsString()) {
    runtime.Fail(fmt::format("{} is '{}' where a string is needed", what, jinja::TypeName(value)));
  }
  return value.text();
}

Text AfterLast(const Text& text, std::string_view mark) {
  const size_t place = jinja::FindLastText(text.bytes(), mark);
  return place == std::string_view::npos ? text : text.Slice(place + mark.size(), text.size());
}

}  // namespace fathom

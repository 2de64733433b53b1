#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/runtime.h"
#include "text/jinja/value.h"

// Python's operations on values, with Python's errors.
namespace fathom::jinja {

// 'str', 'int', 'dict', ...
std::string_view TypeName(const Value& value);

bool IsTrue(const Value& value);
bool Equal(Runtime& runtime, const Value& left, const Value& right);
// left < right; fails for what has no order.
bool Less(Runtime& runtime, const Value& left, const Value& right);
// wanted in container.
bool Contains(Runtime& runtime, const Value& container, const Value& wanted);

// len(); nothing where Python has none.
std::optional<int64_t> Length(Runtime& runtime, const Value& value);
bool IsIterable(const Value& value);
// The values that a loop over it would see; a generator is empty afterwards.
std::vector<Value> Iterate(Runtime& runtime, const Value& value);

// Equal for equal values and different for others; fails for what cannot be a key.
std::string HashKey(Runtime& runtime, const Value& value);
// Null when there is none.
const Value* FindItem(Runtime& runtime, const DictObject& dict, const Value& key);
const Value* FindItem(const DictObject& dict, std::string_view key);
void SetItem(Runtime& runtime, DictObject& dict, const Value& key, const Value& value);

// object.name and object[key], as Jinja's sandbox looks them up: data, and methods that change
// nothing. What is not there is undefined; looking into what is undefined fails.
Value GetAttribute(Runtime& runtime, const Value& object, std::string_view name);
Value GetItem(Runtime& runtime, const Value& object, const Value& key);
// object[begin:end:step]; none or undefined bounds are open.
Value GetSlice(Runtime& runtime, const Value& object, const Value& begin, const Value& end,
               const Value& step);

// operation: + - * / // % **.
Value Binary(Runtime& runtime, std::string_view operation, const Value& left, const Value& right);
Value Negative(Runtime& runtime, const Value& value);

// str(): what a value looks like in the output; nothing for undefined.
Text ToText(Runtime& runtime, const Value& value);
// repr(): as ToText, with strings in quotes.
Text Repr(Runtime& runtime, const Value& value);
// & < > " ' for HTML.
Text EscapeHtml(Runtime& runtime, const Text& text);

[[noreturn]] void FailUndefined(const Runtime& runtime, const Value& value);

}  // namespace fathom::jinja

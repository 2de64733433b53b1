#include "text/jinja/text_methods.h"

#include <algorithm>
#include <functional>
#include <map>
#include <unordered_set>

#include "base/error.h"
#include "text/jinja/format.h"
#include "text/jinja/operations.h"
#include "text/jinja/python_text.h"

namespace fathom::jinja {
namespace {

constexpr size_t kNone = std::string_view::npos;

// What a method works on and with.
struct Call {
  Runtime& runtime;
  const Value& self;
  std::string_view name;
  const Arguments& arguments;

  const Text& text() const { return self.text(); }
  const std::string& bytes() const { return self.bytes(); }
  // The result has the markup of the string itself.
  Value Result(Text result) const {
    return runtime.String(std::move(result), self.string().markup);
  }
  Value Results(const std::vector<Text>& texts) const {
    std::vector<Value> values;
    for (const Text& part : texts) values.push_back(Result(part));
    return runtime.List(std::move(values));
  }
  BoundArguments Bind(std::initializer_list<std::string_view> parameters,
                      size_t required = 0) const {
    return BoundArguments(runtime, arguments, name, parameters, required);
  }
};

template <typename Map>
Text MapPieces(Runtime& runtime, const Text& text, Map map) {
  runtime.Scan(text.size());
  runtime.CheckSize(text.size());
  Text out;
  text.ForEachRun([&](std::string_view piece, bool trusted) { out.Append(map(piece), trusted); });
  return out;
}

// ---- splitting ----

std::vector<Text> SplitBySpace(Runtime& runtime, const Text& text, int64_t limit) {
  const std::string_view bytes = text.bytes();
  std::vector<Text> parts;
  for (size_t i = LeadingSpace(bytes); i < bytes.size();) {
    runtime.Step();
    size_t end = i;
    if (limit >= 0 && static_cast<int64_t>(parts.size()) == limit) {
      end = bytes.size();
    } else {
      while (end < bytes.size() && !IsSpace(CharacterAt(bytes, end))) {
        end += CharacterLength(bytes[end]);
      }
    }
    parts.push_back(text.Slice(i, end));
    i = end + LeadingSpace(bytes.substr(end));
  }
  return parts;
}

std::vector<Text> SplitBySpaceFromRight(Runtime& runtime, const Text& text, int64_t limit) {
  const std::string_view bytes = text.bytes();
  std::vector<Text> parts;
  for (size_t end = bytes.size() - TrailingSpace(bytes); end > 0;) {
    runtime.Step();
    size_t begin = end;
    if (limit >= 0 && static_cast<int64_t>(parts.size()) == limit) {
      begin = 0;
    } else {
      while (begin > 0) {
        const size_t before = PreviousCharacter(bytes, begin);
        if (IsSpace(CharacterAt(bytes, before))) break;
        begin = before;
      }
    }
    parts.push_back(text.Slice(begin, end));
    end = begin - TrailingSpace(bytes.substr(0, begin));
  }
  std::reverse(parts.begin(), parts.end());
  return parts;
}

// Where a separator stands, from the left or from the right, without overlaps.
std::vector<size_t> Places(Runtime& runtime, std::string_view text, std::string_view separator,
                           int64_t limit, bool from_right) {
  std::vector<size_t> places;
  std::string reversed_text, reversed_separator;
  if (from_right) {
    reversed_text.assign(text.rbegin(), text.rend());
    reversed_separator.assign(separator.rbegin(), separator.rend());
    text = reversed_text;
    separator = reversed_separator;
  }
  for (size_t i = 0; limit < 0 || static_cast<int64_t>(places.size()) < limit;) {
    runtime.Step();
    const size_t found = FindText(text, separator, i);
    if (found == kNone) break;
    places.push_back(from_right ? text.size() - found - separator.size() : found);
    i = found + separator.size();
  }
  if (from_right) std::reverse(places.begin(), places.end());
  return places;
}

Value Split(const Call& call, bool from_right) {
  const BoundArguments bound = call.Bind({"sep", "maxsplit"});
  const int64_t limit = bound.Int(1, -1);
  call.runtime.Scan(call.bytes().size());
  if (!bound.Has(0) || bound[0].IsNone()) {
    return call.Results(from_right ? SplitBySpaceFromRight(call.runtime, call.text(), limit)
                                   : SplitBySpace(call.runtime, call.text(), limit));
  }
  const std::string& separator = bound.Str(0).bytes();
  if (separator.empty()) call.runtime.Fail("a text cannot be split at an empty separator");
  std::vector<Text> parts;
  size_t begin = 0;
  for (const size_t place : Places(call.runtime, call.bytes(), separator, limit, from_right)) {
    parts.push_back(call.text().Slice(begin, place));
    begin = place + separator.size();
  }
  parts.push_back(call.text().Slice(begin, call.bytes().size()));
  return call.Results(parts);
}

Value Partition(const Call& call, bool from_right) {
  const BoundArguments bound = call.Bind({"sep"}, 1);
  const Text& separator = bound.Str(0);
  if (separator.empty()) call.runtime.Fail("a text cannot be split at an empty separator");
  call.runtime.Scan(call.bytes().size());
  const size_t found = from_right ? FindLastText(call.bytes(), separator.bytes())
                                  : FindText(call.bytes(), separator.bytes());
  const size_t size = call.bytes().size();
  std::vector<Value> parts;
  if (found == kNone) {
    parts = {call.Result(from_right ? Text() : call.text()), call.Result({}),
             call.Result(from_right ? call.text() : Text())};
  } else {
    const size_t end = found + separator.size();
    parts = {call.Result(call.text().Slice(0, found)), call.Result(call.text().Slice(found, end)),
             call.Result(call.text().Slice(end, size))};
  }
  return call.runtime.Tuple(std::move(parts));
}

// ---- searching ----

// The bytes between the character positions that arguments 1 and 2 give.
std::pair<size_t, size_t> Window(const Call& call, const BoundArguments& bound) {
  call.runtime.Scan(call.bytes().size());
  size_t begin = 0, end = call.bytes().size();
  if (bound.Has(1) || bound.Has(2)) {
    const auto length = static_cast<int64_t>(CountCharacters(call.bytes()));
    const auto offset = [&](size_t argument, int64_t open) {
      if (!bound.Has(argument) || bound[argument].IsNone()) return open;
      const int64_t index = bound.Int(argument, open);
      return index < 0 ? std::max<int64_t>(index + length, 0) : index;
    };
    const int64_t first = offset(1, 0), last = std::min(offset(2, length), length);
    if (first > length || first > last) return {1, 0};
    begin = OffsetOfCharacter(call.bytes(), static_cast<size_t>(first));
    end = OffsetOfCharacter(call.bytes(), static_cast<size_t>(last));
  }
  return {begin, end};
}

Value Find(const Call& call, bool from_right, bool must_be_there) {
  const BoundArguments bound = call.Bind({"sub", "start", "end"}, 1);
  const std::string& wanted = bound.Str(0).bytes();
  const auto [begin, end] = Window(call, bound);
  size_t found = kNone;
  if (begin <= end) {
    const std::string_view window = std::string_view(call.bytes()).substr(begin, end - begin);
    found = from_right ? FindLastText(window, wanted) : FindText(window, wanted);
  }
  if (found == kNone) {
    if (must_be_there) call.runtime.Fail("'index' does not find its text");
    return Value::Int(-1);
  }
  const std::string_view before = std::string_view(call.bytes()).substr(0, begin + found);
  return Value::Int(static_cast<int64_t>(CountCharacters(before)));
}

Value Count(const Call& call) {
  const BoundArguments bound = call.Bind({"sub", "start", "end"}, 1);
  const std::string& wanted = bound.Str(0).bytes();
  const auto [begin, end] = Window(call, bound);
  if (begin > end) return Value::Int(0);
  const std::string_view window = std::string_view(call.bytes()).substr(begin, end - begin);
  if (wanted.empty()) return Value::Int(static_cast<int64_t>(CountCharacters(window)) + 1);
  return Value::Int(static_cast<int64_t>(Places(call.runtime, window, wanted, -1, false).size()));
}

// startswith (endswith) of one text or of any of a tuple.
Value HasEnd(const Call& call, bool at_start) {
  const BoundArguments bound = call.Bind({"text", "start", "end"}, 1);
  const auto [begin, end] = Window(call, bound);
  const std::string_view window =
      begin <= end ? std::string_view(call.bytes()).substr(begin, end - begin) : std::string_view();
  const auto matches = [&, first = begin, last = end](const Value& value) {
    if (!value.IsString()) {
      call.runtime.Fail(fmt::format("'{}' takes a string or a tuple of them, not '{}'", call.name,
                                    TypeName(value)));
    }
    call.runtime.Scan(std::min(value.text().size(), window.size()));
    return first <= last &&
           (at_start ? window.starts_with(value.bytes()) : window.ends_with(value.bytes()));
  };
  if (bound[0].IsUndefined()) FailUndefined(call.runtime, bound[0]);
  if (bound[0].IsSequence() && bound[0].sequence().form == SequenceObject::Form::kTuple) {
    const std::vector<Value>& ends = bound[0].sequence().items;
    return Value::Bool(std::any_of(ends.begin(), ends.end(), matches));
  }
  return Value::Bool(matches(bound[0]));
}

// ---- asking ----

// Whether there are characters and all are of a class.
Value All(const Call& call, CharacterClass character_class) {
  call.Bind({});
  call.runtime.Scan(call.bytes().size() * 8);
  const std::string& text = call.bytes();
  bool all = !text.empty() || character_class == CharacterClass::kPrintable;
  for (size_t i = 0; all && i < text.size(); i += CharacterLength(text[i])) {
    all = IsInClass(CharacterAt(text, i), character_class);
  }
  return Value::Bool(all);
}

// isupper, islower: letters of that case, and none of the other.
Value AllCased(const Call& call, CharacterClass wanted, CharacterClass other) {
  call.Bind({});
  call.runtime.Scan(call.bytes().size() * 8);
  const std::string& text = call.bytes();
  bool found = false;
  for (size_t i = 0; i < text.size(); i += CharacterLength(text[i])) {
    const char32_t character = CharacterAt(text, i);
    if (IsInClass(character, other)) return Value::Bool(false);
    found = found || IsInClass(character, wanted);
  }
  return Value::Bool(found);
}

Value AllSpace(const Call& call) {
  call.Bind({});
  call.runtime.Scan(call.bytes().size());
  return Value::Bool(!call.bytes().empty() && LeadingSpace(call.bytes()) == call.bytes().size());
}

// ---- changing ----

Value Stripped(const Call& call, int side) {
  const BoundArguments bound = call.Bind({"chars"});
  const bool has_characters = bound.Has(0) && !bound[0].IsNone();
  return call.Result(
      Strip(call.runtime, call.text(), has_characters ? &bound.Str(0) : nullptr, side));
}

Text SwapCase(Runtime& runtime, const Text& text) {
  runtime.Scan(text.size() * 8);
  Text out;
  for (size_t i = 0; i < text.size();) {
    const size_t end = i + CharacterLength(text.bytes()[i]);
    const bool is_upper = IsInClass(CharacterAt(text.bytes(), i), CharacterClass::kUpper);
    const Text character = text.Slice(i, end);
    out.Append(is_upper ? Lower(runtime, character) : Upper(runtime, character));
    i = end;
  }
  return out;
}

// The first letter of every row of letters in upper case, the others in lower case.
Text Title(Runtime& runtime, const Text& text) {
  runtime.Scan(text.size() * 8);
  Text out;
  bool in_word = false;
  for (size_t i = 0; i < text.size();) {
    const size_t end = i + CharacterLength(text.bytes()[i]);
    const char32_t c = CharacterAt(text.bytes(), i);
    const Text character = text.Slice(i, end);
    out.Append(in_word ? Lower(runtime, character) : Upper(runtime, character));
    in_word = IsInClass(c, CharacterClass::kUpper) || IsInClass(c, CharacterClass::kLower);
    i = end;
  }
  return out;
}

Value Join(const Call& call) {
  const BoundArguments bound = call.Bind({"iterable"}, 1);
  Text out;
  bool first = true;
  for (const Value& item : Iterate(call.runtime, bound[0])) {
    if (!std::exchange(first, false)) out.Append(call.text());
    if (item.IsUndefined()) FailUndefined(call.runtime, item);
    if (!item.IsString()) {
      call.runtime.Fail(fmt::format("'join' wants strings, not '{}'", TypeName(item)));
    }
    out.Append(item.text());
    call.runtime.Scan(item.text().size() + call.text().size());
    call.runtime.CheckSize(out.size());
  }
  return call.Result(std::move(out));
}

// ljust, rjust, center: -1, 1, 0.
Value Justify(const Call& call, int side) {
  const BoundArguments bound = call.Bind({"width", "fillchar"}, 1);
  const Text fill = bound.Has(1) ? bound.Str(1) : Text(" ", true);
  if (CountCharacters(fill.bytes()) != 1) call.runtime.Fail("the fill is one character");
  const auto length = static_cast<int64_t>(CountCharacters(call.bytes()));
  const int64_t width = bound.Int(0, 0);
  const int64_t missing = width > length ? width - length : 0;
  if (missing > (int64_t{1} << 30)) call.runtime.Fail("a width is too large");
  call.runtime.CheckSize(static_cast<size_t>(missing) * fill.size() + call.bytes().size());
  call.runtime.Scan(static_cast<size_t>(missing) * fill.size());
  // Python puts the odd one to the left where the width is odd.
  const int64_t before = side < 0 ? 0 : side > 0 ? missing : missing / 2 + (missing & width & 1);
  Text out;
  for (int64_t i = 0; i < before; ++i) out.Append(fill);
  out.Append(call.text());
  for (int64_t i = before; i < missing; ++i) out.Append(fill);
  return call.Result(std::move(out));
}

Value ZeroFill(const Call& call) {
  const BoundArguments bound = call.Bind({"width"}, 1);
  const auto length = static_cast<int64_t>(CountCharacters(call.bytes()));
  const int64_t missing = std::max<int64_t>(bound.Int(0, 0), length) - length;
  if (missing > (int64_t{1} << 30)) call.runtime.Fail("a width is too large");
  call.runtime.CheckSize(static_cast<size_t>(missing) + call.bytes().size());
  const bool has_sign = !call.bytes().empty() && (call.bytes()[0] == '-' || call.bytes()[0] == '+');
  Text out = call.text().Slice(0, has_sign ? 1 : 0);
  out.Append(std::string(static_cast<size_t>(missing), '0'), true);
  out.Append(call.text(), has_sign ? 1 : 0, call.text().size());
  return call.Result(std::move(out));
}

Value RemoveEnd(const Call& call, bool at_start) {
  const BoundArguments bound = call.Bind({"text"}, 1);
  const std::string& end = bound.Str(0).bytes();
  const bool has = at_start ? call.bytes().starts_with(end) : call.bytes().ends_with(end);
  if (!has) return call.Result(call.text());
  return call.Result(at_start ? call.text().Slice(end.size(), call.text().size())
                              : call.text().Slice(0, call.text().size() - end.size()));
}

using Method = std::function<Value(const Call&)>;

const std::map<std::string_view, Method>& Methods() {
  using Class = CharacterClass;
  // A method that takes nothing and maps the text.
  const auto mapped = [](Text (*map)(Runtime&, const Text&)) {
    return [map](const Call& call) {
      call.Bind({});
      return call.Result(map(call.runtime, call.text()));
    };
  };
  static const std::map<std::string_view, Method> methods = {
      {"capitalize", mapped(Capitalize)},
      {"casefold", mapped(Lower)},
      {"center", [](const Call& call) { return Justify(call, 0); }},
      {"count", Count},
      {"endswith", [](const Call& call) { return HasEnd(call, false); }},
      {"find", [](const Call& call) { return Find(call, false, false); }},
      {"format",
       [](const Call& call) {
         return call.Result(FormatBraces(call.runtime, call.text(), call.arguments));
       }},
      {"index", [](const Call& call) { return Find(call, false, true); }},
      {"isalnum", [](const Call& call) { return All(call, Class::kAlnum); }},
      {"isalpha", [](const Call& call) { return All(call, Class::kAlpha); }},
      {"isascii",
       [](const Call& call) {
         call.Bind({});
         return Value::Bool(std::none_of(call.bytes().begin(), call.bytes().end(),
                                         [](char c) { return (c & 0x80) != 0; }));
       }},
      {"isdecimal", [](const Call& call) { return All(call, Class::kDecimal); }},
      {"isdigit", [](const Call& call) { return All(call, Class::kDigit); }},
      {"islower", [](const Call& call) { return AllCased(call, Class::kLower, Class::kUpper); }},
      {"isnumeric", [](const Call& call) { return All(call, Class::kNumeric); }},
      {"isprintable", [](const Call& call) { return All(call, Class::kPrintable); }},
      {"isspace", AllSpace},
      {"isupper", [](const Call& call) { return AllCased(call, Class::kUpper, Class::kLower); }},
      {"join", Join},
      {"ljust", [](const Call& call) { return Justify(call, -1); }},
      {"lower", mapped(Lower)},
      {"lstrip", [](const Call& call) { return Stripped(call, -1); }},
      {"partition", [](const Call& call) { return Partition(call, false); }},
      {"removeprefix", [](const Call& call) { return RemoveEnd(call, true); }},
      {"removesuffix", [](const Call& call) { return RemoveEnd(call, false); }},
      {"replace",
       [](const Call& call) {
         const BoundArguments bound = call.Bind({"old", "new", "count"}, 2);
         return call.Result(
             Replace(call.runtime, call.text(), bound.Str(0), bound.Str(1), bound.Int(2, -1)));
       }},
      {"rfind", [](const Call& call) { return Find(call, true, false); }},
      {"rindex", [](const Call& call) { return Find(call, true, true); }},
      {"rjust", [](const Call& call) { return Justify(call, 1); }},
      {"rpartition", [](const Call& call) { return Partition(call, true); }},
      {"rsplit", [](const Call& call) { return Split(call, true); }},
      {"rstrip", [](const Call& call) { return Stripped(call, 1); }},
      {"split", [](const Call& call) { return Split(call, false); }},
      {"splitlines",
       [](const Call& call) {
         const BoundArguments bound = call.Bind({"keepends"});
         return call.Results(SplitLines(call.runtime, call.text(), bound.Bool(0, false)));
       }},
      {"startswith", [](const Call& call) { return HasEnd(call, true); }},
      {"strip", [](const Call& call) { return Stripped(call, 0); }},
      {"swapcase", mapped(SwapCase)},
      {"title", mapped(Title)},
      {"upper", mapped(Upper)},
      {"zfill", ZeroFill},
  };
  return methods;
}

}  // namespace

bool HasTextMethod(std::string_view name) { return Methods().contains(name); }

Value CallTextMethod(Runtime& runtime, const Value& self, std::string_view name,
                     const Arguments& arguments) {
  return Methods().at(name)({runtime, self, name, arguments});
}

Text Strip(Runtime& runtime, const Text& text, const Text* chars, int side) {
  runtime.Scan(text.size());
  const std::string_view bytes = text.bytes();
  if (chars == nullptr) {
    const size_t begin = side > 0 ? 0 : LeadingSpace(bytes);
    const size_t end = side < 0 ? bytes.size() : bytes.size() - TrailingSpace(bytes);
    return begin < end ? text.Slice(begin, end) : Text();
  }
  runtime.Scan(chars->size());
  std::unordered_set<char32_t> set;
  for (size_t i = 0; i < chars->size(); i += CharacterLength(chars->bytes()[i])) {
    set.insert(CharacterAt(chars->bytes(), i));
  }
  size_t begin = 0, end = bytes.size();
  while (side <= 0 && begin < end && set.contains(CharacterAt(bytes, begin))) {
    begin += CharacterLength(bytes[begin]);
  }
  while (side >= 0 && begin < end) {
    const size_t before = PreviousCharacter(bytes, end);
    if (!set.contains(CharacterAt(bytes, before))) break;
    end = before;
  }
  return text.Slice(begin, end);
}

Text Upper(Runtime& runtime, const Text& text) {
  return MapPieces(runtime, text, [](std::string_view piece) { return ToUpper(piece); });
}

Text Lower(Runtime& runtime, const Text& text) {
  return MapPieces(runtime, text, [](std::string_view piece) { return ToLower(piece); });
}

Text Capitalize(Runtime& runtime, const Text& text) {
  const size_t first = text.empty() ? 0 : CharacterLength(text.bytes()[0]);
  Text out = Upper(runtime, text.Slice(0, first));
  out.Append(Lower(runtime, text.Slice(first, text.size())));
  return out;
}

Text Replace(Runtime& runtime, const Text& text, const Text& from, const Text& to, int64_t count) {
  runtime.Scan(text.size() + from.size() + to.size());
  Text out;
  size_t begin = 0;
  const auto put = [&](size_t place, size_t length) {
    out.Append(text, begin, place);
    out.Append(to);
    begin = place + length;
    runtime.Scan(to.size());
    runtime.CheckSize(out.size());
  };
  if (from.empty()) {
    // Before every character and at the end.
    for (size_t i = 0; count != 0; i += CharacterLength(text.bytes()[i]), --count) {
      put(i, 0);
      if (i == text.size()) break;
    }
  } else {
    for (const size_t place : Places(runtime, text.bytes(), from.bytes(), count, false)) {
      put(place, from.size());
    }
  }
  out.Append(text, begin, text.size());
  return out;
}

std::vector<Text> SplitLines(Runtime& runtime, const Text& text, bool keep_ends) {
  const std::string_view bytes = text.bytes();
  runtime.Scan(bytes.size());
  const auto is_end = [](char32_t c) {
    return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 ||
           c == 0x2029;
  };
  std::vector<Text> lines;
  size_t begin = 0;
  for (size_t i = 0; i < bytes.size();) {
    const size_t next = i + CharacterLength(bytes[i]);
    if (!is_end(CharacterAt(bytes, i))) {
      i = next;
      continue;
    }
    const size_t end = bytes.substr(i).starts_with("\r\n") ? i + 2 : next;
    runtime.Step();
    lines.push_back(text.Slice(begin, keep_ends ? end : i));
    begin = i = end;
  }
  if (begin < bytes.size()) lines.push_back(text.Slice(begin, bytes.size()));
  return lines;
}

}  // namespace fathom::jinja

#include "text/jinja/filters.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <map>
#include <unordered_set>

#include "base/error.h"
#include "text/jinja/format.h"
#include "text/jinja/json_writer.h"
#include "text/jinja/operations.h"
#include "text/jinja/python_text.h"
#include "text/jinja/text_methods.h"

namespace fathom::jinja {
namespace {

struct Call {
  Runtime& runtime;
  std::string_view name;
  const Value& value;
  const Arguments& arguments;

  BoundArguments Bind(std::initializer_list<std::string_view> parameters,
                      size_t required = 0) const {
    return BoundArguments(runtime, arguments, name, parameters, required);
  }
  // The value as text, whatever it is.
  Text AsText() const { return ToText(runtime, value); }
  bool markup() const { return value.IsString() && value.string().markup; }
  Value TextResult(Text text) const { return runtime.String(std::move(text), markup()); }
  std::vector<Value> Items() const { return Iterate(runtime, value); }
};

// ---- attributes of items ----

// item.a.b.0, for an attribute given as a string with dots or as an integer.
Value ItemAttribute(Runtime& runtime, Value item, const Value& attribute) {
  if (attribute.IsInteger()) return GetItem(runtime, item, attribute);
  if (!attribute.IsString()) runtime.Fail("an attribute's name is a string");
  std::string_view path = attribute.bytes();
  for (;;) {
    const std::string_view part = path.substr(0, path.find('.'));
    int64_t index = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), index);
    const bool is_index =
        error == std::errc() && end == part.data() + part.size() && part[0] != '-';
    item = GetItem(runtime, item, is_index ? Value::Int(index) : runtime.String(part));
    if (part.size() == path.size()) return item;
    path.remove_prefix(part.size() + 1);
  }
}

Value FoldCase(Runtime& runtime, const Value& value) {
  return value.IsString() ? runtime.String(Lower(runtime, value.text())) : value;
}

// What items are compared by: an attribute of theirs where one is named, without case unless asked.
Value SortKey(Runtime& runtime, const Value& item, const Value& attribute, bool case_sensitive) {
  const bool has_attribute = !attribute.IsUndefined() && !attribute.IsNone();
  const Value key = has_attribute ? ItemAttribute(runtime, item, attribute) : item;
  return case_sensitive ? key : FoldCase(runtime, key);
}

void SortBy(Runtime& runtime, std::vector<std::pair<Value, Value>>& keyed, bool reverse) {
  // Python keeps the order of equal ones in reverse too.
  std::stable_sort(keyed.begin(), keyed.end(), [&](const auto& a, const auto& b) {
    return reverse ? Less(runtime, b.first, a.first) : Less(runtime, a.first, b.first);
  });
}

Value Sort(const Call& call) {
  const BoundArguments bound = call.Bind({"reverse", "case_sensitive", "attribute"});
  std::vector<std::pair<Value, Value>> keyed;
  // An attribute can be several, with commas.
  std::vector<Value> attributes;
  if (bound.Has(2) && bound[2].IsString()) {
    std::string_view rest = bound[2].bytes();
    for (;;) {
      const std::string_view one = rest.substr(0, rest.find(','));
      attributes.push_back(call.runtime.String(one));
      if (one.size() == rest.size()) break;
      rest.remove_prefix(one.size() + 1);
    }
  } else {
    attributes.push_back(bound[2]);
  }
  for (const Value& item : call.Items()) {
    std::vector<Value> keys;
    for (const Value& attribute : attributes) {
      keys.push_back(SortKey(call.runtime, item, attribute, bound.Bool(1, false)));
    }
    keyed.emplace_back(keys.size() == 1 ? keys[0] : call.runtime.Tuple(std::move(keys)), item);
  }
  SortBy(call.runtime, keyed, bound.Bool(0, false));
  std::vector<Value> items;
  for (const auto& [key, item] : keyed) items.push_back(item);
  return call.runtime.List(std::move(items));
}

Value DictSort(const Call& call) {
  const BoundArguments bound = call.Bind({"case_sensitive", "by", "reverse"});
  if (!call.value.IsDict()) call.runtime.Fail("'dictsort' wants a mapping");
  const bool by_value = bound.Has(1) && bound.Str(1).bytes() == "value";
  if (bound.Has(1) && !by_value && bound.Str(1).bytes() != "key") {
    call.runtime.Fail("'dictsort' sorts by 'key' or by 'value'");
  }
  std::vector<std::pair<Value, Value>> keyed;
  for (const auto& [key, value] : call.value.dict().entries) {
    const Value& by = by_value ? value : key;
    keyed.emplace_back(bound.Bool(0, false) ? by : FoldCase(call.runtime, by),
                       call.runtime.Tuple({key, value}));
  }
  SortBy(call.runtime, keyed, bound.Bool(2, false));
  std::vector<Value> items;
  for (const auto& [key, item] : keyed) items.push_back(item);
  return call.runtime.List(std::move(items));
}

Value Unique(const Call& call) {
  const BoundArguments bound = call.Bind({"case_sensitive", "attribute"});
  std::unordered_set<std::string> seen;
  std::vector<Value> items;
  for (const Value& item : call.Items()) {
    const Value key = SortKey(call.runtime, item, bound[1], bound.Bool(0, false));
    std::string hash = HashKey(call.runtime, key);
    call.runtime.Take(hash.size() + 64);
    if (seen.insert(std::move(hash)).second) items.push_back(item);
  }
  return call.runtime.Generator(std::move(items));
}

Value Extreme(const Call& call, bool is_max) {
  const BoundArguments bound = call.Bind({"case_sensitive", "attribute"});
  const std::vector<Value> items = call.Items();
  if (items.empty()) return call.runtime.Undefined("the first of no items");
  const auto key = [&](const Value& item) {
    return SortKey(call.runtime, item, bound[1], bound.Bool(0, false));
  };
  Value best = items[0], best_key = key(items[0]);
  for (size_t i = 1; i < items.size(); ++i) {
    const Value other = key(items[i]);
    if (is_max ? Less(call.runtime, best_key, other) : Less(call.runtime, other, best_key)) {
      best = items[i];
      best_key = other;
    }
  }
  return best;
}

Value Sum(const Call& call) {
  const BoundArguments bound = call.Bind({"attribute", "start"});
  Value sum = bound.Has(1) ? bound[1] : Value::Int(0);
  for (const Value& item : call.Items()) {
    const bool has_attribute = bound.Has(0) && !bound[0].IsNone();
    sum = Binary(call.runtime, "+", sum,
                 has_attribute ? ItemAttribute(call.runtime, item, bound[0]) : item);
  }
  return sum;
}

Value Map(const Call& call) {
  std::vector<Value> items;
  const bool by_attribute =
      call.arguments.positional.empty() &&
      std::any_of(call.arguments.named.begin(), call.arguments.named.end(),
                  [](const auto& named) { return named.first == "attribute"; });
  if (by_attribute) {
    const BoundArguments bound = call.Bind({"attribute", "default"});
    for (const Value& item : call.Items()) {
      Value found = ItemAttribute(call.runtime, item, bound[0]);
      if (found.IsUndefined() && bound.Has(1)) found = bound[1];
      items.push_back(found);
    }
    return call.runtime.Generator(std::move(items));
  }
  Arguments rest = call.arguments;
  if (rest.positional.empty() || !rest.positional[0].IsString()) {
    call.runtime.Fail("'map' needs the name of a filter or an attribute");
  }
  const std::string filter = rest.positional[0].bytes();
  rest.positional.erase(rest.positional.begin());
  for (const Value& item : call.Items()) {
    items.push_back(ApplyFilter(call.runtime, filter, item, rest));
  }
  return call.runtime.Generator(std::move(items));
}

// select, reject, selectattr, rejectattr.
Value Select(const Call& call, bool keep, bool by_attribute) {
  Arguments rest = call.arguments;
  const auto take = [&] {
    const Value first = rest.positional[0];
    rest.positional.erase(rest.positional.begin());
    return first;
  };
  Value attribute;
  if (by_attribute) {
    if (rest.positional.empty()) call.runtime.Fail("an attribute's name is missing");
    attribute = take();
  }
  const bool has_test = !rest.positional.empty();
  std::string test;
  if (has_test) {
    const Value name = take();
    if (!name.IsString()) call.runtime.Fail("a test is given by its name");
    test = name.bytes();
  }
  std::vector<Value> items;
  // Nothing, be it none, has no items.
  if (!IsTrue(call.value)) return call.runtime.Generator({});
  for (const Value& item : call.Items()) {
    const Value tested = by_attribute ? ItemAttribute(call.runtime, item, attribute) : item;
    const bool holds = has_test ? ApplyTest(call.runtime, test, tested, rest) : IsTrue(tested);
    if (holds == keep) items.push_back(item);
  }
  return call.runtime.Generator(std::move(items));
}

// ---- rows of items ----

Value Join(const Call& call) {
  const BoundArguments bound = call.Bind({"d", "attribute"});
  const Text separator = bound.Has(0) ? ToText(call.runtime, bound[0]) : Text();
  Text out;
  bool first = true;
  for (const Value& item : call.Items()) {
    if (!std::exchange(first, false)) out.Append(separator);
    const bool has_attribute = bound.Has(1) && !bound[1].IsNone();
    out.Append(
        ToText(call.runtime, has_attribute ? ItemAttribute(call.runtime, item, bound[1]) : item));
    call.runtime.Scan(separator.size());
    call.runtime.CheckSize(out.size());
  }
  return call.runtime.String(std::move(out));
}

Value FirstOrLast(const Call& call, bool is_first) {
  call.Bind({});
  const std::vector<Value> items = call.Items();
  if (items.empty()) return call.runtime.Undefined("the first of no items");
  return is_first ? items.front() : items.back();
}

Value Batch(const Call& call) {
  const BoundArguments bound = call.Bind({"linecount", "fill_with"}, 1);
  const auto size = bound.Int(0, 0);
  if (size <= 0) call.runtime.Fail("a batch has at least one item");
  std::vector<Value> batches, batch;
  const auto close = [&] { batches.push_back(call.runtime.List(std::exchange(batch, {}))); };
  for (const Value& item : call.Items()) {
    if (static_cast<int64_t>(batch.size()) == size) close();
    batch.push_back(item);
  }
  if (!batch.empty()) {
    if (bound.Has(1) && !bound[1].IsNone() && static_cast<int64_t>(batch.size()) < size) {
      if (size > call.runtime.limits().range) call.runtime.Fail("a batch is too large");
      batch.resize(static_cast<size_t>(size), bound[1]);
    }
    close();
  }
  return call.runtime.Generator(std::move(batches));
}

Value Slice(const Call& call) {
  const BoundArguments bound = call.Bind({"slices", "fill_with"}, 1);
  const int64_t count = bound.Int(0, 0);
  const std::vector<Value> items = call.Items();
  if (count <= 0 || count > call.runtime.limits().range) {
    call.runtime.Fail("the number of slices is wrong");
  }
  call.runtime.Step(static_cast<uint64_t>(count));
  const auto size = static_cast<int64_t>(items.size());
  std::vector<Value> slices;
  auto begin = items.begin();
  for (int64_t i = 0; i < count; ++i) {
    const bool has_extra = i < size % count;
    const auto end = begin + size / count + (has_extra ? 1 : 0);
    std::vector<Value> slice(begin, end);
    if (bound.Has(1) && !bound[1].IsNone() && !has_extra) slice.push_back(bound[1]);
    slices.push_back(call.runtime.List(std::move(slice)));
    begin = end;
  }
  return call.runtime.Generator(std::move(slices));
}

Value Reverse(const Call& call) {
  call.Bind({});
  if (call.value.IsString()) {
    return GetSlice(call.runtime, call.value, Value::None(), Value::None(), Value::Int(-1));
  }
  std::vector<Value> items = call.Items();
  std::reverse(items.begin(), items.end());
  return call.runtime.Generator(std::move(items));
}

Value Items(const Call& call) {
  call.Bind({});
  if (call.value.IsUndefined()) return call.runtime.Generator({});
  if (!call.value.IsDict()) call.runtime.Fail("'items' wants a mapping");
  std::vector<Value> items;
  for (const auto& [key, value] : call.value.dict().entries) {
    items.push_back(call.runtime.Tuple({key, value}));
  }
  return call.runtime.Generator(std::move(items));
}

Value LengthOf(const Call& call) {
  call.Bind({});
  const auto length = Length(call.runtime, call.value);
  if (!length) {
    call.runtime.Fail(fmt::format("'{}' has no length", TypeName(call.value)));
  }
  return Value::Int(*length);
}

// ---- text ----

Value Indent(const Call& call) {
  const BoundArguments bound = call.Bind({"width", "first", "blank"});
  Text indent;
  if (bound.Has(0) && bound[0].IsString()) {
    indent = bound[0].text();
  } else {
    const int64_t width = std::max<int64_t>(bound.Int(0, 4), 0);
    if (width > call.runtime.limits().range) call.runtime.Fail("an indentation is too wide");
    indent = Text(std::string(static_cast<size_t>(width), ' '), true);
  }
  if (!call.value.IsString()) {
    call.runtime.Fail(fmt::format("'indent' wants a string, not '{}'", TypeName(call.value)));
  }
  Text text = call.value.text();
  text.Append("\n", true);
  const std::vector<Text> lines = SplitLines(call.runtime, text, false);
  const bool blank = bound.Bool(2, false);
  Text out;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out.Append("\n", true);
    const bool indents = i == 0 ? bound.Bool(1, false) : blank || !lines[i].empty();
    if (indents) out.Append(indent);
    out.Append(lines[i]);
    call.runtime.Scan(indent.size());
    call.runtime.CheckSize(out.size());
  }
  return call.TextResult(std::move(out));
}

// Words begin after white space, hyphens and opening brackets.
Value Title(const Call& call) {
  call.Bind({});
  const Text text = call.AsText();
  Text out;
  bool begins = true;
  for (size_t i = 0; i < text.size();) {
    call.runtime.Step();
    const size_t end = i + CharacterLength(text.bytes()[i]);
    const char32_t c = CharacterAt(text.bytes(), i);
    const Text character = text.Slice(i, end);
    out.Append(begins ? Upper(call.runtime, character) : Lower(call.runtime, character));
    begins = IsSpace(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
    i = end;
  }
  return call.TextResult(std::move(out));
}

Value WordCount(const Call& call) {
  call.Bind({});
  const Text text = call.AsText();
  call.runtime.Scan(text.size() * 8);
  int64_t words = 0;
  bool in_word = false;
  for (size_t i = 0; i < text.size(); i += CharacterLength(text.bytes()[i])) {
    const char32_t c = CharacterAt(text.bytes(), i);
    const bool is_word = c == '_' || IsInClass(c, CharacterClass::kAlnum);
    words += is_word && !in_word ? 1 : 0;
    in_word = is_word;
  }
  return Value::Int(words);
}

Value Trim(const Call& call) {
  const BoundArguments bound = call.Bind({"chars"});
  const bool has_characters = bound.Has(0) && !bound[0].IsNone();
  return call.TextResult(
      Strip(call.runtime, call.AsText(), has_characters ? &bound.Str(0) : nullptr));
}

Value ReplaceIn(const Call& call) {
  const BoundArguments bound = call.Bind({"old", "new", "count"}, 2);
  const int64_t count = bound.Has(2) && bound[2].IsNone() ? -1 : bound.Int(2, -1);
  return call.runtime.String(Replace(call.runtime, call.AsText(), ToText(call.runtime, bound[0]),
                                     ToText(call.runtime, bound[1]), count));
}

Value Escape(const Call& call) {
  call.Bind({});
  if (call.markup()) return call.value;
  return call.runtime.String(EscapeHtml(call.runtime, call.AsText()), /*markup=*/true);
}

Value Format(const Call& call) {
  if (!call.arguments.named.empty()) {
    if (!call.arguments.positional.empty()) {
      call.runtime.Fail("'format' takes arguments with names or without, not both");
    }
    const Value names = call.runtime.Dict();
    for (const auto& [name, value] : call.arguments.named) {
      SetItem(call.runtime, names.dict(), call.runtime.String(name), value);
    }
    return call.runtime.String(FormatPercent(call.runtime, call.AsText(), names));
  }
  const Value arguments = call.runtime.Tuple(call.arguments.positional);
  return call.runtime.String(FormatPercent(call.runtime, call.AsText(), arguments));
}

Value Json(const Call& call) {
  const BoundArguments bound = call.Bind({"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  if (bound.Has(1) && bound[1].IsString()) {
    style = IndentedJson(call.runtime, 0);
    style.indent = bound[1].text();
  } else if (bound.Has(1) && !bound[1].IsNone()) {
    style = IndentedJson(call.runtime, bound.Int(1, 0));
  }
  style.ensure_ascii = bound.Bool(0, false);
  style.sort_keys = bound.Bool(3, false);
  if (bound.Has(2) && !bound[2].IsNone()) {
    const std::vector<Value> separators = Iterate(call.runtime, bound[2]);
    if (separators.size() != 2 || !separators[0].IsString() || !separators[1].IsString()) {
      call.runtime.Fail("'separators' are two strings");
    }
    style.item_separator = separators[0].text();
    style.key_separator = separators[1].text();
  }
  return call.runtime.String(ToJson(call.runtime, call.value, style));
}

// ---- numbers ----

// A number as Python's int() and float() read it: white space around it, single low lines between
// digits.
std::optional<double> ParseFloat(std::string_view text) {
  text.remove_prefix(LeadingSpace(text));
  text.remove_suffix(TrailingSpace(text));
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto is_digit = [&](size_t at) {
      return at < text.size() && text[at] >= '0' && text[at] <= '9';
    };
    if (text[i] == '_') {
      if (i == 0 || !is_digit(i - 1) || !is_digit(i + 1)) return std::nullopt;
      continue;
    }
    plain += text[i];
  }
  std::string_view digits = plain;
  if (digits.starts_with('+')) digits.remove_prefix(1);
  if (digits.starts_with('+') || (digits.size() < plain.size() && digits.starts_with('-'))) {
    return std::nullopt;
  }
  if (digits.find_first_of("xX(") != std::string_view::npos) return std::nullopt;
  double value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (digits.empty() || end != digits.data() + digits.size()) return std::nullopt;
  if (error == std::errc::result_out_of_range) {
    // Too large or too small: strtod tells which.
    value = std::strtod(std::string(digits).c_str(), nullptr);
  }
  return value;
}

std::optional<int64_t> ParseInt(Runtime& runtime, std::string_view text, int64_t base) {
  text.remove_prefix(LeadingSpace(text));
  text.remove_suffix(TrailingSpace(text));
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (base == 16 && (text.starts_with("0x") || text.starts_with("0X"))) text.remove_prefix(2);
  if (base == 8 && (text.starts_with("0o") || text.starts_with("0O"))) text.remove_prefix(2);
  if (base == 2 && (text.starts_with("0b") || text.starts_with("0B"))) text.remove_prefix(2);
  std::string digits;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '_') {
      const bool between = i > 0 && i + 1 < text.size() && text[i - 1] != '_';
      if (!between) return std::nullopt;
    } else {
      digits += text[i];
    }
  }
  if (digits.empty() || digits[0] == '-') return std::nullopt;
  if (negative) digits = '-' + digits;
  int64_t value = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, static_cast<int>(base));
  if (end != digits.data() + digits.size()) return std::nullopt;
  if (error != std::errc()) runtime.Fail("an integer goes beyond 64 bits");
  return value;
}

std::optional<int64_t> Truncate(Runtime& runtime, double value) {
  if (!std::isfinite(value)) return std::nullopt;
  if (std::fabs(value) >= 0x1p63) runtime.Fail("an integer goes beyond 64 bits");
  return static_cast<int64_t>(value);
}

Value ToInt(const Call& call) {
  const BoundArguments bound = call.Bind({"default", "base"});
  const int64_t base = bound.Int(1, 10);
  if (base < 2 || base > 36) call.runtime.Fail("a base is from 2 to 36");
  std::optional<int64_t> value;
  if (call.value.IsUndefined()) FailUndefined(call.runtime, call.value);
  if (call.value.IsInteger()) {
    value = call.value.integer();
  } else if (call.value.IsFloat()) {
    value = Truncate(call.runtime, call.value.number());
  } else if (call.value.IsString()) {
    call.runtime.Scan(call.value.text().size());
    value = ParseInt(call.runtime, call.value.bytes(), base);
    if (!value) {
      const auto number = ParseFloat(call.value.bytes());
      if (number) value = Truncate(call.runtime, *number);
    }
  }
  return value ? Value::Int(*value) : bound.Has(0) ? bound[0] : Value::Int(0);
}

Value ToFloat(const Call& call) {
  const BoundArguments bound = call.Bind({"default"});
  if (call.value.IsUndefined()) FailUndefined(call.runtime, call.value);
  if (call.value.IsNumber()) return Value::Float(call.value.number());
  std::optional<double> value;
  if (call.value.IsString()) {
    call.runtime.Scan(call.value.text().size());
    value = ParseFloat(call.value.bytes());
  }
  return value ? Value::Float(*value) : bound.Has(0) ? bound[0] : Value::Float(0);
}

Value Absolute(const Call& call) {
  call.Bind({});
  if (call.value.IsFloat()) return Value::Float(std::fabs(call.value.number()));
  if (call.value.IsInteger()) {
    return call.value.integer() < 0 ? Negative(call.runtime, call.value)
                                    : Value::Int(call.value.integer());
  }
  call.runtime.Fail(fmt::format("'abs' wants a number, not '{}'", TypeName(call.value)));
}

Value Round(const Call& call) {
  const BoundArguments bound = call.Bind({"precision", "method"});
  const int64_t precision = bound.Int(0, 0);
  const std::string method = bound.Has(1) ? bound.Str(1).bytes() : "common";
  if (!call.value.IsNumber()) {
    call.runtime.Fail(fmt::format("'round' wants a number, not '{}'", TypeName(call.value)));
  }
  if (method == "common") {
    if (call.value.IsInteger() && precision >= 0) return Value::Int(call.value.integer());
    if (call.value.IsFloat()) return Value::Float(RoundTo(call.value.number(), precision));
    const double rounded = RoundTo(call.value.number(), precision);
    return Value::Int(Truncate(call.runtime, rounded).value_or(0));
  }
  if (method != "ceil" && method != "floor") {
    call.runtime.Fail("a number is rounded by 'common', 'ceil' or 'floor'");
  }
  const double unit = std::pow(10.0, static_cast<double>(precision));
  const double scaled = call.value.number() * unit;
  if (!std::isfinite(scaled)) call.runtime.Fail("a number is too large to be rounded");
  return Value::Float((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / unit);
}

Value Default(const Call& call) {
  const BoundArguments bound = call.Bind({"default_value", "boolean"});
  const bool wants = call.value.IsUndefined() || (bound.Bool(1, false) && !IsTrue(call.value));
  if (!wants) return call.value;
  return bound.Has(0) ? bound[0] : call.runtime.String("");
}

using Filter = std::function<Value(const Call&)>;

const std::map<std::string_view, Filter>& Filters() {
  const auto text = [](Text (*map)(Runtime&, const Text&)) {
    return [map](const Call& call) {
      call.Bind({});
      return call.TextResult(map(call.runtime, call.AsText()));
    };
  };
  static const std::map<std::string_view, Filter> filters = {
      {"abs", Absolute},
      {"batch", Batch},
      {"capitalize", text(Capitalize)},
      {"count", LengthOf},
      {"d", Default},
      {"default", Default},
      {"dictsort", DictSort},
      {"e", Escape},
      {"escape", Escape},
      {"first", [](const Call& call) { return FirstOrLast(call, true); }},
      {"float", ToFloat},
      {"format", Format},
      {"indent", Indent},
      {"int", ToInt},
      {"items", Items},
      {"join", Join},
      {"last", [](const Call& call) { return FirstOrLast(call, false); }},
      {"length", LengthOf},
      {"list",
       [](const Call& call) {
         call.Bind({});
         return call.runtime.List(call.Items());
       }},
      {"lower", text(Lower)},
      {"map", Map},
      {"max", [](const Call& call) { return Extreme(call, true); }},
      {"min", [](const Call& call) { return Extreme(call, false); }},
      {"reject", [](const Call& call) { return Select(call, false, false); }},
      {"rejectattr", [](const Call& call) { return Select(call, false, true); }},
      {"replace", ReplaceIn},
      {"reverse", Reverse},
      {"round", Round},
      {"safe",
       [](const Call& call) {
         call.Bind({});
         return call.runtime.String(call.AsText(), /*markup=*/true);
       }},
      {"select", [](const Call& call) { return Select(call, true, false); }},
      {"selectattr", [](const Call& call) { return Select(call, true, true); }},
      {"slice", Slice},
      {"sort", Sort},
      {"string",
       [](const Call& call) {
         call.Bind({});
         return call.TextResult(call.AsText());
       }},
      {"sum", Sum},
      {"title", Title},
      {"tojson", Json},
      {"trim", Trim},
      {"unique", Unique},
      {"upper", text(Upper)},
      {"wordcount", WordCount},
  };
  return filters;
}

}  // namespace

bool HasFilter(std::string_view name) { return Filters().contains(name); }

Value ApplyFilter(Runtime& runtime, std::string_view name, const Value& value,
                  const Arguments& arguments) {
  const auto filter = Filters().find(name);
  if (filter == Filters().end()) runtime.Fail(fmt::format("there is no filter '{}'", name));
  const Runtime::Deeper deeper(runtime);  // map can name map
  runtime.Step();
  return filter->second({runtime, name, value, arguments});
}

}  // namespace fathom::jinja

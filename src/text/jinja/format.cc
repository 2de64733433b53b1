#include "text/jinja/format.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "base/error.h"
#include "text/jinja/operations.h"
#include "text/jinja/python_text.h"

namespace fathom::jinja {
namespace {

// How one value is to be written, in either syntax.
struct Specification {
  std::string fill = " ";
  char align = 0;  // '<', '>', '^', '='; 0: the type's own
  char sign = '-';
  bool alternate = false;
  bool comma = false;
  int64_t width = 0;
  int64_t precision = -1;
  char type = 0;
};

constexpr int64_t kMaxPrecision = 400;

Text Pad(Runtime& runtime, Text text, const Specification& spec, char own_align) {
  const auto length = static_cast<int64_t>(CountCharacters(text.bytes()));
  if (length >= spec.width) return text;
  runtime.Scan(static_cast<size_t>(spec.width));
  runtime.CheckSize(static_cast<size_t>(spec.width) * spec.fill.size());
  const int64_t missing = spec.width - length;
  const char align = spec.align != 0 ? spec.align : own_align;
  const int64_t before = align == '<' ? 0 : align == '^' ? missing / 2 : missing;
  Text out;
  size_t start = 0;
  // Zeros go between the sign and the digits.
  if (align == '=' && !text.empty() && (text.bytes()[0] == '-' || text.bytes()[0] == '+')) {
    out.Append(text, 0, start = 1);
  }
  for (int64_t i = 0; i < before; ++i) out.Append(spec.fill, true);
  out.Append(text, start, text.size());
  for (int64_t i = before; i < missing; ++i) out.Append(spec.fill, true);
  return out;
}

std::string WithCommas(std::string digits) {
  const size_t whole = std::min(digits.find('.'), digits.size());
  for (size_t i = whole; i > 3 && digits[i - 4] != '-' && digits[i - 4] != '+';) {
    i -= 3;
    digits.insert(i, ",");
  }
  return digits;
}

Text Number(Runtime& runtime, const Value& value, const Specification& spec) {
  const int64_t precision = spec.precision < 0 ? 6 : std::min(spec.precision, kMaxPrecision);
  std::string digits;
  bool negative = value.IsFloat() ? std::signbit(value.number()) : value.integer() < 0;
  const uint64_t magnitude = value.IsFloat() ? 0
                             : negative      ? uint64_t{0} - static_cast<uint64_t>(value.integer())
                                             : static_cast<uint64_t>(value.integer());
  switch (spec.type) {
    case 'f':
    case 'F':
      digits = fmt::format("{:.{}f}", std::fabs(value.number()), precision);
      break;
    case 'e':
      digits = fmt::format("{:.{}e}", std::fabs(value.number()), precision);
      break;
    case 'g':
      digits = fmt::format("{:.{}g}", std::fabs(value.number()), precision);
      break;
    case '%':
      digits = fmt::format("{:.{}f}%", std::fabs(value.number()) * 100, precision);
      break;
    case 'x':
      digits = fmt::format("{}{:x}", spec.alternate ? "0x" : "", magnitude);
      break;
    case 'X':
      digits = fmt::format("{}{:X}", spec.alternate ? "0X" : "", magnitude);
      break;
    case 'o':
      digits = fmt::format("{:o}", magnitude);
      break;
    case 'b':
      digits = fmt::format("{:b}", magnitude);
      break;
    default:
      digits =
          value.IsFloat() ? FloatRepr(std::fabs(value.number())) : fmt::format("{}", magnitude);
  }
  if (spec.comma) digits = WithCommas(std::move(digits));
  if (negative) {
    digits = '-' + digits;
  } else if (spec.sign != '-') {
    digits = spec.sign + digits;
  }
  return Pad(runtime, Text(digits, true), spec, '>');
}

Text Cut(const Text& text, const Specification& spec) {
  if (spec.precision < 0) return text;
  return text.Slice(0, OffsetOfCharacter(text.bytes(), static_cast<size_t>(spec.precision)));
}

// Reads a number at text[i]; -1 when there is none.
int64_t ReadInt(Runtime& runtime, std::string_view text, size_t& i) {
  int64_t value = -1;
  const auto [end, error] = std::from_chars(text.data() + i, text.data() + text.size(), value);
  if (error == std::errc::invalid_argument || value < 0) return -1;
  // As much as any result may have.
  if (error != std::errc() || value > (int64_t{1} << 30)) runtime.Fail("a width is too large");
  i = static_cast<size_t>(end - text.data());
  return value;
}

Specification ParseSpecification(Runtime& runtime, std::string_view text) {
  Specification spec;
  size_t i = 0;
  const auto is_align = [&](size_t at) {
    return at < text.size() && std::string_view("<>^=").find(text[at]) != std::string_view::npos;
  };
  if (!text.empty() && is_align(CharacterLength(text[0]))) {
    spec.fill = text.substr(0, CharacterLength(text[0]));
    i = spec.fill.size();
    spec.align = text[i++];
  } else if (is_align(0)) {
    spec.align = text[i++];
  }
  if (i < text.size() && (text[i] == '+' || text[i] == '-' || text[i] == ' ')) {
    spec.sign = text[i++];
  }
  if (i < text.size() && text[i] == '#') {
    spec.alternate = true;
    ++i;
  }
  if (i < text.size() && text[i] == '0') {
    ++i;
    if (spec.align == 0) {
      spec.align = '=';
      spec.fill = "0";
    }
  }
  spec.width = std::max<int64_t>(ReadInt(runtime, text, i), 0);
  if (i < text.size() && text[i] == ',') {
    spec.comma = true;
    ++i;
  }
  if (i < text.size() && text[i] == '.') {
    ++i;
    spec.precision = ReadInt(runtime, text, i);
    if (spec.precision < 0) runtime.Fail("a format lacks its precision");
  }
  if (i < text.size()) spec.type = text[i++];
  if (i < text.size()) {
    runtime.Fail(fmt::format("format specification '{}' is not available", text.substr(0, 40)));
  }
  return spec;
}

Text FormatValue(Runtime& runtime, const Value& value, const Specification& spec) {
  if (value.IsString() || (!value.IsNumber() && spec.type == 0)) {
    if (spec.type != 0 && spec.type != 's') {
      runtime.Fail(fmt::format("format code '{}' is not for a string", spec.type));
    }
    return Pad(runtime, Cut(ToText(runtime, value), spec), spec, '<');
  }
  if (!value.IsNumber()) {
    runtime.Fail(fmt::format("'{}' cannot be formatted as a number", TypeName(value)));
  }
  if (spec.type == 0 && value.IsBool()) {
    return Pad(runtime, ToText(runtime, value), spec, '<');
  }
  Specification own = spec;
  const bool wants_float = std::string_view("fFeg%").find(spec.type) != std::string_view::npos;
  if (spec.type == 0 && value.IsFloat() && spec.precision >= 0) own.type = 'g';
  if (spec.type != 0 && !wants_float) {
    const bool wants_integer = std::string_view("dxXob").find(spec.type) != std::string_view::npos;
    if (!wants_integer || value.IsFloat()) {
      runtime.Fail(fmt::format("format code '{}' is not for '{}'", spec.type, TypeName(value)));
    }
  }
  return Number(runtime, value, own);
}

// Looks a field like "0.name[key]" up.
Value Field(Runtime& runtime, std::string_view field, const Arguments& arguments, size_t& next) {
  const size_t end = std::min(field.find_first_of(".["), field.size());
  const std::string_view head = field.substr(0, end);
  Value value;
  size_t index = 0;
  const auto [parsed, error] = std::from_chars(head.data(), head.data() + head.size(), index);
  const bool is_number = error == std::errc() && parsed == head.data() + head.size();
  if (head.empty() || is_number) {
    if (head.empty()) index = next++;
    if (index >= arguments.positional.size()) {
      runtime.Fail(fmt::format("a format wants its argument {}", index));
    }
    value = arguments.positional[index];
  } else {
    const auto place = std::find_if(arguments.named.begin(), arguments.named.end(),
                                    [&](const auto& named) { return named.first == head; });
    if (place == arguments.named.end()) {
      runtime.Fail(fmt::format("a format wants its argument '{}'", head));
    }
    value = place->second;
  }
  field.remove_prefix(end);
  while (!field.empty()) {
    runtime.Step();
    const bool is_item = field[0] == '[';
    const size_t stop =
        is_item ? field.find(']') : std::min(field.find_first_of(".[", 1), field.size());
    if (stop == std::string_view::npos || field.find_first_of(".[") != 0) {
      runtime.Fail("a field of a format is not well-formed");
    }
    const std::string_view key = field.substr(1, stop - 1);
    int64_t number = 0;
    const auto [last, wrong] = std::from_chars(key.data(), key.data() + key.size(), number);
    if (!is_item) {
      value = GetAttribute(runtime, value, key);
    } else if (wrong == std::errc() && last == key.data() + key.size()) {
      value = GetItem(runtime, value, Value::Int(number));
    } else {
      value = GetItem(runtime, value, runtime.String(key));
    }
    if (value.IsUndefined()) FailUndefined(runtime, value);
    field.remove_prefix(is_item ? stop + 1 : stop);
  }
  return value;
}

}  // namespace

Text FormatBraces(Runtime& runtime, const Text& format, const Arguments& arguments) {
  const std::string_view text = format.bytes();
  runtime.Scan(text.size());
  Text out;
  size_t next = 0;
  for (size_t i = 0; i < text.size();) {
    runtime.CheckSize(out.size());
    const size_t brace = std::min(text.find_first_of("{}", i), text.size());
    out.Append(format, i, brace);
    if (brace == text.size()) break;
    if (brace + 1 < text.size() && text[brace + 1] == text[brace]) {
      out.Append(format, brace, brace + 1);
      i = brace + 2;
      continue;
    }
    const size_t close = text.find('}', brace);
    if (text[brace] == '}' || close == std::string_view::npos) {
      runtime.Fail("a format has a single brace");
    }
    std::string_view field = text.substr(brace + 1, close - brace - 1);
    if (field.find('{') != std::string_view::npos) {
      runtime.Fail("fields inside of fields are not available in a format");
    }
    const size_t colon = std::min(field.find(':'), field.size());
    const Specification spec =
        ParseSpecification(runtime, field.substr(std::min(colon + 1, field.size())));
    field = field.substr(0, colon);
    char conversion = 0;
    if (field.size() >= 2 && field[field.size() - 2] == '!') {
      conversion = field.back();
      field.remove_suffix(2);
    }
    Value value = Field(runtime, field, arguments, next);
    if (conversion == 'r') {
      value = runtime.String(Repr(runtime, value));
    } else if (conversion == 's') {
      value = runtime.String(ToText(runtime, value));
    } else if (conversion != 0) {
      runtime.Fail(fmt::format("conversion '!{}' is not available", conversion));
    }
    out.Append(FormatValue(runtime, value, spec));
    i = close + 1;
  }
  return out;
}

Text FormatPercent(Runtime& runtime, const Text& format, const Value& arguments) {
  const std::string_view text = format.bytes();
  runtime.Scan(text.size());
  const bool is_tuple =
      arguments.IsSequence() && arguments.sequence().form == SequenceObject::Form::kTuple;
  size_t used = 0;
  const auto take = [&]() -> Value {
    const size_t index = used++;
    if (is_tuple && index < arguments.sequence().items.size()) {
      return arguments.sequence().items[index];
    }
    if (is_tuple || index > 0) runtime.Fail("a format has more fields than arguments");
    return arguments;
  };
  Text out;
  bool by_name = false;
  for (size_t i = 0; i < text.size();) {
    runtime.CheckSize(out.size());
    const size_t percent = std::min(text.find('%', i), text.size());
    out.Append(format, i, percent);
    if (percent == text.size()) break;
    i = percent + 1;
    std::optional<Value> named;
    if (i < text.size() && text[i] == '(') {
      const size_t close = text.find(')', i);
      if (close == std::string_view::npos || !arguments.IsDict()) {
        runtime.Fail("a format by names wants a mapping");
      }
      by_name = true;
      named = GetItem(runtime, arguments, runtime.String(format.Slice(i + 1, close)));
      if (named->IsUndefined()) FailUndefined(runtime, *named);
      i = close + 1;
    }
    Specification spec;
    for (; i < text.size(); ++i) {
      if (text[i] == '-') {
        spec.align = '<';
      } else if (text[i] == '+' || (text[i] == ' ' && spec.sign != '+')) {
        spec.sign = text[i];
      } else if (text[i] == '#') {
        spec.alternate = true;
      } else if (text[i] == '0') {
        if (spec.align == 0) {
          spec.align = '=';
          spec.fill = "0";
        }
      } else if (text[i] != ' ') {
        break;
      }
    }
    if (spec.align == '<') spec.fill = " ";
    spec.width = std::max<int64_t>(ReadInt(runtime, text, i), 0);
    if (i < text.size() && text[i] == '.') {
      ++i;
      spec.precision = std::max<int64_t>(ReadInt(runtime, text, i), 0);
    }
    if (i == text.size()) runtime.Fail("a format ends inside of a field");
    const char type = text[i++];
    if (type == '%') {
      out.Append("%", true);
      continue;
    }
    const Value value = named ? *named : take();
    if (type == 's' || type == 'r') {
      if (spec.align == '=') {
        spec.align = '>';
        spec.fill = " ";
      }
      const Text shown = type == 's' ? ToText(runtime, value) : Repr(runtime, value);
      out.Append(Pad(runtime, Cut(shown, spec), spec, '>'));
      continue;
    }
    spec.type = type == 'i' || type == 'u' ? 'd' : type;
    if (std::string_view("dxXofFeg").find(spec.type) == std::string_view::npos) {
      runtime.Fail(fmt::format("format character '{}' is not available", type));
    }
    if (value.IsUndefined()) FailUndefined(runtime, value);
    if (!value.IsNumber()) {
      runtime.Fail(fmt::format("%{} wants a number, not '{}'", type, TypeName(value)));
    }
    Value number = value;
    if (spec.type == 'd' && value.IsFloat()) {
      if (!(std::fabs(value.number()) < 0x1p63)) runtime.Fail("a number is beyond 64 bits");
      number = Value::Int(static_cast<int64_t>(value.number()));
    }
    out.Append(FormatValue(runtime, number, spec));
  }
  const bool all_used = by_name || arguments.IsDict() ||
                        (is_tuple ? used == arguments.sequence().items.size() : used == 1);
  if (!all_used) runtime.Fail("a format has fewer fields than arguments");
  return out;
}

double RoundTo(double value, int64_t decimals) {
  if (!std::isfinite(value) || decimals > kMaxPrecision) return value;
  if (decimals < -kMaxPrecision) return std::copysign(0.0, value);
  if (decimals >= 0) return std::strtod(fmt::format("{:.{}f}", value, decimals).c_str(), nullptr);
  const double unit = std::pow(10.0, static_cast<double>(-decimals));
  return std::nearbyint(value / unit) * unit;
}

}  // namespace fathom::jinja

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "text/jinja/format.h"
#include "text/jinja/operations.h"

// + - * / // % **, with Python's signs and types. Integers have 64 bits; what exceeds them fails.
namespace fathom::jinja {
namespace {

using Form = SequenceObject::Form;

[[noreturn]] void FailTypes(Runtime& runtime, std::string_view operation, const Value& left,
                            const Value& right) {
  if (left.IsUndefined()) FailUndefined(runtime, left);
  if (right.IsUndefined()) FailUndefined(runtime, right);
  runtime.Fail(fmt::format("'{}' cannot be used on '{}' and '{}'", operation, TypeName(left),
                           TypeName(right)));
}

Value Checked(Runtime& runtime, bool overflow, int64_t value) {
  if (overflow) runtime.Fail("an integer goes beyond 64 bits");
  return Value::Int(value);
}

Value Power(Runtime& runtime, int64_t base, int64_t exponent) {
  if (exponent < 0) {
    if (base == 0) runtime.Fail("division by zero");
    return Value::Float(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
  int64_t result = 1;
  bool overflow = false;
  // The base is squared only while it is still needed.
  for (; exponent > 0 && !overflow; exponent >>= 1) {
    if ((exponent & 1) != 0) overflow = __builtin_mul_overflow(result, base, &result);
    if (exponent > 1) overflow = overflow || __builtin_mul_overflow(base, base, &base);
  }
  return Checked(runtime, overflow, result);
}

Value Integers(Runtime& runtime, char operation, bool doubled, int64_t a, int64_t b) {
  int64_t result = 0;
  bool overflow = false;
  switch (operation) {
    case '+':
      overflow = __builtin_add_overflow(a, b, &result);
      return Checked(runtime, overflow, result);
    case '-':
      overflow = __builtin_sub_overflow(a, b, &result);
      return Checked(runtime, overflow, result);
    case '*':
      if (doubled) return Power(runtime, a, b);
      overflow = __builtin_mul_overflow(a, b, &result);
      return Checked(runtime, overflow, result);
    default:
      break;
  }
  if (b == 0) runtime.Fail("division by zero");
  if (operation == '/' && !doubled) {
    return Value::Float(static_cast<double>(a) / static_cast<double>(b));
  }
  if (b == -1) {  // the one quotient that can overflow
    if (operation == '%') return Value::Int(0);
    overflow = __builtin_sub_overflow(int64_t{0}, a, &result);
    return Checked(runtime, overflow, result);
  }
  const bool adjust = a % b != 0 && (a % b < 0) != (b < 0);  // Python rounds down
  if (operation == '%') return Value::Int(a % b + (adjust ? b : 0));
  return Value::Int(a / b - (adjust ? 1 : 0));
}

Value Floats(Runtime& runtime, char operation, bool doubled, double a, double b) {
  switch (operation) {
    case '+':
      return Value::Float(a + b);
    case '-':
      return Value::Float(a - b);
    case '*':
      return Value::Float(doubled ? std::pow(a, b) : a * b);
    default:
      break;
  }
  if (b == 0) runtime.Fail("division by zero");
  if (operation == '/' && !doubled) return Value::Float(a / b);
  double remainder = std::fmod(a, b);
  if (remainder != 0 && (remainder < 0) != (b < 0)) remainder += b;
  if (operation == '%') {
    return Value::Float(remainder == 0 ? std::copysign(0.0, b) : remainder);
  }
  return Value::Float(std::round((a - remainder) / b));
}

Value Repeat(Runtime& runtime, const Value& value, int64_t count) {
  const auto times = static_cast<size_t>(std::max<int64_t>(count, 0));
  const size_t size = value.IsString()
                          ? value.text().size() + value.text().runs().size() * sizeof(Text::Run)
                          : value.sequence().items.size();
  const size_t unit = value.IsString() ? 1 : sizeof(Value);
  if (size > 0 && times > runtime.limits().memory_bytes / unit / size) {
    runtime.CheckSize(runtime.limits().memory_bytes + 1);
  }
  runtime.CheckSize(size * times * unit);
  runtime.Scan(size * times * unit);
  if (value.IsString()) {
    Text out;
    if (size > 0) {
      for (size_t i = 0; i < times; ++i) out.Append(value.text());
    }
    return runtime.String(std::move(out), value.string().markup);
  }
  std::vector<Value> items;
  items.reserve(size * times);
  const std::vector<Value>& source = value.sequence().items;
  if (size > 0) {
    for (size_t i = 0; i < times; ++i) items.insert(items.end(), source.begin(), source.end());
  }
  return runtime.Sequence(value.sequence().form, std::move(items));
}

Value AddTexts(Runtime& runtime, const Value& left, const Value& right) {
  const bool markup = left.string().markup || right.string().markup;
  const auto part = [&](const Value& value) {
    return markup && !value.string().markup ? EscapeHtml(runtime, value.text()) : value.text();
  };
  runtime.Scan(left.text().size() + right.text().size());
  runtime.CheckSize(left.text().size() + right.text().size());
  Text out = part(left);
  out.Append(part(right));
  return runtime.String(std::move(out), markup);
}

bool IsRepeatable(const Value& value) {
  return value.IsString() || (value.IsSequence() && (value.sequence().form == Form::kList ||
                                                     value.sequence().form == Form::kTuple));
}

}  // namespace

Value Binary(Runtime& runtime, std::string_view operation, const Value& left, const Value& right) {
  if (left.IsNumber() && right.IsNumber()) {
    const bool doubled = operation.size() == 2;
    if (left.IsInteger() && right.IsInteger()) {
      return Integers(runtime, operation[0], doubled, left.integer(), right.integer());
    }
    return Floats(runtime, operation[0], doubled, left.number(), right.number());
  }
  if (operation == "+") {
    if (left.IsString() && right.IsString()) return AddTexts(runtime, left, right);
    if (IsRepeatable(left) && left.IsSequence() && right.IsSequence() &&
        left.sequence().form == right.sequence().form) {
      const auto &a = left.sequence().items, &b = right.sequence().items;
      runtime.CheckSize((a.size() + b.size()) * sizeof(Value));
      runtime.Step(a.size() + b.size());
      std::vector<Value> items(a);
      items.insert(items.end(), b.begin(), b.end());
      return runtime.Sequence(left.sequence().form, std::move(items));
    }
  }
  if (operation == "*") {
    if (IsRepeatable(left) && right.IsInteger()) return Repeat(runtime, left, right.integer());
    if (IsRepeatable(right) && left.IsInteger()) return Repeat(runtime, right, left.integer());
  }
  if (operation == "%" && left.IsString()) {
    return runtime.String(FormatPercent(runtime, left.text(), right), left.string().markup);
  }
  FailTypes(runtime, operation, left, right);
}

Value Negative(Runtime& runtime, const Value& value) {
  if (value.IsUndefined()) FailUndefined(runtime, value);
  if (value.IsInteger()) return Integers(runtime, '-', false, 0, value.integer());
  if (value.IsFloat()) return Value::Float(-value.number());
  runtime.Fail(fmt::format("'-' cannot be used on '{}'", TypeName(value)));
}

}  // namespace fathom::jinja

#include "text/jinja/operations.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "text/jinja/python_text.h"

namespace fathom::jinja {
namespace {

using Kind = Value::Kind;
using Form = SequenceObject::Form;

// -1, 0, 1; of a NaN 2.
int CompareNumbers(const Value& left, const Value& right) {
  if (left.IsInteger() && right.IsInteger()) {
    return left.integer() < right.integer() ? -1 : left.integer() > right.integer() ? 1 : 0;
  }
  // An integer beyond 2^53 is compared exactly, as Python does it.
  const auto compare = [](int64_t integer, double number) {
    if (std::isnan(number)) return 2;
    if (number >= 0x1p63) return -1;
    if (number < -0x1p63) return 1;
    const double whole = std::floor(number);
    const auto other = static_cast<int64_t>(whole);
    if (integer != other) return integer < other ? -1 : 1;
    return number > whole ? -1 : 0;
  };
  if (left.IsInteger()) return compare(left.integer(), right.number());
  if (right.IsInteger()) {
    const int result = compare(right.integer(), left.number());
    return result == 2 ? 2 : -result;
  }
  if (std::isnan(left.number()) || std::isnan(right.number())) return 2;
  return left.number() < right.number() ? -1 : left.number() > right.number() ? 1 : 0;
}

bool SameSequenceType(const Value& left, const Value& right) {
  return left.IsSequence() && right.IsSequence() && left.sequence().form == right.sequence().form &&
         left.sequence().IsIndexable();
}

}  // namespace

std::string_view TypeName(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
      return "Undefined";
    case Kind::kNone:
      return "NoneType";
    case Kind::kBool:
      return "bool";
    case Kind::kInt:
      return "int";
    case Kind::kFloat:
      return "float";
    case Kind::kString:
      return value.string().markup ? "Markup" : "str";
    case Kind::kDict:
      return "dict";
    case Kind::kNamespace:
      return "Namespace";
    case Kind::kLoop:
      return "LoopContext";
    case Kind::kFunction:
      return value.function().form == FunctionObject::Form::kMacro ? "Macro" : "function";
    case Kind::kSequence: {
      constexpr std::array<std::string_view, 7> kNames = {
          "list", "tuple", "range", "generator", "dict_keys", "dict_values", "dict_items"};
      return kNames[static_cast<size_t>(value.sequence().form)];
    }
  }
  return {};
}

void FailUndefined(const Runtime& runtime, const Value& value) {
  const StringObject* name = value.undefined_name();
  runtime.Fail(name == nullptr
                   ? std::string("a value that is used here is undefined")
                   : fmt::format("'{}' is undefined", name->text.bytes().substr(0, 100)));
}

bool IsTrue(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBool:
    case Kind::kInt:
      return value.integer() != 0;
    case Kind::kFloat:
      return value.number() != 0;
    case Kind::kString:
      return !value.text().empty();
    case Kind::kSequence:
      return value.sequence().form == Form::kGenerator || !value.sequence().items.empty();
    case Kind::kDict:
      return !value.dict().entries.empty();
    case Kind::kNamespace:
    case Kind::kLoop:
    case Kind::kFunction:
      return true;
  }
  return false;
}

bool Equal(Runtime& runtime, const Value& left, const Value& right) {
  const Runtime::Deeper deeper(runtime);
  runtime.Step();
  if (left.IsNumber() && right.IsNumber()) return CompareNumbers(left, right) == 0;
  if (left.kind() != right.kind()) return false;
  switch (left.kind()) {
    case Kind::kUndefined:
    case Kind::kNone:
      return true;
    case Kind::kString:
      if (left.text().size() != right.text().size()) return false;
      runtime.Scan(left.text().size());
      return left.bytes() == right.bytes();
    case Kind::kSequence: {
      if (left.identity() == right.identity()) return true;
      if (!SameSequenceType(left, right)) return false;
      const auto &a = left.sequence().items, &b = right.sequence().items;
      return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                        [&](const Value& x, const Value& y) { return Equal(runtime, x, y); });
    }
    case Kind::kDict: {
      const DictObject &a = left.dict(), &b = right.dict();
      if (&a == &b) return true;
      if (a.entries.size() != b.entries.size()) return false;
      return std::all_of(a.entries.begin(), a.entries.end(), [&](const auto& entry) {
        const Value* other = FindItem(runtime, b, entry.first);
        return other != nullptr && Equal(runtime, entry.second, *other);
      });
    }
    default:
      return left.identity() == right.identity();
  }
}

bool Less(Runtime& runtime, const Value& left, const Value& right) {
  const Runtime::Deeper deeper(runtime);
  runtime.Step();
  if (left.IsUndefined()) FailUndefined(runtime, left);
  if (right.IsUndefined()) FailUndefined(runtime, right);
  if (left.IsNumber() && right.IsNumber()) return CompareNumbers(left, right) == -1;
  if (left.IsString() && right.IsString()) {
    runtime.Scan(std::min(left.text().size(), right.text().size()));
    // The order of UTF-8 bytes is that of code points.
    return left.bytes() < right.bytes();
  }
  if (SameSequenceType(left, right) && left.sequence().form != Form::kRange) {
    const auto &a = left.sequence().items, &b = right.sequence().items;
    for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
      if (!Equal(runtime, a[i], b[i])) return Less(runtime, a[i], b[i]);
    }
    return a.size() < b.size();
  }
  runtime.Fail(fmt::format("'{}' and '{}' have no order", TypeName(left), TypeName(right)));
}

bool Contains(Runtime& runtime, const Value& container, const Value& wanted) {
  switch (container.kind()) {
    case Kind::kString:
      if (wanted.IsUndefined()) FailUndefined(runtime, wanted);
      if (!wanted.IsString()) {
        runtime.Fail(
            fmt::format("'in' looks for a string in a string, not for '{}'", TypeName(wanted)));
      }
      runtime.Scan(container.text().size() + wanted.text().size());
      return FindText(container.bytes(), wanted.bytes()) != std::string_view::npos;
    case Kind::kDict:
      return FindItem(runtime, container.dict(), wanted) != nullptr;
    default: {
      const std::vector<Value> items = Iterate(runtime, container);
      return std::any_of(items.begin(), items.end(),
                         [&](const Value& item) { return Equal(runtime, item, wanted); });
    }
  }
}

std::optional<int64_t> Length(Runtime& runtime, const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
      return 0;
    case Kind::kString:
      runtime.Scan(value.text().size());
      return static_cast<int64_t>(CountCharacters(value.bytes()));
    case Kind::kSequence:
      if (value.sequence().form == Form::kGenerator) return std::nullopt;
      return static_cast<int64_t>(value.sequence().items.size());
    case Kind::kDict:
      return static_cast<int64_t>(value.dict().entries.size());
    case Kind::kLoop:
      return static_cast<int64_t>(value.loop().items.size());
    default:
      return std::nullopt;
  }
}

bool IsIterable(const Value& value) {
  return value.IsUndefined() || value.IsString() || value.IsSequence() || value.IsDict() ||
         value.kind() == Kind::kLoop;
}

std::vector<Value> Iterate(Runtime& runtime, const Value& value) {
  std::vector<Value> items;
  switch (value.kind()) {
    case Kind::kUndefined:
      break;
    case Kind::kString: {
      const Text& text = value.text();
      for (size_t i = 0; i < text.size();) {
        runtime.Step();
        const size_t end = i + CharacterLength(text.bytes()[i]);
        items.push_back(runtime.String(text.Slice(i, end), value.string().markup));
        i = end;
      }
      break;
    }
    case Kind::kSequence:
      runtime.Step(value.sequence().items.size() + 1);
      if (value.sequence().form == Form::kGenerator) {
        items.swap(value.sequence().items);
      } else {
        items = value.sequence().items;
      }
      break;
    case Kind::kDict:
      runtime.Step(value.dict().entries.size() + 1);
      for (const auto& entry : value.dict().entries) items.push_back(entry.first);
      break;
    default:
      runtime.Fail(fmt::format("'{}' cannot be walked through", TypeName(value)));
  }
  return items;
}

std::string HashKey(Runtime& runtime, const Value& value) {
  const Runtime::Deeper deeper(runtime);
  runtime.Step();
  switch (value.kind()) {
    case Kind::kNone:
      return "n";
    case Kind::kBool:
    case Kind::kInt:
      return fmt::format("i{}", value.integer());
    case Kind::kFloat:
      if (value.number() == std::floor(value.number()) && std::fabs(value.number()) < 0x1p63) {
        return fmt::format("i{}", static_cast<int64_t>(value.number()));
      }
      return "f" + FloatRepr(value.number());
    case Kind::kString:
      runtime.Scan(value.text().size());
      return "s" + value.bytes();
    case Kind::kSequence:
      if (value.sequence().form == Form::kTuple) {
        std::string key = "t";
        for (const Value& item : value.sequence().items) {
          const std::string part = HashKey(runtime, item);
          runtime.Scan(part.size());
          runtime.CheckSize(key.size() + part.size());
          key += fmt::format("{}:", part.size());
          key += part;
        }
        return key;
      }
      break;
    case Kind::kDict:
      break;
    default:
      return fmt::format("o{}", value.identity());
  }
  runtime.Fail(fmt::format("'{}' cannot be a key", TypeName(value)));
}

const Value* FindItem(Runtime& runtime, const DictObject& dict, const Value& key) {
  const auto place = dict.places.find(HashKey(runtime, key));
  return place == dict.places.end() ? nullptr : &dict.entries[place->second].second;
}

const Value* FindItem(const DictObject& dict, std::string_view key) {
  const auto place = dict.places.find("s" + std::string(key));
  return place == dict.places.end() ? nullptr : &dict.entries[place->second].second;
}

void SetItem(Runtime& runtime, DictObject& dict, const Value& key, const Value& value) {
  std::string hash_key = HashKey(runtime, key);
  // The key, its place in the table, and the entry.
  runtime.Take(hash_key.size() + 4 * sizeof(Value) + 64);
  const auto [place, is_new] = dict.places.emplace(std::move(hash_key), dict.entries.size());
  if (is_new) {
    dict.entries.emplace_back(key, value);
  } else {
    dict.entries[place->second].second = value;
  }
}

}  // namespace fathom::jinja

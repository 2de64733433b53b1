#include <algorithm>

#include "base/error.h"
#include "text/jinja/methods.h"
#include "text/jinja/operations.h"
#include "text/jinja/python_text.h"

// Looking into values: attributes, items, slices.
namespace fathom::jinja {
namespace {

using Kind = Value::Kind;

Value LoopAttribute(Runtime& runtime, const Value& value, std::string_view name) {
  const LoopObject& loop = value.loop();
  const auto size = static_cast<int64_t>(loop.items.size());
  const auto item = [&](int64_t index, std::string_view what) {
    return index >= 0 && index < size ? loop.items[static_cast<size_t>(index)]
                                      : runtime.Undefined(what);
  };
  if (name == "index") return Value::Int(loop.index0 + 1);
  if (name == "index0") return Value::Int(loop.index0);
  if (name == "revindex") return Value::Int(size - loop.index0);
  if (name == "revindex0") return Value::Int(size - loop.index0 - 1);
  if (name == "first") return Value::Bool(loop.index0 == 0);
  if (name == "last") return Value::Bool(loop.index0 + 1 == size);
  if (name == "length") return Value::Int(size);
  // Only recursive loops, which there are not, go deeper.
  if (name == "depth") return Value::Int(1);
  if (name == "depth0") return Value::Int(0);
  if (name == "previtem") return item(loop.index0 - 1, "loop.previtem");
  if (name == "nextitem") return item(loop.index0 + 1, "loop.nextitem");
  return HasMethod(value, name) ? BindMethod(runtime, value, name) : runtime.Undefined(name);
}

}  // namespace

Value GetAttribute(Runtime& runtime, const Value& object, std::string_view name) {
  switch (object.kind()) {
    case Kind::kUndefined:
      FailUndefined(runtime, object);
    case Kind::kNamespace: {
      const Value* found = FindItem(*object.name_space().attributes, name);
      return found != nullptr ? *found : runtime.Undefined(name);
    }
    case Kind::kLoop:
      return LoopAttribute(runtime, object, name);
    default:
      break;
  }
  if (HasMethod(object, name)) return BindMethod(runtime, object, name);
  // A method that changes its object hides an item of that name too; using it fails.
  if (ChangesObject(object, name)) {
    return runtime.Undefined(
        fmt::format("{}.{} (which would change its object)", TypeName(object), name));
  }
  if (object.IsDict()) {
    if (const Value* found = FindItem(object.dict(), name)) return *found;
  }
  return runtime.Undefined(name);
}

Value GetItem(Runtime& runtime, const Value& object, const Value& key) {
  if (object.IsUndefined()) FailUndefined(runtime, object);
  if (object.IsDict()) {
    const bool can_be_key =
        !key.IsDict() && (!key.IsSequence() || key.sequence().form == SequenceObject::Form::kTuple);
    const Value* found = can_be_key ? FindItem(runtime, object.dict(), key) : nullptr;
    if (found != nullptr) return *found;
  } else if (key.IsInteger()) {
    int64_t index = key.integer();
    if (object.IsSequence() && object.sequence().IsIndexable()) {
      const std::vector<Value>& items = object.sequence().items;
      if (index < 0) index += static_cast<int64_t>(items.size());
      if (index >= 0 && index < static_cast<int64_t>(items.size())) {
        return items[static_cast<size_t>(index)];
      }
    } else if (object.IsString()) {
      runtime.Scan(object.text().size());
      if (index < 0) index += static_cast<int64_t>(CountCharacters(object.bytes()));
      const size_t begin = index < 0
                               ? object.text().size()
                               : OffsetOfCharacter(object.bytes(), static_cast<size_t>(index));
      if (begin < object.text().size()) {
        const size_t end = begin + CharacterLength(object.bytes()[begin]);
        return runtime.String(object.text().Slice(begin, end), object.string().markup);
      }
    }
  }
  if (!key.IsString()) return runtime.Undefined(Repr(runtime, key).bytes());
  // As Jinja does it: a name that is not an item may still be an attribute.
  return GetAttribute(runtime, object, key.bytes());
}

Value GetSlice(Runtime& runtime, const Value& object, const Value& begin, const Value& end,
               const Value& step) {
  if (object.IsUndefined()) FailUndefined(runtime, object);
  const bool is_sequence = object.IsSequence() && object.sequence().IsIndexable();
  if (!is_sequence && !object.IsString()) return runtime.Undefined("slice");
  for (const Value& bound : {begin, end, step}) {
    if (!bound.IsNone() && !bound.IsInteger()) {
      runtime.Fail(fmt::format("the bounds of a slice are integers, not '{}'", TypeName(bound)));
    }
  }
  const int64_t stride = step.IsNone() ? 1 : step.integer();
  if (stride == 0) runtime.Fail("the step of a slice is 0");
  const int64_t length = *Length(runtime, object);
  const int64_t lowest = stride > 0 ? 0 : -1, highest = stride > 0 ? length : length - 1;
  const auto bound = [&](const Value& value, int64_t open) {
    if (value.IsNone()) return open;
    int64_t index = value.integer();
    if (index < 0) index += length;
    return std::clamp(index, lowest, highest);
  };
  const int64_t first = bound(begin, stride > 0 ? lowest : highest);
  const int64_t last = bound(end, stride > 0 ? highest : lowest);
  // Steps beyond the length all mean the same.
  const int64_t pace = std::clamp<int64_t>(stride, -length - 1, length + 1);
  runtime.Step(static_cast<uint64_t>(length));
  if (is_sequence) {
    std::vector<Value> items;
    for (int64_t i = first; pace > 0 ? i < last : i > last; i += pace) {
      items.push_back(object.sequence().items[static_cast<size_t>(i)]);
    }
    return runtime.Sequence(object.sequence().form, std::move(items));
  }
  const Text& text = object.text();
  Text out;
  if (pace == 1) {
    if (first < last) {
      const size_t from = OffsetOfCharacter(text.bytes(), static_cast<size_t>(first));
      const size_t count = OffsetOfCharacter(std::string_view(text.bytes()).substr(from),
                                             static_cast<size_t>(last - first));
      out.Append(text, from, from + count);
    }
  } else {
    std::vector<size_t> offsets;
    for (size_t i = 0; i < text.size(); i += CharacterLength(text.bytes()[i])) offsets.push_back(i);
    for (int64_t i = first; pace > 0 ? i < last : i > last; i += pace) {
      const size_t from = offsets[static_cast<size_t>(i)];
      out.Append(text, from, from + CharacterLength(text.bytes()[from]));
    }
  }
  return runtime.String(std::move(out), object.string().markup);
}

}  // namespace fathom::jinja

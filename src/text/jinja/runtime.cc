#include "text/jinja/runtime.h"

#include "base/error.h"
#include "text/jinja/operations.h"

namespace fathom::jinja {

void Runtime::Fail(std::string_view what, std::string_view hint) const {
  throw Error(line_ > 0 ? fmt::format("{}, line {}", where_, line_) : std::string(where_), what,
              hint);
}

void Runtime::FailDepth() {
  --depth_;  // the guard that called this is not destroyed
  Fail(fmt::format("goes more than {} levels deep", limits_.depth), kRenderHint);
}

void Runtime::Step(uint64_t count) {
  steps_ += count;
  if (steps_ > limits_.steps) {
    Fail(fmt::format("takes more than {} steps", limits_.steps), kRenderHint);
  }
}

void Runtime::CheckSize(size_t bytes) const {
  if (bytes > limits_.memory_bytes || memory_ > limits_.memory_bytes - bytes) {
    Fail(fmt::format("takes more than {} MiB of memory", limits_.memory_bytes >> 20), kRenderHint);
  }
}

void Runtime::Take(size_t bytes) {
  CheckSize(bytes);
  memory_ += bytes;
}

Value Runtime::String(Text text, bool markup) {
  auto* object = Make<StringObject>(sizeof(StringObject) + text.size() +
                                    text.runs().size() * sizeof(Text::Run));
  object->text = std::move(text);
  object->markup = markup;
  return Value(object);
}

Value Runtime::Sequence(SequenceObject::Form form, std::vector<Value> items) {
  auto* object = Make<SequenceObject>(sizeof(SequenceObject) + items.size() * sizeof(Value));
  object->form = form;
  object->items = std::move(items);
  return Value(object);
}

Value Runtime::Undefined(std::string_view name) { return Value::Undefined(&String(name).string()); }

Value Runtime::FromData(const Data& data) {
  Step();
  switch (data.kind) {
    case Data::Kind::kNull:
      return Value::None();
    case Data::Kind::kBool:
      return Value::Bool(data.boolean);
    case Data::Kind::kInt:
      return Value::Int(data.integer);
    case Data::Kind::kFloat:
      return Value::Float(data.number);
    case Data::Kind::kString:
      return String(Text(data.string, data.trusted));
    case Data::Kind::kArray: {
      const Deeper deeper(*this);
      std::vector<Value> items;
      items.reserve(data.items.size());
      for (const Data& item : data.items) items.push_back(FromData(item));
      return List(std::move(items));
    }
    case Data::Kind::kObject: {
      const Deeper deeper(*this);
      const Value dict = Dict();
      for (size_t i = 0; i < data.keys.size(); ++i) {
        SetItem(*this, dict.dict(), String(Text(data.keys[i], false)), FromData(data.items[i]));
      }
      return dict;
    }
  }
  return {};
}

}  // namespace fathom::jinja

#include "text/jinja/value.h"

namespace fathom::jinja {

Value Value::Bool(bool value) {
  Value result;
  result.kind_ = Kind::kBool;
  result.integer_ = value ? 1 : 0;
  return result;
}

Value Value::Int(int64_t value) {
  Value result;
  result.kind_ = Kind::kInt;
  result.integer_ = value;
  return result;
}

Value Value::Float(double value) {
  Value result;
  result.kind_ = Kind::kFloat;
  result.number_ = value;
  return result;
}

Value Value::Undefined(const StringObject* name) {
  return Value(Kind::kUndefined, const_cast<StringObject*>(name));
}

Value::Value(StringObject* object) : Value(Kind::kString, object) {}
Value::Value(SequenceObject* object) : Value(Kind::kSequence, object) {}
Value::Value(DictObject* object) : Value(Kind::kDict, object) {}
Value::Value(NamespaceObject* object) : Value(Kind::kNamespace, object) {}
Value::Value(LoopObject* object) : Value(Kind::kLoop, object) {}
Value::Value(FunctionObject* object) : Value(Kind::kFunction, object) {}

const StringObject& Value::string() const { return *static_cast<StringObject*>(object_); }
const Text& Value::text() const { return string().text; }
SequenceObject& Value::sequence() const { return *static_cast<SequenceObject*>(object_); }
DictObject& Value::dict() const { return *static_cast<DictObject*>(object_); }
NamespaceObject& Value::name_space() const { return *static_cast<NamespaceObject*>(object_); }
LoopObject& Value::loop() const { return *static_cast<LoopObject*>(object_); }
FunctionObject& Value::function() const { return *static_cast<FunctionObject*>(object_); }
const StringObject* Value::undefined_name() const { return static_cast<StringObject*>(object_); }

}  // namespace fathom::jinja

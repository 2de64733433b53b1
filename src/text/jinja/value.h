#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "text/jinja/text.h"

namespace fathom::jinja {

struct Node;
class Scope;

// What one rendering makes; it lives until the rendering ends (runtime.h owns it), so values point
// to each other freely, in circles too.
struct Object {
  virtual ~Object() = default;
};

struct StringObject;
struct SequenceObject;
struct DictObject;
struct NamespaceObject;
struct LoopObject;
struct FunctionObject;

// A value of the template language: Python's, as far as templates can see.
class Value {
 public:
  enum class Kind : uint8_t {
    kUndefined,
    kNone,
    kBool,
    kInt,
    kFloat,
    kString,
    kSequence,
    kDict,
    kNamespace,
    kLoop,
    kFunction,
  };

  Value() : kind_(Kind::kUndefined), object_(nullptr) {}
  static Value None() { return Value(Kind::kNone, nullptr); }
  static Value Bool(bool value);
  static Value Int(int64_t value);
  static Value Float(double value);
  // name: what was looked for and is not there, for the message when it is used all the same.
  static Value Undefined(const StringObject* name);
  explicit Value(StringObject* object);
  explicit Value(SequenceObject* object);
  explicit Value(DictObject* object);
  explicit Value(NamespaceObject* object);
  explicit Value(LoopObject* object);
  explicit Value(FunctionObject* object);

  Kind kind() const { return kind_; }
  bool IsUndefined() const { return kind_ == Kind::kUndefined; }
  bool IsNone() const { return kind_ == Kind::kNone; }
  bool IsBool() const { return kind_ == Kind::kBool; }
  bool IsString() const { return kind_ == Kind::kString; }
  bool IsFloat() const { return kind_ == Kind::kFloat; }
  bool IsSequence() const { return kind_ == Kind::kSequence; }
  bool IsDict() const { return kind_ == Kind::kDict; }
  // A bool is an integer, as in Python.
  bool IsInteger() const { return kind_ == Kind::kInt || kind_ == Kind::kBool; }
  bool IsNumber() const { return IsInteger() || IsFloat(); }

  // Of the kind that the name says; nothing is checked.
  bool boolean() const { return integer_ != 0; }
  int64_t integer() const { return integer_; }  // of a bool too
  double number() const { return IsFloat() ? number_ : static_cast<double>(integer_); }
  const StringObject& string() const;
  const Text& text() const;
  const std::string& bytes() const { return text().bytes(); }
  SequenceObject& sequence() const;
  DictObject& dict() const;
  NamespaceObject& name_space() const;
  LoopObject& loop() const;
  FunctionObject& function() const;
  // The name of an undefined value, or null.
  const StringObject* undefined_name() const;
  const void* identity() const { return object_; }

 private:
  Value(Kind kind, Object* object) : kind_(kind), object_(object) {}

  Kind kind_;
  union {
    int64_t integer_;
    double number_;
    Object* object_;
  };
};

struct StringObject : Object {
  Text text;
  // Jinja's Markup: what is added to it is escaped for HTML.
  bool markup = false;
};

struct SequenceObject : Object {
  enum class Form { kList, kTuple, kRange, kGenerator, kKeys, kValues, kItems };
  Form form = Form::kList;
  std::vector<Value> items;  // a generator's are gone once they were walked through

  bool IsIndexable() const {
    return form == Form::kList || form == Form::kTuple || form == Form::kRange;
  }
};

// In the order in which keys were added.
struct DictObject : Object {
  std::vector<std::pair<Value, Value>> entries;
  std::unordered_map<std::string, size_t> places;  // by HashKey (operations.h)
};

struct NamespaceObject : Object {
  DictObject* attributes = nullptr;
};

struct LoopObject : Object {
  std::vector<Value> items;
  int64_t index0 = 0;
  std::vector<Value> last_changed;
  bool has_changed = false;
};

struct FunctionObject : Object {
  enum class Form {
    kMacro,   // syntax, scope
    kMethod,  // self.name
    kGlobal,  // name
  };
  Form form = Form::kGlobal;
  std::string name;
  Value self;
  const Node* syntax = nullptr;
  Scope* scope = nullptr;
  Value caller;  // for a macro called by a call block
  // Where the parameters' defaults begin among the children of the syntax.
  size_t first_default = 0;
};

}  // namespace fathom::jinja

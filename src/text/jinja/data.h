#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"

namespace fathom::jinja {

// What a template is given: a JSON value that owns what it holds.
struct Data {
  enum class Kind { kNull, kBool, kInt, kFloat, kString, kArray, kObject };

  static Data Null() { return {}; }
  static Data Bool(bool value);
  static Data Int(int64_t value);
  static Data Float(double value);
  // trusted: from the model's own files (text.h).
  static Data String(std::string value, bool trusted = false);
  static Data Array(std::vector<Data> items = {});
  static Data Object();
  // Of a key that occurs twice the last value counts, in the first one's place, as in Python. All
  // strings are not trusted. Throws Error for an integer beyond 64 bits.
  static Data FromJson(const JsonValue& json);

  bool IsNull() const { return kind == Kind::kNull; }
  bool IsString() const { return kind == Kind::kString; }
  bool IsArray() const { return kind == Kind::kArray; }
  bool IsObject() const { return kind == Kind::kObject; }

  // A member; null when there is none or this is not an object.
  const Data* Find(std::string_view key) const;
  Data* Find(std::string_view key);
  // Adds a member or replaces its value; this is an object.
  void Set(std::string_view key, Data value);
  void Remove(std::string_view key);

  Kind kind = Kind::kNull;
  bool boolean = false;
  bool trusted = false;
  int64_t integer = 0;
  double number = 0;
  std::string string;
  std::vector<std::string> keys;  // of an object, in order
  std::vector<Data> items;        // of an array, or the values of an object's keys
};

}  // namespace fathom::jinja

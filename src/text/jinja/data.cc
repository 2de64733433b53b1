#include "text/jinja/data.h"

#include <algorithm>
#include <unordered_map>

#include "base/error.h"

namespace fathom::jinja {

Data Data::Bool(bool value) {
  Data data;
  data.kind = Kind::kBool;
  data.boolean = value;
  return data;
}

Data Data::Int(int64_t value) {
  Data data;
  data.kind = Kind::kInt;
  data.integer = value;
  return data;
}

Data Data::Float(double value) {
  Data data;
  data.kind = Kind::kFloat;
  data.number = value;
  return data;
}

Data Data::String(std::string value, bool trusted) {
  Data data;
  data.kind = Kind::kString;
  data.string = std::move(value);
  data.trusted = trusted;
  return data;
}

Data Data::Array(std::vector<Data> items) {
  Data data;
  data.kind = Kind::kArray;
  data.items = std::move(items);
  return data;
}

Data Data::Object() {
  Data data;
  data.kind = Kind::kObject;
  return data;
}

Data Data::FromJson(const JsonValue& json) {
  if (json.IsNull()) return Null();
  if (json.IsBool()) return Bool(json.Bool());
  if (json.IsString()) return String(std::string(json.String()));
  if (json.IsInt()) return Int(json.Int());
  if (json.IsArray()) {
    Data data = Array();
    for (const JsonValue& item : json.Array()) data.items.push_back(FromJson(item));
    return data;
  }
  if (json.IsObject()) {
    Data data = Object();
    std::unordered_map<std::string_view, size_t> places;
    for (const auto& [key, value] : json.Object()) {
      const auto [place, is_new] = places.emplace(key, data.items.size());
      if (is_new) {
        data.keys.emplace_back(key);
        data.items.push_back(FromJson(value));
      } else {
        data.items[place->second] = FromJson(value);
      }
    }
    return data;
  }
  const double number = json.Number();
  if (number >= 0x1p63 && json.IsUnsigned()) {
    throw Error(json.path(), "is an integer beyond 64 bits");
  }
  return Float(number);
}

const Data* Data::Find(std::string_view key) const {
  const auto place = std::find(keys.begin(), keys.end(), key);
  return place == keys.end() ? nullptr : &items[static_cast<size_t>(place - keys.begin())];
}

Data* Data::Find(std::string_view key) {
  return const_cast<Data*>(static_cast<const Data*>(this)->Find(key));
}

void Data::Set(std::string_view key, Data value) {
  if (Data* existing = Find(key)) {
    *existing = std::move(value);
  } else {
    keys.emplace_back(key);
    items.push_back(std::move(value));
  }
}

void Data::Remove(std::string_view key) {
  const auto place = std::find(keys.begin(), keys.end(), key);
  if (place == keys.end()) return;
  items.erase(items.begin() + (place - keys.begin()));
  keys.erase(place);
}

}  // namespace fathom::jinja

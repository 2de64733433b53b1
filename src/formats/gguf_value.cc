#include "formats/gguf_value.h"

#include <charconv>
#include <cmath>
#include <cstring>
#include <optional>

#include "base/error.h"
#include "text/utf8.h"

namespace fathom {
namespace {

template <typename T>
T Load(const std::byte* data) {
  T value;
  std::memcpy(&value, data, sizeof(value));
  return value;
}

std::optional<int64_t> LoadInt(GgufType type, const std::byte* data) {
  switch (type) {
    case GgufType::kU8:
      return Load<uint8_t>(data);
    case GgufType::kI8:
      return Load<int8_t>(data);
    case GgufType::kU16:
      return Load<uint16_t>(data);
    case GgufType::kI16:
      return Load<int16_t>(data);
    case GgufType::kU32:
      return Load<uint32_t>(data);
    case GgufType::kI32:
      return Load<int32_t>(data);
    case GgufType::kI64:
      return Load<int64_t>(data);
    case GgufType::kU64: {
      const auto value = Load<uint64_t>(data);
      if (value <= INT64_MAX) return static_cast<int64_t>(value);
      return std::nullopt;
    }
    default:
      return std::nullopt;
  }
}

double ShortestDecimal(float value) {
  char text[32];
  const auto written = std::to_chars(text, text + sizeof(text), value);
  double result = 0;
  std::from_chars(text, written.ptr, result);
  return result;
}

}  // namespace

uint64_t FixedSize(GgufType type) {
  switch (type) {
    case GgufType::kU8:
    case GgufType::kI8:
    case GgufType::kBool:
      return 1;
    case GgufType::kU16:
    case GgufType::kI16:
      return 2;
    case GgufType::kU32:
    case GgufType::kI32:
    case GgufType::kF32:
      return 4;
    case GgufType::kU64:
    case GgufType::kI64:
    case GgufType::kF64:
      return 8;
    default:
      return 0;
  }
}

std::string GgufValue::where() const {
  return fmt::format("{}, byte {}: key '{}'", *file_, offset_, key_);
}

void GgufValue::WrongKind(std::string_view expected) const {
  throw Error(where(), fmt::format("is not {}", expected));
}

int64_t GgufValue::Int(int64_t low, int64_t high) const {
  const auto value = LoadInt(type_, data_.data());
  if (!value) WrongKind("a whole number");
  if (*value < low || *value > high)
    throw Error(where(), fmt::format("{} is out of range [{}, {}]", *value, low, high));
  return *value;
}

double GgufValue::Number() const {
  if (type_ == GgufType::kF32 || type_ == GgufType::kF64) {
    const bool single = type_ == GgufType::kF32;
    const double value =
        single ? static_cast<double>(Load<float>(data_.data())) : Load<double>(data_.data());
    if (!std::isfinite(value)) WrongKind("a finite number");
    return single ? ShortestDecimal(static_cast<float>(value)) : value;
  }
  const auto value = LoadInt(type_, data_.data());
  if (!value) WrongKind("a number");
  return static_cast<double>(*value);
}

bool GgufValue::Bool() const {
  if (type_ != GgufType::kBool) WrongKind("true or false");
  return Load<uint8_t>(data_.data()) != 0;
}

std::string_view GgufValue::Text(uint64_t begin, uint64_t size) const {
  const std::string_view text(reinterpret_cast<const char*>(data_.data()) + begin, size);
  if (!IsValidUtf8(text)) {
    throw Error(where(),
                fmt::format("the string at byte {} of the file is not UTF-8", offset_ + begin));
  }
  return text;
}

std::string_view GgufValue::String() const {
  if (type_ != GgufType::kString) WrongKind("a string");
  return Text(0, data_.size());
}

std::vector<std::string_view> GgufValue::Strings() const {
  if (type_ != GgufType::kArray || element_ != GgufType::kString) WrongKind("an array of strings");
  std::vector<std::string_view> strings;
  strings.reserve(count_);
  uint64_t position = 0;
  for (uint64_t i = 0; i < count_; ++i) {
    const auto size = Load<uint64_t>(data_.data() + position);
    position += sizeof(size);
    strings.push_back(Text(position, size));
    position += size;
  }
  return strings;
}

std::vector<int64_t> GgufValue::Ints() const {
  if (type_ != GgufType::kArray) WrongKind("an array of whole numbers");
  std::vector<int64_t> values;
  values.reserve(count_);
  for (uint64_t i = 0; i < count_; ++i) {
    const auto value = LoadInt(element_, data_.data() + i * FixedSize(element_));
    if (!value) WrongKind("an array of whole numbers");
    values.push_back(*value);
  }
  return values;
}

}  // namespace fathom

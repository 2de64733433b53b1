#include "formats/safetensors_header.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/json.h"

namespace fathom {
namespace {

constexpr uint64_t kLengthBytes = 8;
// The bound of the original implementation.
constexpr uint64_t kLargestHeader = 100'000'000;

constexpr SafetensorsType kTypes[] = {
    {"F32", 4, DType::kF32},      {"BF16", 2, DType::kBF16},    {"F64", 8, DType::kF64},
    {"I32", 4, DType::kI32},      {"F16", 2, std::nullopt},     {"F8_E4M3", 1, std::nullopt},
    {"F8_E5M2", 1, std::nullopt}, {"F8_E8M0", 1, std::nullopt}, {"I64", 8, std::nullopt},
    {"I16", 2, std::nullopt},     {"I8", 1, std::nullopt},      {"U8", 1, std::nullopt},
    {"BOOL", 1, std::nullopt},    {"U16", 2, std::nullopt},     {"U32", 4, std::nullopt},
    {"U64", 8, std::nullopt},
};

// The product of the dimensions and the element size, or nothing when it leaves 62 bits. A
// dimension of 0 does not excuse the others: strides are products of some of them.
std::optional<uint64_t> CheckedBytes(const std::vector<int64_t>& shape, int64_t element_bytes) {
  uint64_t product = static_cast<uint64_t>(element_bytes);
  bool empty = false;
  for (const int64_t dim : shape) {
    if (dim < 0) return std::nullopt;
    const auto factor = static_cast<uint64_t>(std::max<int64_t>(dim, 1));
    if (product > (uint64_t{1} << 62) / factor) return std::nullopt;
    product *= factor;
    empty = empty || dim == 0;
  }
  return empty ? 0 : product;
}

SafetensorsEntry ParseEntry(const JsonValue& value, uint64_t data_bytes) {
  SafetensorsEntry entry;
  entry.type = value.At("dtype").String();
  for (const JsonValue& dim : value.At("shape").Array()) entry.shape.push_back(dim.Int());
  const std::vector<JsonValue> offsets = value.At("data_offsets").Array();
  if (offsets.size() != 2 || offsets[0].Int() < 0 || offsets[1].Int() < offsets[0].Int()) {
    throw Error(value.path(), "data_offsets are not [begin, end]");
  }
  entry.begin = static_cast<uint64_t>(offsets[0].Int());
  entry.end = static_cast<uint64_t>(offsets[1].Int());
  if (entry.end > data_bytes) {
    throw Error(value.path(),
                fmt::format("ends at byte {} of {} bytes of data", entry.end, data_bytes),
                "the file is truncated: download or write it again");
  }
  const SafetensorsType* type = FindSafetensorsType(entry.type);
  if (type == nullptr) throw Error(value.path(), fmt::format("type '{}' is not known", entry.type));
  const auto bytes = CheckedBytes(entry.shape, type->bytes);
  if (!bytes || *bytes != entry.end - entry.begin) {
    throw Error(value.path(),
                fmt::format("has {} bytes, which is not what its type {} and shape need",
                            entry.end - entry.begin, entry.type));
  }
  return entry;
}

// As the original implementation has it: every byte of the data belongs to one tensor.
void CheckCover(const SafetensorsHeader& header, uint64_t data_bytes, const std::string& where) {
  std::vector<const std::pair<const std::string, SafetensorsEntry>*> ordered;
  ordered.reserve(header.entries.size());
  for (const auto& named : header.entries) ordered.push_back(&named);
  std::sort(ordered.begin(), ordered.end(), [](const auto* a, const auto* b) {
    return std::pair(a->second.begin, a->second.end) < std::pair(b->second.begin, b->second.end);
  });
  uint64_t covered = 0;
  for (const auto* named : ordered) {
    const auto& [name, entry] = *named;
    if (entry.begin < covered) {
      throw Error(where, fmt::format("tensor '{}' and another overlap at byte {} of the data", name,
                                     entry.begin));
    }
    if (entry.begin > covered) {
      throw Error(where, fmt::format("bytes {} to {} of the data belong to no tensor; '{}' follows",
                                     covered, entry.begin, name));
    }
    covered = entry.end;
  }
  if (covered != data_bytes) {
    throw Error(where,
                fmt::format("bytes {} to {} of the data belong to no tensor", covered, data_bytes));
  }
}

}  // namespace

const SafetensorsType* FindSafetensorsType(std::string_view name) {
  for (const SafetensorsType& type : kTypes) {
    if (name == type.name) return &type;
  }
  return nullptr;
}

std::string_view SafetensorsTypeName(DType dtype) {
  for (const SafetensorsType& type : kTypes) {
    if (type.dtype == dtype) return type.name;
  }
  FATHOM_CHECK(false, "dtype {}", static_cast<int>(dtype));
}

SafetensorsHeader ParseSafetensorsHeader(std::string_view file, const std::string& where) {
  if (file.size() < kLengthBytes) {
    throw Error(where,
                fmt::format("is {} bytes long, too short for a safetensors file", file.size()),
                "download or write it again");
  }
  uint64_t length;
  std::memcpy(&length, file.data(), kLengthBytes);
  if (length > kLargestHeader || length > file.size() - kLengthBytes) {
    throw Error(
        where,
        fmt::format("the header should be {} bytes long, but the file has {}", length, file.size()),
        "it is truncated or not a safetensors file");
  }
  SafetensorsHeader header;
  header.data_begin = kLengthBytes + length;
  const uint64_t data_bytes = file.size() - header.data_begin;
  const JsonDocument document(file.substr(kLengthBytes, length), where + ": header");
  for (const auto& [name, value] : document.root().Object()) {
    if (name == "__metadata__") {
      for (const auto& [key, entry] : value.Object())
        header.metadata[std::string(key)] = entry.String();
      continue;
    }
    if (!header.entries.emplace(std::string(name), ParseEntry(value, data_bytes)).second) {
      throw Error(value.path(), "is there twice");
    }
  }
  CheckCover(header, data_bytes, where);
  return header;
}

}  // namespace fathom

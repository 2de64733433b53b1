#include "formats/safetensors.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/json.h"
#include "base/progress.h"

namespace fathom {
namespace {

constexpr uint64_t kLengthBytes = 8;
// The bound of the original implementation.
constexpr uint64_t kLargestHeader = 100'000'000;

struct TypeName {
  const char* name;
  int64_t bytes;
  std::optional<DType> dtype;
};
constexpr TypeName kTypes[] = {
    {"F32", 4, DType::kF32},      {"BF16", 2, DType::kBF16},    {"F64", 8, DType::kF64},
    {"I32", 4, DType::kI32},      {"F16", 2, std::nullopt},     {"F8_E4M3", 1, std::nullopt},
    {"F8_E5M2", 1, std::nullopt}, {"F8_E8M0", 1, std::nullopt}, {"I64", 8, std::nullopt},
    {"I16", 2, std::nullopt},     {"I8", 1, std::nullopt},      {"U8", 1, std::nullopt},
    {"BOOL", 1, std::nullopt},    {"U16", 2, std::nullopt},     {"U32", 4, std::nullopt},
    {"U64", 8, std::nullopt},
};

const TypeName* FindType(std::string_view name) {
  for (const TypeName& type : kTypes) {
    if (name == type.name) return &type;
  }
  return nullptr;
}

const char* TypeNameOf(DType dtype) {
  for (const TypeName& type : kTypes) {
    if (type.dtype == dtype) return type.name;
  }
  FATHOM_CHECK(false);
}

// The product of the dimensions and the element size, or nothing when it leaves 62 bits.
std::optional<uint64_t> CheckedBytes(const std::vector<int64_t>& shape, int64_t element_bytes) {
  uint64_t product = static_cast<uint64_t>(element_bytes);
  for (const int64_t dim : shape) {
    if (dim < 0) return std::nullopt;
    if (dim != 0 && product > (uint64_t{1} << 62) / static_cast<uint64_t>(dim)) return std::nullopt;
    product *= static_cast<uint64_t>(dim);
  }
  return product;
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : file_(path) { ParseHeader(); }

void SafetensorsFile::ParseHeader() {
  const std::string where = path().string();
  const std::string_view text = file_.text();
  if (text.size() < kLengthBytes) {
    throw Error(where,
                fmt::format("is {} bytes long, too short for a safetensors file", text.size()),
                "download or write it again");
  }
  uint64_t length;
  std::memcpy(&length, text.data(), kLengthBytes);
  if (length > kLargestHeader || length > text.size() - kLengthBytes) {
    throw Error(
        where,
        fmt::format("the header should be {} bytes long, but the file has {}", length, text.size()),
        "it is truncated or not a safetensors file");
  }
  data_begin_ = kLengthBytes + length;
  const uint64_t data_bytes = text.size() - data_begin_;

  const JsonDocument document(text.substr(kLengthBytes, length), where + ": header");
  std::vector<std::pair<uint64_t, uint64_t>> ranges;
  for (const auto& [name, value] : document.root().Object()) {
    if (name == "__metadata__") {
      for (const auto& [key, entry] : value.Object()) metadata_[std::string(key)] = entry.String();
      continue;
    }
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
    const TypeName* type = FindType(entry.type);
    if (type == nullptr)
      throw Error(value.path(), fmt::format("type '{}' is not known", entry.type));
    const auto bytes = CheckedBytes(entry.shape, type->bytes);
    if (!bytes || *bytes != entry.end - entry.begin) {
      throw Error(value.path(),
                  fmt::format("has {} bytes, which is not what its type {} and shape need",
                              entry.end - entry.begin, entry.type));
    }
    ranges.emplace_back(entry.begin, entry.end);
    if (!entries_.emplace(std::string(name), std::move(entry)).second) {
      throw Error(value.path(), "is there twice");
    }
  }
  std::sort(ranges.begin(), ranges.end());
  for (size_t i = 1; i < ranges.size(); ++i) {
    if (ranges[i].first < ranges[i - 1].second) {
      throw Error(where,
                  fmt::format("two tensors overlap at byte {} of the data", ranges[i].first));
    }
  }
}

ConstTensor SafetensorsFile::Get(std::string_view name) const {
  const auto found = entries_.find(name);
  if (found == entries_.end())
    throw Error(path().string(), fmt::format("has no tensor '{}'", name));
  const SafetensorsEntry& entry = found->second;
  const TypeName* type = FindType(entry.type);
  const std::string where = fmt::format("{}: {}", path().string(), name);
  if (!type->dtype)
    throw Error(where, fmt::format("type {} is not supported", entry.type), "F32 and BF16 are");
  if (entry.shape.size() > Shape::kMaxRank) {
    throw Error(where, fmt::format("has {} dimensions, at most {} are supported",
                                   entry.shape.size(), Shape::kMaxRank));
  }
  const std::byte* data = file_.bytes().data() + data_begin_ + entry.begin;
  if (reinterpret_cast<uintptr_t>(data) % static_cast<uintptr_t>(type->bytes) != 0) {
    throw Error(where,
                fmt::format("starts at byte {} of the file, which is not a multiple of {}",
                            data_begin_ + entry.begin, type->bytes),
                "write the file again with a current version of safetensors");
  }
  return {data, *type->dtype, Shape(entry.shape)};
}

void WriteSafetensors(const std::filesystem::path& path, const std::vector<SafetensorsItem>& items,
                      const std::map<std::string, std::string>& metadata, bool quiet) {
  nlohmann::ordered_json header;
  if (!metadata.empty()) header["__metadata__"] = metadata;
  // Wide elements first, so that every tensor starts at a multiple of its element's size.
  std::vector<const SafetensorsItem*> ordered;
  ordered.reserve(items.size());
  for (const SafetensorsItem& item : items) ordered.push_back(&item);
  std::stable_sort(ordered.begin(), ordered.end(),
                   [](const SafetensorsItem* a, const SafetensorsItem* b) {
                     return SizeOf(a->type) > SizeOf(b->type);
                   });
  uint64_t offset = 0;
  for (const SafetensorsItem* pointer : ordered) {
    const SafetensorsItem& item = *pointer;
    const uint64_t bytes = static_cast<uint64_t>(item.value.elements()) * SizeOf(item.type);
    nlohmann::ordered_json shape = nlohmann::ordered_json::array();
    for (int i = 0; i < item.value.rank(); ++i) shape.push_back(item.value.dim(i));
    header[item.name] = {{"dtype", TypeNameOf(item.type)},
                         {"shape", shape},
                         {"data_offsets", {offset, offset + bytes}}};
    offset += bytes;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // the data starts aligned

  AtomicFile file(path);
  const uint64_t length = text.size();
  file.Write(&length, sizeof(length));
  file.Write(text);
  constexpr int64_t kPiece = int64_t{1} << 20;
  std::vector<std::byte> buffer;
  Progress progress(fmt::format("writing {}", path.filename().string()), "bytes",
                    static_cast<double>(offset), quiet);
  double done = 0;
  for (const SafetensorsItem* pointer : ordered) {
    const SafetensorsItem& item = *pointer;
    FATHOM_CHECK(item.value.contiguous());
    const int64_t count = item.value.elements();
    const ConstTensor flat = item.value.Reshape(Shape({count}));
    for (int64_t begin = 0; begin < count; begin += kPiece) {
      const int64_t end = std::min(count, begin + kPiece);
      const size_t bytes = static_cast<size_t>(end - begin) * SizeOf(item.type);
      if (item.value.dtype() == item.type) {
        file.Write(flat.Rows(begin, end).raw(), bytes);
      } else {
        buffer.resize(bytes);
        ConvertElements(flat.Rows(begin, end),
                        Tensor(buffer.data(), item.type, Shape({end - begin})));
        file.Write(buffer.data(), bytes);
      }
      done += static_cast<double>(bytes);
      progress.Update(done);
    }
  }
  file.Commit();
}

}  // namespace fathom

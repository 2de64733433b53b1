#include "formats/safetensors.h"

#include "base/error.h"

namespace fathom {

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path)
    : file_(path), header_(ParseSafetensorsHeader(file_.text(), path.string())) {}

const SafetensorsEntry& SafetensorsFile::Entry(std::string_view name) const {
  const auto found = header_.entries.find(name);
  if (found == header_.entries.end())
    throw Error(path().string(), fmt::format("has no tensor '{}'", name));
  return found->second;
}

std::span<const std::byte> SafetensorsFile::Bytes(std::string_view name) const {
  const SafetensorsEntry& entry = Entry(name);
  return file_.bytes().subspan(header_.data_begin + entry.begin, entry.end - entry.begin);
}

ConstTensor SafetensorsFile::Get(std::string_view name) const {
  const SafetensorsEntry& entry = Entry(name);
  const SafetensorsType* type = FindSafetensorsType(entry.type);
  const std::string where = fmt::format("{}: {}", path().string(), name);
  if (!type->dtype)
    throw Error(where, fmt::format("type {} is not supported", entry.type), "F32 and BF16 are");
  if (entry.shape.size() > Shape::kMaxRank) {
    throw Error(where, fmt::format("has {} dimensions, at most {} are supported",
                                   entry.shape.size(), Shape::kMaxRank));
  }
  const std::byte* data = Bytes(name).data();
  if (reinterpret_cast<uintptr_t>(data) % static_cast<uintptr_t>(type->bytes) != 0) {
    throw Error(where,
                fmt::format("starts at byte {} of the file, which is not a multiple of {}",
                            header_.data_begin + entry.begin, type->bytes),
                "write the file again with a current version of safetensors");
  }
  return {data, *type->dtype, Shape(entry.shape)};
}

}  // namespace fathom

#include "formats/gguf_file.h"

#include <cstring>
#include <fstream>
#include <set>

#include "base/error.h"

namespace fathom {
namespace fs = std::filesystem;

void GgufMetadata::Add(GgufValue value) {
  const std::string_view key = value.key();
  const std::string where = value.where();
  if (!values_.emplace(key, std::move(value)).second) throw Error(where, "the key occurs twice");
}

const GgufValue* GgufMetadata::Find(std::string_view key) const {
  const auto found = values_.find(key);
  return found == values_.end() ? nullptr : &found->second;
}

const GgufValue& GgufMetadata::At(std::string_view key) const {
  const GgufValue* value = Find(key);
  if (value == nullptr) throw Error(file_, fmt::format("key '{}' is missing", key));
  return *value;
}

int64_t GgufTensor::elements() const {
  int64_t product = 1;
  for (const int64_t dim : dims) product *= dim;
  return product;
}

bool IsGguf(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) return false;
  char magic[4] = {};
  std::ifstream(path, std::ios::binary).read(magic, sizeof(magic));
  return std::memcmp(magic, "GGUF", sizeof(magic)) == 0;
}

GgufFile::GgufFile(const fs::path& path)
    : contents_([&] {
        files_.push_back(std::make_unique<MappedFile>(path));
        return ParseGguf(files_[0]->bytes(), path.string());
      }()) {
  OpenRest();
}

void GgufFile::OpenRest() {
  const GgufValue* count_value = metadata().Find("split.count");
  if (count_value == nullptr) return;
  const int64_t count = count_value->Int(0, 65535);
  if (count <= 1) return;
  const auto ending = [&](int64_t number) {
    return fmt::format("-{:05}-of-{:05}.gguf", number + 1, count);
  };
  const GgufValue& number = metadata().At("split.no");
  const std::string name = path().filename().string();
  if (const int64_t no = number.Int(0, count - 1); no != 0) {
    throw Error(number.where(), fmt::format("the file is number {} of {}", no + 1, count),
                fmt::format("give the first, ...{}", ending(0)));
  }
  if (!name.ends_with(ending(0))) {
    throw Error(count_value->where(),
                fmt::format("the first of {} files has to be named ...{}", count, ending(0)));
  }
  const std::string stem = name.substr(0, name.size() - ending(0).size());
  std::set<std::string_view> names;
  for (const GgufTensor& tensor : contents_.tensors) names.insert(tensor.name);
  for (int64_t i = 1; i < count; ++i) {
    const fs::path path = files_[0]->path().parent_path() / (stem + ending(i));
    files_.push_back(std::make_unique<MappedFile>(path));
    const GgufContents part = ParseGguf(files_.back()->bytes(), path.string());
    part.metadata.At("split.no").Int(i, i);
    part.metadata.At("split.count").Int(count, count);
    for (const GgufTensor& tensor : part.tensors) {
      if (!names.insert(tensor.name).second)
        throw Error(tensor.where, "another file of the split has a tensor of this name");
      contents_.tensors.push_back(tensor);
    }
  }
  if (const GgufValue* total = metadata().Find("split.tensors.count")) {
    const auto found = static_cast<int64_t>(contents_.tensors.size());
    if (const int64_t expected = total->Int(0, INT64_MAX); expected != found) {
      throw Error(total->where(), fmt::format("is {}, the files hold {} tensors", expected, found));
    }
  }
}

}  // namespace fathom

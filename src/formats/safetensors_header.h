#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/dtype.h"

namespace fathom {

// An element type of the format.
struct SafetensorsType {
  std::string_view name;       // "F32", "BF16", "F8_E4M3", ...
  int64_t bytes;               // of one element
  std::optional<DType> dtype;  // nothing when tensors are not computed in it
};
// Null when there is none of that name.
const SafetensorsType* FindSafetensorsType(std::string_view name);
std::string_view SafetensorsTypeName(DType dtype);

// One tensor of a safetensors file as its header describes it.
struct SafetensorsEntry {
  std::string type;  // one that FindSafetensorsType knows
  std::vector<int64_t> shape;
  uint64_t begin = 0, end = 0;  // bytes, from the start of the data
};

// What a file says about itself, checked whole: every tensor has the bytes that its type and shape
// need, and together they cover the data without gap or overlap.
struct SafetensorsHeader {
  std::map<std::string, SafetensorsEntry, std::less<>> entries;
  std::map<std::string, std::string> metadata;
  uint64_t data_begin = 0;  // where the data starts in the file
};

// file: the whole content, which may come from anywhere; where names it in errors. Throws Error
// when it is truncated or inconsistent.
SafetensorsHeader ParseSafetensorsHeader(std::string_view file, const std::string& where);

}  // namespace fathom

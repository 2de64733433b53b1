#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"

namespace fathom {

// The values of tests/golden/text come from Hugging Face `tokenizers`; scripts/parity/tokenizer.py
// makes them.
inline std::string GoldenText(const std::string& name) {
  return ReadFile(std::filesystem::path(FATHOM_GOLDEN_DIR) / "text" / name);
}

inline std::vector<int32_t> IdsOf(const JsonValue& array) {
  std::vector<int32_t> ids;
  for (const JsonValue& id : array.Array()) ids.push_back(static_cast<int32_t>(id.Int()));
  return ids;
}

inline std::vector<std::string> StringsOf(const JsonValue& array) {
  std::vector<std::string> strings;
  for (const JsonValue& item : array.Array()) strings.emplace_back(item.String());
  return strings;
}

}  // namespace fathom

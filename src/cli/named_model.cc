#include "cli/named_model.h"

#include <algorithm>
#include <filesystem>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "formats/gguf_file.h"
#include "formats/model_source.h"
#include "plan/architecture.h"

namespace fathom {

ModelConfig ConfigOf(const std::string& what) {
  const std::filesystem::path path = what;
  if (std::filesystem::is_directory(path) || IsGguf(path)) return ReadModelConfig(path);
  if (std::filesystem::exists(path)) return ModelConfig::FromJson(ReadFile(path), what);
  // Names have dots too.
  const std::vector<std::string> names = PublishedNames();
  const bool known = std::find(names.begin(), names.end(), what) != names.end();
  const bool looks_like_path = what.find('/') != std::string::npos || path.has_extension();
  if (!known && looks_like_path) throw Error(what, "does not exist");
  return PublishedConfig(what);
}

}  // namespace fathom

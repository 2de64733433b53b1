#pragma once

#include <span>
#include <string_view>

namespace fathom {

struct WebFile {
  // Under web/: "plan/app.js"; of what comes from the distribution, "libraries/marked.js".
  std::string_view name;
  std::string_view bytes;
};

// What the build put into the binary.
std::span<const WebFile> WebFiles();

}  // namespace fathom

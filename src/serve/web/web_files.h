#pragma once

#include <span>
#include <string_view>

namespace fathom {

struct WebFile {
  std::string_view name;  // under web/: "plan/app.js"
  std::string_view text;
};

// What the build put into the binary from web/.
std::span<const WebFile> WebFiles();

}  // namespace fathom

#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace fathom {

// "plan train"; nothing for the program itself.
inline std::string CommandPath(const CLI::App& command) {
  std::string path;
  for (const CLI::App* part = &command; part->get_parent() != nullptr; part = part->get_parent()) {
    path.insert(0, part->get_name() + (path.empty() ? "" : " "));
  }
  return path;
}

}  // namespace fathom

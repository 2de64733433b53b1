#pragma once

#include <filesystem>

#include "serve/accounts/money.h"

namespace fathom {

// What an operator may change while a server runs: the file of `fathom serve --config`.
struct ServeSettings {
  Prices prices;

  // Error for what is no such file; an empty path: the defaults.
  static ServeSettings Read(const std::filesystem::path& path);
};

}  // namespace fathom

#pragma once

#include <chrono>
#include <filesystem>

#include "serve/accounts/money.h"

namespace fathom {

// What an operator may change while a server runs: the file of `fathom serve --config`.
struct ServeSettings {
  Prices prices;
  // How long a request may wait for its first token before it is refused at once; 0: any time.
  std::chrono::duration<double> first_token{0};

  // Error for what is no such file; an empty path: the defaults.
  static ServeSettings Read(const std::filesystem::path& path);
};

}  // namespace fathom

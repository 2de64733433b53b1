#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "cli/common.h"
#include "cli/options/command.h"

namespace fathom {

// The options of a command that does what a TOML file says.
struct RunArguments {
  CommonOptions common;
  std::filesystem::path config;
  std::vector<std::string> overrides;
  bool resume = false, dry_run = false;

  // What the help says of them.
  struct Help {
    std::string file, config;  // the file's name ("RUN.toml"), and what it is
    std::string resume = "Go on from the newest checkpoint, if there is one";
    std::string dry_run = "Say what the run would take (memory, time), and stop";
  };
  void AddTo(Command command, const Help& help);
};

}  // namespace fathom

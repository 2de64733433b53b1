#pragma once

#include <memory>
#include <string>

#include "cli/options/command.h"

namespace fathom {

// The program whose commands a command line may name.
class Program {
 public:
  // With a version, --version prints it.
  Program(const std::string& name, const std::string& description, const std::string& version = "");
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  Command command() { return Command(*app_); }

  // Reads the command line and runs what it names, or prints the help or the version that it asks
  // for. Throws UsageError for a line that cannot be understood (a name that is not known comes
  // with the nearest that is), and what the command throws.
  void Run(int argc, const char* const* argv);

 private:
  std::unique_ptr<CLI::App> app_;
};

}  // namespace fathom

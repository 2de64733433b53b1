// The types that an option may set. Each takes the compiler a second, here and nowhere else.

#include <CLI/CLI.hpp>
#include <filesystem>
#include <optional>

#include "cli/options/command.h"

namespace fathom {

template <typename T>
Option Command::AddOption(const std::string& name, T& value, const std::string& description) {
  return Option(*app_->add_option(name, value, description));
}

template <typename T>
Option Command::AddFlag(const std::string& name, T& value, const std::string& description) {
  return Option(*app_->add_flag(name, value, description));
}

#define FATHOM_OPTION(Type) \
  template Option Command::AddOption(const std::string&, Type&, const std::string&)
FATHOM_OPTION(int);
FATHOM_OPTION(int64_t);
FATHOM_OPTION(uint16_t);
FATHOM_OPTION(uint64_t);
FATHOM_OPTION(double);
FATHOM_OPTION(std::string);
FATHOM_OPTION(std::filesystem::path);
FATHOM_OPTION(std::optional<int64_t>);
FATHOM_OPTION(std::optional<uint64_t>);
FATHOM_OPTION(std::optional<double>);
FATHOM_OPTION(std::optional<std::string>);
FATHOM_OPTION(std::vector<int>);
FATHOM_OPTION(std::vector<int64_t>);
FATHOM_OPTION(std::vector<std::string>);
FATHOM_OPTION(std::vector<std::filesystem::path>);
#undef FATHOM_OPTION

template Option Command::AddFlag(const std::string&, bool&, const std::string&);
template Option Command::AddFlag(const std::string&, std::optional<bool>&, const std::string&);

}  // namespace fathom

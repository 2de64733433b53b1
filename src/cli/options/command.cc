#include "cli/options/command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cli/options/size.h"

namespace fathom {
namespace {

template <typename T>
void CheckRange(CLI::Option& option, T least, T most) {
  option.check(CLI::Range(least, most).description(fmt::format("{}..{}", least, most)));
}

}  // namespace

Option& Option::Required() {
  option_->required();
  return *this;
}

Option& Option::ShowDefault() {
  option_->capture_default_str();
  return *this;
}

Option& Option::ShowDefault(const std::string& text) {
  option_->default_str(text);
  return *this;
}

Option& Option::InIntegers(int64_t least, int64_t most) {
  CheckRange(*option_, least, most);
  return *this;
}

Option& Option::InRange(double least, double most) {
  CheckRange(*option_, least, most);
  return *this;
}

Option& Option::OneOf(std::vector<std::string> choices) {
  option_->check(CLI::IsMember(std::move(choices)));
  return *this;
}

Option& Option::Delimiter(char delimiter) {
  option_->delimiter(delimiter);
  return *this;
}

Option& Option::Repeatable() {
  option_->allow_extra_args(false);
  return *this;
}

Option& Option::Excludes(Option other) {
  option_->excludes(other.option_);
  return *this;
}

Option& Option::Needs(Option other) {
  option_->needs(other.option_);
  return *this;
}

Option& Option::Group(const std::string& heading) {
  option_->group(heading);
  return *this;
}

Option& Option::TypeName(const std::string& name) {
  option_->type_name(name);
  return *this;
}

Option& Option::Describe(const std::string& description) {
  option_->description(description);
  return *this;
}

bool Option::given() const { return option_->count() > 0; }

Command Command::AddCommand(const std::string& name, const std::string& description) {
  return Command(*app_->add_subcommand(name, description));
}

Command& Command::Footer(const std::string& text) {
  app_->footer(text);
  return *this;
}

Command& Command::RequireCommand() {
  app_->require_subcommand(1);
  return *this;
}

Command& Command::OnRun(std::function<void()> run) {
  app_->callback(std::move(run));
  return *this;
}

Option Command::AddSize(const std::string& name, uint64_t& bytes, const std::string& description) {
  CLI::Option* option = app_->add_option_function<std::string>(
      name, [&bytes](const std::string& text) { bytes = ParseSize(text); }, description);
  option->type_name("SIZE")->check(CLI::Validator(SizeProblem, ""));
  return Option(*option);
}

Option Command::AddFlagThat(const std::string& name, std::function<void()> run,
                            const std::string& description) {
  return Option(*app_->add_flag_callback(name, std::move(run), description));
}

Option Command::GetOption(const std::string& name) { return Option(*app_->get_option(name)); }

}  // namespace fathom

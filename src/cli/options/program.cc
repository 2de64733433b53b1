#include "cli/options/program.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cctype>
#include <set>
#include <string_view>

#include "base/error.h"
#include "base/nearest.h"

namespace fathom {
namespace {

using Names = std::set<std::string, std::less<>>;

// "plan train"; nothing for the program itself.
std::string PathOf(const CLI::App& command) {
  std::string path;
  for (const CLI::App* part = &command; part->get_parent() != nullptr; part = part->get_parent()) {
    path.insert(0, part->get_name() + (path.empty() ? "" : " "));
  }
  return path;
}

std::vector<const CLI::App*> CommandsOf(const CLI::App& command) {
  return command.get_subcommands([](const CLI::App*) { return true; });
}

[[noreturn]] void UnknownName(const CLI::App& command, const char* kind, std::string_view name,
                              const Names& known) {
  throw UsageError(PathOf(command), fmt::format("there is no {} '{}'", kind, name),
                   NearestHint(name, known, "--help lists what there is"));
}

Names CommandNames(const CLI::App& command) {
  Names names;
  for (const CLI::App* part : CommandsOf(command)) names.insert(part->get_name());
  return names;
}

Names OptionNames(const CLI::App& command) {
  Names names;
  for (const CLI::Option* option : command.get_options()) {
    if (option->get_group().empty()) continue;  // not for users
    for (const std::string& name : option->get_lnames()) names.insert("--" + name);
  }
  return names;
}

// Whatever else is wrong with the line than a command or an option that there is none of, parsing
// says.
void CheckNames(const CLI::App& app, int argc, const char* const* argv) {
  const CLI::App* command = &app;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--") return;
    // A minus before a digit is a number's.
    if (word.size() > 1 && word[0] == '-' && std::isalpha(word[word[1] == '-' ? 2 : 1]) != 0) {
      const size_t equals = word.find('=');
      const std::string name = word.substr(0, equals);
      const CLI::Option* option = command->get_option_no_throw(name);
      if (option == nullptr) UnknownName(*command, "option", name, OptionNames(*command));
      // Its values, whatever they look like.
      if (equals == std::string::npos) i += option->get_items_expected_min();
      continue;
    }
    const auto found =
        command->get_subcommands([&](const CLI::App* part) { return part->get_name() == word; });
    if (!found.empty()) {
      command = found.front();
    } else if (command->get_require_subcommand_min() > 0) {
      UnknownName(*command, "command", word, CommandNames(*command));
    }
  }
}

// The command that the parser got to.
const CLI::App& LastCommand(const CLI::App& app) {
  const CLI::App* last = &app;
  while (!last->get_subcommands().empty()) last = last->get_subcommands().front();
  return *last;
}

// The parser's message as ours are.
UsageError Explained(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App& command = LastCommand(app);
  const std::string where = PathOf(command);
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
    const std::vector<std::string> left = app.remaining(/*recurse=*/true);
    if (!left.empty()) {
      return UsageError(where, fmt::format("nothing is known to do with '{}'", left[0]),
                        "--help says what it takes");
    }
  }
  const bool wants_command =
      dynamic_cast<const CLI::RequiredError*>(&error) != nullptr && !CommandsOf(command).empty();
  if (wants_command) return UsageError(where, "which command?", "--help lists them");
  return UsageError(where, error.what(), "--help says more");
}

}  // namespace

Program::Program(const std::string& name, const std::string& description,
                 const std::string& version)
    : app_(std::make_unique<CLI::App>(description, name)) {
  if (!version.empty()) app_->set_version_flag("--version", version);
}

Program::~Program() = default;

void Program::Run(int argc, const char* const* argv) {
  CheckNames(*app_, argc, argv);
  try {
    app_->parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != 0) throw Explained(*app_, error);
    app_->exit(error);  // --help, --version
  }
}

}  // namespace fathom

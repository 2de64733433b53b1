#pragma once

// The command line. CLI11 does the work; it is a header of templates that takes a compiler seconds,
// so that it stays behind these handles, in command.cc and value.cc.

#include <concepts>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace fathom {

// A handle of an option, or of a positional argument; its command owns it.
class Option {
 public:
  explicit Option(CLI::Option& option) : option_(&option) {}

  Option& Required();
  // The help says what the variable held when the option was added.
  Option& ShowDefault();
  Option& ShowDefault(const std::string& text);
  // Both ends belong to it.
  template <std::integral Least, std::integral Most>
  Option& InRange(Least least, Most most) {
    return InIntegers(static_cast<int64_t>(least), static_cast<int64_t>(most));
  }
  Option& InRange(double least, double most);
  Option& OneOf(std::vector<std::string> choices);
  // One of the keys.
  template <typename T>
  Option& OneOf(const std::map<std::string, T>& choices) {
    std::vector<std::string> names;
    for (const auto& choice : choices) names.push_back(choice.first);
    return OneOf(std::move(names));
  }
  // Of a list: the values are separated by it.
  Option& Delimiter(char delimiter);
  // Of a list: takes one value at a time, and may be given again.
  Option& Repeatable();
  Option& Excludes(Option other);
  Option& Needs(Option other);
  // The heading of the help that it stands under.
  Option& Group(const std::string& heading);
  Option& Hidden() { return Group(""); }
  // What stands for the value in the help.
  Option& TypeName(const std::string& name);
  Option& Describe(const std::string& description);

  // Whether the command line had it.
  bool given() const;

 private:
  Option& InIntegers(int64_t least, int64_t most);

  CLI::Option* option_;
};

// A handle of a command ("train"), of a command of a command ("plan train") or of the program
// itself; the Program owns it.
class Command {
 public:
  explicit Command(CLI::App& app) : app_(&app) {}

  Command AddCommand(const std::string& name, const std::string& description);
  // What the help ends with.
  Command& Footer(const std::string& text);
  // One of its commands has to be given.
  Command& RequireCommand();
  // What it does, when the line has been read.
  Command& OnRun(std::function<void()> run);

  // "--name" with a value, or "NAME", a positional argument. The value goes into the variable,
  // which has to live until the command has run: a bool, int, int64_t, uint16_t, uint64_t, double,
  // std::string, path, an std::optional or a std::vector of them (the list in value.cc).
  template <typename T>
  Option AddOption(const std::string& name, T& value, const std::string& description = "");
  // So many bytes: 4096, 500MB, 2GiB. KB, MB, ... are powers of 1000 and KiB, MiB, ... those of
  // 1024, and none at all is refused.
  Option AddSize(const std::string& name, uint64_t& bytes, const std::string& description);
  // "--name" without a value; "--name,!--other" also has one that says the opposite.
  template <typename T>
  Option AddFlag(const std::string& name, T& value, const std::string& description);
  Option AddFlagThat(const std::string& name, std::function<void()> run,
                     const std::string& description);
  // One that was added.
  Option GetOption(const std::string& name);

 private:
  CLI::App* app_;
};

}  // namespace fathom

#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace fathom {

// One named input of a `fathom plan` command: what its command line, a request in JSON, a link and
// a slider are made of.
struct PlanOption {
  enum class Kind : uint8_t {
    kNumber,
    kInteger,
    kFlag,    // true or false
    kChoice,  // one of `choices`
    kName,    // one of `choices`, or another that a data file adds
    kModel,   // as kName, or the path of a model or its config.json, or the text of a config.json
    kText,
    kFile,  // a path; refused where options come from elsewhere
  };
  std::string name;
  Kind kind = Kind::kNumber;
  std::string help;
  std::string unit = {};       // of numbers: "tokens", "$ per hour", "1"
  double least = 0, most = 0;  // of numbers
  std::string fallback = {};   // as text; empty: what the model or the data say
  // Of numbers without a fallback: what the built-in data say, to begin a slider at.
  std::optional<double> likely = {};
  std::vector<std::string> choices = {};
  bool positional = false;  // on the command line
  std::string group = {};   // that it is shown in; empty: first, with what is asked most
};

// Whether the value of a kModel is the text of a config.json.
bool IsConfigText(std::string_view model);

struct PlanCommand {
  std::string name, help, example;
  std::vector<PlanOption> options;

  const PlanOption* Find(std::string_view option) const;
};

// Every command that makes a report of options, in the order of the help.
const std::vector<PlanCommand>& PlanCommands();
// Throws UsageError with the nearest known name.
const PlanCommand& PlanCommandNamed(std::string_view name);
// The table above as JSON, for pages that build their controls from it: {"commands": [{"name",
// "help", "example", "options": [{"name", "kind", "help", "unit", "least", "most", "default",
// "likely", "choices", "group"}]}]}; without what only the command line has (files).
std::string PlanCommandsJson();

// A scenario: a command and the options that were given, each checked when it is set. All that
// goes wrong is a UsageError that names the option.
class PlanOptions {
 public:
  // Whether options may name files of this machine.
  enum class Source : uint8_t { kCommandLine, kRemote };

  explicit PlanOptions(const PlanCommand& command, Source source = Source::kCommandLine)
      : command_(&command), source_(source) {}
  // {"command": "train", "options": {"model": "v3", "devices": 2048}}. Numbers, strings and
  // booleans; null is not given. Untrusted.
  static PlanOptions FromJson(std::string_view json);
  // "train?model=v3&devices=2048", percent-encoded. Untrusted.
  static PlanOptions FromLink(std::string_view link);
  std::string ToLink() const;

  void Set(std::string_view name, std::string_view text);

  const PlanCommand& command() const { return *command_; }
  Source source() const { return source_; }
  bool Given(std::string_view name) const;
  // Whether any was given that is not its fallback, but those of `names`.
  bool AnyGivenBut(const std::vector<std::string_view>& names) const;

  // What was given, or the fallback; nothing when there is neither.
  std::optional<double> OptionalNumber(std::string_view name) const;
  std::optional<int64_t> OptionalInteger(std::string_view name) const;
  std::optional<std::string> OptionalText(std::string_view name) const;
  // Of options that have a fallback.
  double Number(std::string_view name) const;
  int64_t Integer(std::string_view name) const;
  std::string Text(std::string_view name) const;
  bool Flag(std::string_view name) const;

 private:
  const PlanOption& Option(std::string_view name) const;

  const PlanCommand* command_;
  Source source_;
  std::map<std::string, std::string, std::less<>> given_;
};

}  // namespace fathom

#include "plan/options.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/nearest.h"
#include "plan/commands.h"
#include "plan/units.h"

namespace fathom {
namespace {

using Kind = PlanOption::Kind;
constexpr size_t kLongestText = 4096;

std::string Bound(double bound) {
  return bound == std::floor(bound) && bound < 1e9 ? FormatNumber(bound)
                                                   : fmt::format("{:g}", bound);
}

double ParseNumber(const PlanOption& option, std::string_view text) {
  double number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || rest != end || !std::isfinite(number)) {
    throw UsageError(option.name, fmt::format("'{}' is not a number", text));
  }
  if (number < option.least || number > option.most) {
    throw UsageError(option.name, fmt::format("{} is not between {} and {}{}{}", text,
                                              Bound(option.least), Bound(option.most),
                                              option.unit.empty() || option.unit == "1" ? "" : " ",
                                              option.unit == "1" ? "" : option.unit));
  }
  return number;
}

[[noreturn]] void Unknown(std::string_view field, std::string_view value,
                          const std::vector<std::string>& known) {
  throw UsageError(field, fmt::format("'{}' is not known", value),
                   NearestHint(value, {known.begin(), known.end()},
                               fmt::format("known are {}", fmt::join(known, ", "))));
}

void Check(const PlanOption& option, std::string_view text, PlanOptions::Source source) {
  const bool remote = source == PlanOptions::Source::kRemote;
  if (text.size() > kLongestText) {
    throw UsageError(option.name, fmt::format("is longer than {} bytes", kLongestText));
  }
  switch (option.kind) {
    case Kind::kNumber:
      ParseNumber(option, text);
      return;
    case Kind::kInteger:
      if (const double number = ParseNumber(option, text); number != std::floor(number)) {
        throw UsageError(option.name, fmt::format("{} is not a whole number", text));
      }
      return;
    case Kind::kFlag:
      if (text != "true" && text != "false") {
        throw UsageError(option.name, fmt::format("'{}' is neither true nor false", text));
      }
      return;
    case Kind::kFile:
      if (remote) throw UsageError(option.name, "files are for the command line only");
      return;
    case Kind::kChoice:
    case Kind::kName:
    case Kind::kModel:
      if (std::find(option.choices.begin(), option.choices.end(), text) != option.choices.end()) {
        return;
      }
      if (option.kind == Kind::kModel && IsConfigText(text)) return;  // read when it is used
      if (option.kind == Kind::kChoice || remote) Unknown(option.name, text, option.choices);
      return;
    case Kind::kText:
      return;
  }
}

const char* Name(Kind kind) {
  switch (kind) {
    case Kind::kNumber:
      return "number";
    case Kind::kInteger:
      return "integer";
    case Kind::kFlag:
      return "flag";
    case Kind::kChoice:
    case Kind::kName:
    case Kind::kModel:
      return "choice";
    case Kind::kText:
      return "text";
    case Kind::kFile:
      return "file";
  }
  return "";
}

std::string PercentEncode(std::string_view text) {
  std::string encoded;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~' || c == ',' || c == ':';
    encoded += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return encoded;
}

std::string PercentDecode(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i] == '+' ? ' ' : text[i];
      continue;
    }
    unsigned byte = 0;
    const char* first = text.data() + i + 1;
    if (i + 2 >= text.size() || std::from_chars(first, first + 2, byte, 16).ptr != first + 2) {
      throw UsageError("link", fmt::format("byte {} begins no percent-encoded byte", i));
    }
    decoded += static_cast<char>(byte);
    i += 2;
  }
  return decoded;
}

}  // namespace

bool IsConfigText(std::string_view model) { return model.starts_with('{'); }

const PlanOption* PlanCommand::Find(std::string_view option) const {
  for (const PlanOption& candidate : options) {
    if (candidate.name == option) return &candidate;
  }
  return nullptr;
}

const std::vector<PlanCommand>& PlanCommands() {
  static const std::vector<PlanCommand> kCommands = {TrainCommand(), ServeCommand(), PriceCommand(),
                                                     FleetCommand(), MarketCommand()};
  return kCommands;
}

const PlanCommand& PlanCommandNamed(std::string_view name) {
  std::vector<std::string> known;
  for (const PlanCommand& command : PlanCommands()) {
    if (command.name == name) return command;
    known.push_back(command.name);
  }
  Unknown("command", name, known);
}

std::string PlanCommandsJson() {
  using nlohmann::ordered_json;
  ordered_json json;
  json["commands"] = ordered_json::array();
  for (const PlanCommand& command : PlanCommands()) {
    ordered_json options = ordered_json::array();
    for (const PlanOption& option : command.options) {
      if (option.kind == Kind::kFile) continue;
      ordered_json& out = options.emplace_back(
          ordered_json{{"name", option.name}, {"kind", Name(option.kind)}, {"help", option.help}});
      if (option.kind == Kind::kNumber || option.kind == Kind::kInteger) {
        out["unit"] = option.unit;
        out["least"] = option.least;
        out["most"] = option.most;
      }
      if (!option.fallback.empty()) out["default"] = option.fallback;
      if (option.likely) out["likely"] = *option.likely;
      if (!option.choices.empty()) out["choices"] = option.choices;
      if (!option.group.empty()) out["group"] = option.group;
    }
    json["commands"].push_back({{"name", command.name},
                                {"help", command.help},
                                {"example", command.example},
                                {"options", std::move(options)}});
  }
  return json.dump(2) + "\n";
}

PlanOptions PlanOptions::FromJson(std::string_view text) {
  const JsonDocument document(text, "request");
  const JsonValue& root = document.root();
  for (const auto& [key, value] : root.Object()) {
    if (key != "command" && key != "options") {
      throw UsageError(key, "is not a member of a request", "it has command and options");
    }
  }
  PlanOptions options(PlanCommandNamed(root.At("command").String()), Source::kRemote);
  const std::optional<JsonValue> members = root.Find("options");
  if (!members) return options;
  for (const auto& [key, value] : members->Object()) {
    if (value.IsNull()) continue;
    options.Set(key, value.IsString() ? std::string(value.String()) : value.Minified());
  }
  return options;
}

PlanOptions PlanOptions::FromLink(std::string_view link) {
  const size_t question = link.find('?');
  PlanOptions options(PlanCommandNamed(PercentDecode(link.substr(0, question))), Source::kRemote);
  std::string_view rest = question == std::string_view::npos ? "" : link.substr(question + 1);
  while (!rest.empty()) {
    const size_t end = rest.find('&');
    const std::string_view pair = rest.substr(0, end);
    rest = end == std::string_view::npos ? "" : rest.substr(end + 1);
    if (pair.empty()) continue;
    const size_t equals = pair.find('=');
    options.Set(PercentDecode(pair.substr(0, equals)),
                equals == std::string_view::npos ? "true" : PercentDecode(pair.substr(equals + 1)));
  }
  return options;
}

std::string PlanOptions::ToLink() const {
  std::string link = command_->name;
  char separator = '?';
  for (const auto& [name, text] : given_) {
    link += fmt::format("{}{}={}", separator, PercentEncode(name), PercentEncode(text));
    separator = '&';
  }
  return link;
}

const PlanOption& PlanOptions::Option(std::string_view name) const {
  const PlanOption* option = command_->Find(name);
  FATHOM_CHECK(option != nullptr, "{} has no option {}", command_->name, name);
  return *option;
}

void PlanOptions::Set(std::string_view name, std::string_view text) {
  const PlanOption* option = command_->Find(name);
  if (option == nullptr) {
    std::vector<std::string> known;
    for (const PlanOption& candidate : command_->options) known.push_back(candidate.name);
    Unknown(fmt::format("option of {}", command_->name), name, known);
  }
  Check(*option, text, source_);
  given_.insert_or_assign(std::string(name), std::string(text));
}

bool PlanOptions::Given(std::string_view name) const { return given_.contains(name); }

bool PlanOptions::AnyGivenBut(const std::vector<std::string_view>& names) const {
  return std::any_of(given_.begin(), given_.end(), [&](const auto& given) {
    return std::find(names.begin(), names.end(), given.first) == names.end() &&
           given.second != Option(given.first).fallback;
  });
}

std::optional<std::string> PlanOptions::OptionalText(std::string_view name) const {
  const PlanOption& option = Option(name);
  if (const auto found = given_.find(name); found != given_.end()) return found->second;
  if (!option.fallback.empty()) return option.fallback;
  return std::nullopt;
}

std::optional<double> PlanOptions::OptionalNumber(std::string_view name) const {
  const auto text = OptionalText(name);
  if (!text) return std::nullopt;
  return ParseNumber(Option(name), *text);
}

std::optional<int64_t> PlanOptions::OptionalInteger(std::string_view name) const {
  const auto number = OptionalNumber(name);
  if (!number) return std::nullopt;
  return static_cast<int64_t>(*number);
}

double PlanOptions::Number(std::string_view name) const { return *OptionalNumber(name); }
int64_t PlanOptions::Integer(std::string_view name) const { return *OptionalInteger(name); }
std::string PlanOptions::Text(std::string_view name) const { return *OptionalText(name); }
bool PlanOptions::Flag(std::string_view name) const { return OptionalText(name) == "true"; }

}  // namespace fathom

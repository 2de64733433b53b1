#include "plan/option_makers.h"

#include <algorithm>

#include "plan/architecture.h"
#include "plan/hardware.h"

namespace fathom {

using Kind = PlanOption::Kind;

PlanOption NumberOption(const char* name, const char* unit, double least, double most,
                        const char* fallback, const char* help) {
  return {.name = name,
          .kind = Kind::kNumber,
          .help = help,
          .unit = unit,
          .least = least,
          .most = most,
          .fallback = fallback};
}

PlanOption IntegerOption(const char* name, const char* unit, double least, double most,
                         const char* fallback, const char* help) {
  PlanOption option = NumberOption(name, unit, least, most, fallback, help);
  option.kind = Kind::kInteger;
  return option;
}

PlanOption ChoiceOption(const char* name, std::vector<std::string> choices, const char* fallback,
                        const char* help) {
  return {.name = name,
          .kind = Kind::kChoice,
          .help = help,
          .fallback = fallback,
          .choices = std::move(choices)};
}

PlanOption NameOption(const char* name, std::vector<std::string> choices, const char* fallback,
                      const char* help) {
  PlanOption option = ChoiceOption(name, std::move(choices), fallback, help);
  option.kind = Kind::kName;
  return option;
}

PlanOption FlagOption(const char* name, const char* help) {
  return {.name = name, .kind = Kind::kFlag, .help = help, .fallback = "false"};
}

PlanOption TextOption(const char* name, const char* fallback, const char* help) {
  return {.name = name, .kind = Kind::kText, .help = help, .fallback = fallback};
}

PlanOption FileOption(const char* name, const char* help) {
  return {.name = name, .kind = Kind::kFile, .help = help};
}

PlanOption ModelOption() {
  return {.name = "model",
          .kind = Kind::kModel,
          .help =
              "A preset, a published model or the text of a config.json (in a terminal also a "
              "model directory, a .gguf file or a config.json)",
          .fallback = "v3",
          .choices = PublishedNames(),
          .positional = true};
}

void AddHardwareAndSampling(std::vector<PlanOption>& options) {
  options.push_back(
      FileOption("hardware", "A TOML file whose numbers replace or add to the built-in ones"));
  options.push_back(
      IntegerOption("samples", "samples", 0, 5000, "400",
                    "Samples that the intervals are made of; 0: no intervals, no drivers"));
  options.push_back(IntegerOption("seed", "1", 0, 1e15, "1", "Seed of the samples"));
}

PlanOption DeviceOption() {
  return NameOption("on", KeysOf(Hardware::Load().devices), "h800", "The accelerator");
}

PlanOption RentOption() {
  return NumberOption("rent", "$ per hour", 0, 1e5, "",
                      "Rent of an accelerator, not the built-in one");
}

PlanOption PriceFileOption() {
  return FileOption("prices", "A TOML file whose prices replace or add to the built-in ones");
}

void SetGroup(PlanCommand& command, const char* group,
              std::initializer_list<std::string_view> names) {
  for (PlanOption& option : command.options) {
    if (std::find(names.begin(), names.end(), option.name) != names.end()) option.group = group;
  }
}

void SetCommonGroups(PlanCommand& command) {
  SetGroup(command, "Samples of the intervals", {"samples", "seed"});
  for (PlanOption& option : command.options) {
    if (option.kind == Kind::kFile && option.group.empty()) option.group = "Data files";
  }
}

void SetLikely(PlanCommand& command,
               std::initializer_list<std::pair<const char*, const SourcedValue&>> values) {
  for (PlanOption& option : command.options) {
    for (const auto& [name, value] : values) {
      if (option.name == name) option.likely = value.likely;
    }
  }
}

void SetLikely(PlanCommand& command, const Service& s) {
  SetLikely(command, {{"speed", s.user_tokens_per_s},
                      {"context", s.mean_context},
                      {"prefill-devices", s.prefill_devices},
                      {"decode-devices", s.decode_devices},
                      {"acceptance", s.mtp_acceptance},
                      {"input-tokens", s.input_tokens},
                      {"output-tokens", s.output_tokens},
                      {"peak-demand", s.demand_peak_to_mean},
                      {"night-demand", s.demand_night_to_peak},
                      {"burst", s.burst},
                      {"hold", s.hold_hours},
                      {"refusals", s.refusals},
                      {"answer-tokens", s.answer_tokens},
                      {"redundant-experts", s.redundant_experts},
                      {"hit-rate", GivenValue(s.hit_rate(), "hit-rate")}});
}

}  // namespace fathom

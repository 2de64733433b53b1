#pragma once

// What the tables of options are written with. Help is a phrase of its own: it stands beside the
// option's name in a terminal and below it on the page.

#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plan/options.h"
#include "plan/serving.h"
#include "plan/sourced_value.h"

namespace fathom {

PlanOption NumberOption(const char* name, const char* unit, double least, double most,
                        const char* fallback, const char* help);
PlanOption IntegerOption(const char* name, const char* unit, double least, double most,
                         const char* fallback, const char* help);
PlanOption ChoiceOption(const char* name, std::vector<std::string> choices, const char* fallback,
                        const char* help);
// As Choice; data files may add to the choices.
PlanOption NameOption(const char* name, std::vector<std::string> choices, const char* fallback,
                      const char* help);
PlanOption FlagOption(const char* name, const char* help);
PlanOption TextOption(const char* name, const char* fallback, const char* help);
PlanOption FileOption(const char* name, const char* help);
PlanOption ModelOption();
PlanOption DeviceOption();
PlanOption RentOption();
PlanOption PriceFileOption();
// --hardware, --samples and --seed.
void AddHardwareAndSampling(std::vector<PlanOption>& options);

template <typename T>
std::vector<std::string> KeysOf(const std::map<std::string, T, std::less<>>& map) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : map) keys.push_back(key);
  return keys;
}

void SetGroup(PlanCommand& command, const char* group,
              std::initializer_list<std::string_view> names);
// Of samples, and of files that have no group yet.
void SetCommonGroups(PlanCommand& command);
inline constexpr const char* kDemandGroup = "Demand over the day";

// Where sliders of options without a fallback begin.
void SetLikely(PlanCommand& command,
               std::initializer_list<std::pair<const char*, const SourcedValue&>> values);
// What commands that serve share.
void SetLikely(PlanCommand& command, const Service& service);

}  // namespace fathom

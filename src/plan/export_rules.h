#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plan/hardware.h"

namespace fathom {

// Who may sell what to China on which day, as src/plan/data/rules.toml describes it.
class ExportRules {
 public:
  enum class Verdict : uint8_t { kFree, kCaseByCase, kLicence };
  struct Answer {
    Verdict verdict = Verdict::kFree;
    std::string why;     // the rule and what it measured; empty when free
    std::string source;  // of the rule
  };

  static ExportRules Load(const std::optional<std::filesystem::path>& over = {});

  bool Knows(const Accelerator& device) const { return devices_.contains(device.key); }
  // day: YYYY-MM-DD. A device that the data says nothing about is an Error that names it.
  Answer Check(const Accelerator& device, std::string_view day) const;

 private:
  struct Device {
    double link = 0, die = 0;
    bool domestic = false;
  };
  struct Condition {
    double tpp = 0, density = 0, link = 0, memory = 0, memory_and_link = 0;
  };
  struct Rule {
    std::string name, from, until, source;
    Verdict verdict = Verdict::kLicence;
    std::vector<Condition> conditions;
    bool eases = false;
    double below_tpp = 0, below_memory = 0;
  };
  void Read(std::string_view text, const std::string& where);

  std::map<std::string, Device, std::less<>> devices_;
  std::vector<Rule> rules_;
};

// Throws UsageError naming `field` unless the text is a day, YYYY-MM-DD.
void CheckDay(std::string_view field, std::string_view text);

// Operations a second (10^12) times bits of an operand, the largest over the device's formats.
double TotalProcessingPerformance(const Accelerator& device);

}  // namespace fathom

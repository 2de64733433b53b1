#include "plan/export_rules.h"

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "plan/built_in_data.h"

namespace fathom {

void CheckDay(std::string_view field, std::string_view text) {
  bool fits = text.size() == 10;
  for (size_t i = 0; fits && i < text.size(); ++i) {
    fits = i == 4 || i == 7 ? text[i] == '-' : text[i] >= '0' && text[i] <= '9';
  }
  if (fits) {
    const int month = (text[5] - '0') * 10 + text[6] - '0',
              day = (text[8] - '0') * 10 + text[9] - '0';
    fits = month >= 1 && month <= 12 && day >= 1 && day <= 31;
  }
  if (!fits) throw UsageError(field, fmt::format("'{}' is not a day", text), "write YYYY-MM-DD");
}

double TotalProcessingPerformance(const Accelerator& device) {
  double most = device.bf16_tflops.likely * 16;
  if (device.fp8_tflops) most = std::max(most, device.fp8_tflops->likely * 8);
  if (device.int8_tops) most = std::max(most, device.int8_tops->likely * 8);
  return most;
}

void ExportRules::Read(std::string_view text, const std::string& where) {
  const toml::table parsed = ParseToml(text, where, {});
  TomlTable file(&parsed, where);
  constexpr double kMost = 1e9;
  TomlTable devices = file.Table("device");
  for (const std::string& key : devices.Names()) {
    TomlTable table = devices.Table(key);
    for (const char* part : {"link_gb_per_s", "die_mm2", "maker", "source", "date"}) {
      table.Require(part);
    }
    Device device{.link = table.Number("link_gb_per_s", 0, 0, kMost),
                  .die = table.Number("die_mm2", 0, 1, kMost),
                  .domestic = table.Choice("maker", "us", {"us", "china"}) == "china"};
    table.String("source", "");
    table.String("date", "");
    table.Finish();
    devices_.insert_or_assign(key, device);
  }
  for (TomlTable& table : file.Tables("rule")) {
    for (const char* part : {"name", "from", "verdict", "source"}) table.Require(part);
    Rule rule{.name = table.String("name", ""),
              .from = table.String("from", ""),
              .until = table.String("until", "9999-12-31"),
              .source = table.String("source", "")};
    CheckDay(table.PathOf("from"), rule.from);
    CheckDay(table.PathOf("until"), rule.until);
    rule.verdict = table.Choice("verdict", "", {"licence", "case-by-case"}) == "licence"
                       ? Verdict::kLicence
                       : Verdict::kCaseByCase;
    rule.eases = table.Bool("eases", false);
    if (rule.eases) {
      TomlTable below = table.Table("below");
      rule.below_tpp = below.Number("tpp", kMost, 0, kMost);
      rule.below_memory = below.Number("memory_gb_per_s", kMost, 0, kMost);
      below.Finish();
    }
    for (TomlTable& entry : table.Tables("conditions")) {
      Condition condition{.tpp = entry.Number("tpp", 0, 0, kMost),
                          .density = entry.Number("density", 0, 0, kMost),
                          .link = entry.Number("link_gb_per_s", 0, 0, kMost),
                          .memory = entry.Number("memory_gb_per_s", 0, 0, kMost),
                          .memory_and_link = entry.Number("memory_and_link_gb_per_s", 0, 0, kMost)};
      entry.Finish();
      rule.conditions.push_back(condition);
    }
    table.Finish();
    rules_.push_back(std::move(rule));
  }
  file.Finish();
}

ExportRules ExportRules::Load(const std::optional<std::filesystem::path>& over) {
  ExportRules rules;
  rules.Read(BuiltInData("rules"), "built-in rules.toml");
  if (over) rules.Read(ReadFile(*over), over->string());
  return rules;
}

ExportRules::Answer ExportRules::Check(const Accelerator& device, std::string_view day) const {
  CheckDay("date", day);
  const auto found = devices_.find(device.key);
  if (found == devices_.end()) {
    throw Error("export rules", fmt::format("say nothing of {}", device.key),
                "give its links, die and maker in a rules file");
  }
  const Device& known = found->second;
  Answer answer;
  if (known.domestic) return answer;
  const double tpp = TotalProcessingPerformance(device), density = tpp / known.die,
               memory = device.hbm_gb_per_s.likely;
  for (const Rule& rule : rules_) {
    if (day < rule.from || day >= rule.until) continue;
    const bool caught =
        std::any_of(rule.conditions.begin(), rule.conditions.end(), [&](const Condition& c) {
          return tpp >= c.tpp && density >= c.density && known.link >= c.link &&
                 memory >= c.memory && memory + known.link >= c.memory_and_link;
        });
    if (rule.eases) {
      if (answer.verdict == Verdict::kLicence && tpp < rule.below_tpp &&
          memory < rule.below_memory) {
        answer = {rule.verdict, fmt::format("{} (TPP {:.0f})", rule.name, tpp), rule.source};
      }
    } else if (caught && rule.verdict > answer.verdict) {
      answer = {rule.verdict,
                fmt::format("{} (TPP {:.0f}, {:.2f} a mm2, links {:.0f} GB/s, memory {:.0f} GB/s)",
                            rule.name, tpp, density, known.link, memory),
                rule.source};
    }
  }
  return answer;
}

}  // namespace fathom

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/error.h"
#include "plan/device_inputs.h"
#include "plan/fleet_inference.h"
#include "plan/intervals.h"
#include "plan/published.h"
#include "plan/scenarios.h"

namespace fathom {
namespace {

constexpr double kHoursOfYear = 8766;

void AddInventory(const FleetScenario& s, Report& report) {
  ReportSection& section = report.sections.emplace_back(ReportSection{"inventory", {}});
  double total = 0;
  for (size_t i = 0; i < s.items.size(); ++i) {
    const FleetScenario::Item& item = s.items[i];
    total += item.count;
    std::string note = item.day.empty() ? "" : fmt::format("bought {}: ", item.day);
    if (!item.day.empty()) note += ExportVerdict(s, item);
    section.AddNumber(fmt::format("{}_{}", item.device.key, i), item.device.name, item.count, 0,
                      Origin::kInput, note, "devices");
  }
  section.AddNumber("total", "all", total, 0, Origin::kInput, "", "devices");
}

struct FleetMoney {
  Dollars capital, operating;  // operating: over its years
  Dollars yearly;              // capital in equal parts over the years, and operating
  bool complete = true;        // every device has a price
};

FleetMoney MoneyOf(const FleetScenario& s) {
  FleetMoney money;
  const double years = s.fleet.operating_years.likely;
  for (const FleetScenario::Item& item : s.items) {
    if (!item.money) {
      money.complete = false;
      continue;
    }
    const auto& in = item.money->inputs();
    const OwnedHour hour = item.money->LikelyHour();
    const double hours = kHoursOfYear * years * in[Money::kAvailable].likely;
    money.capital += item.count * Dollars(in[Money::kPrice].likely);
    money.operating += item.count * hours * (hour.electricity + hour.colocation + hour.upkeep);
  }
  money.yearly = (money.capital + money.operating) / years;
  return money;
}

void AddMoney(const FleetScenario& s, Report& report) {
  const FleetMoney money = MoneyOf(s);
  const Fleet::Published& p = s.fleet.published;
  ReportSection& section = report.sections.emplace_back(ReportSection{"what it costs", {}});
  const std::string part = money.complete ? "" : "; devices without a known price are not in it";
  const auto against = [&](Dollars value, const SourcedValue& published) {
    return s.compare_with_published ? Against(published, value.value(), "USD") : "";
  };
  section.Add("capital", "servers", money.capital, Origin::kPrediction,
              (s.compare_with_published
                   ? "prices are back-solved from the published total: an identity, not a check"
                   : "") +
                  part);
  section.Add(
      "operating", fmt::format("operating it for {:g} years", s.fleet.operating_years.likely),
      money.operating, Origin::kPrediction, against(money.operating, p.v2_operating) + part);
  section.Add("yearly", "a year of servers and operating", money.yearly, Origin::kPrediction,
              against(money.yearly, p.v2_yearly) + part);
}

void AddPublished(const FleetScenario& s, Report& report) {
  const Fleet::Published& p = s.fleet.published;
  const double years = s.fleet.operating_years.likely;
  const Origin identity = Origin::kIdentity;
  ReportSection& first = report.sections.emplace_back(
      ReportSection{"published version 1 (the article: 50,000 GPUs)", {}});
  first.Add("capital", "servers", Dollars(p.v1_capital.likely), Origin::kInput, Cite(p.v1_capital));
  first.Add("operating", "operating", Dollars(p.v1_operating.likely), Origin::kInput,
            Cite(p.v1_operating));
  first.Add("per_device", "servers, a device of 50,000", Dollars(p.v1_capital.likely / 50000),
            identity, "A100, H20 and H800 columns: 10,000 + 30,000 + 10,000");
  first.Add("operating_hour", "operating, a device and hour",
            Dollars(p.v1_operating.likely / 50000 / years / kHoursOfYear), identity,
            "if it is over four years, as in version 2");
  ReportSection& second = report.sections.emplace_back(
      ReportSection{"published version 2 (corrected: 60,000 GPUs)", {}});
  second.Add("capital", "servers", Dollars(p.v2_capital.likely), Origin::kInput,
             Cite(p.v2_capital));
  second.Add("operating", "operating, four years", Dollars(p.v2_operating.likely), Origin::kInput,
             Cite(p.v2_operating));
  second.Add("yearly", "a year of servers and operating",
             Dollars((p.v2_capital.likely + p.v2_operating.likely) / years), identity,
             PublishedAs(p.v2_yearly, "USD"));
  ReportSection& difference =
      report.sections.emplace_back(ReportSection{"the difference, back-solved", {}});
  const double capital = p.v2_capital.likely - p.v1_capital.likely,
               operating = p.v2_operating.likely - p.v1_operating.likely;
  difference.AddText("why", "why",
                     "version 1's total sums three of the table's four columns; what it lacks is "
                     "taken to be the H100 column");
  difference.Add("h100_capital", "servers of 10,000 H100", Dollars(capital), identity,
                 fmt::format("back-solved: ${:.0f} a device", capital / 10000));
  difference.Add("h100_operating", "operating them", Dollars(operating), identity,
                 fmt::format("back-solved: ${:.2f} a device and hour",
                             operating / 10000 / years / kHoursOfYear));
  difference.Add("a100_capital", "servers of 10,000 A100",
                 Dollars(p.v2_capital.likely - p.v2_hopper_capital.likely), identity,
                 "back-solved: what Hoppers leave of $1.6 B");
}

void AddSplit(const FleetScenario& s, Report& report) {
  const double other =
      1 - s.fleet.research.likely - s.fleet.training.likely - s.fleet.inference.likely;
  const std::array<std::pair<const char*, double>, 4> workloads = {
      {{"research", s.fleet.research.likely},
       {"training", s.fleet.training.likely},
       {"inference", s.fleet.inference.likely},
       {"other", other}}};
  ReportTable table{.name = "devices by site and workload",
                    .note = "shares are assumptions: nothing published says how a fleet is split"};
  for (const FleetScenario::Item& item : s.items) {
    table.columns.push_back({item.device.key, item.device.name, "1"});
  }
  table.columns.push_back({"total", "all", "1"});
  for (const FleetScenario::Site& site : s.sites) {
    for (const auto& [name, share] : workloads) {
      table.labels.push_back(fmt::format("{}, {}", site.name, name));
      std::vector<double>& row = table.rows.emplace_back();
      double total = 0;
      for (const FleetScenario::Item& item : s.items) {
        row.push_back(std::round(item.count * site.share * share));
        total += row.back();
      }
      row.push_back(total);
    }
  }
  report.tables.push_back(std::move(table));
}

std::string TitleOf(const FleetScenario& s) {
  double devices = 0;
  for (const FleetScenario::Item& item : s.items) devices += item.count;
  return fmt::format("A fleet of {} devices, serving {}", FormatNumber(devices), s.model);
}

// "NAME=NUMBER", separated by commas.
template <typename F>
void ForEachPair(std::string_view field, std::string_view text, const F& take) {
  while (!text.empty()) {
    const size_t comma = text.find(',');
    const std::string_view pair = text.substr(0, comma);
    text = comma == std::string_view::npos ? "" : text.substr(comma + 1);
    const size_t equals = pair.find('=');
    if (equals == 0 || equals == std::string_view::npos) {
      throw UsageError(field, fmt::format("'{}' is not NAME=NUMBER", pair));
    }
    std::string_view number = pair.substr(equals + 1), rest;
    if (const size_t at = number.find('@'); at != std::string_view::npos) {
      rest = number.substr(at + 1);
      number = number.substr(0, at);
      CheckDay(field, rest);
    }
    double value = 0;
    const char* end = number.data() + number.size();
    const auto [stop, error] = std::from_chars(number.data(), end, value);
    if (error != std::errc() || stop != end || !(value >= 0 && value <= 1e9)) {
      throw UsageError(field, fmt::format("'{}' is not a number from 0 to 1,000,000,000", number));
    }
    take(pair.substr(0, equals), value, rest);
  }
}

}  // namespace

std::vector<FleetScenario::Item> ParseInventory(std::string_view text, const Hardware& hardware) {
  std::vector<FleetScenario::Item> items;
  ForEachPair("inventory", text, [&](std::string_view name, double count, std::string_view day) {
    if (items.size() >= 32) throw UsageError("inventory", "has more than 32 entries");
    items.push_back(
        {.device = hardware.Get(name, "inventory"), .count = count, .day = std::string(day)});
  });
  if (items.empty()) throw UsageError("inventory", "is empty", "write h800=10000,a100=10000");
  return items;
}

std::vector<FleetScenario::Site> ParseSites(std::string_view text) {
  std::vector<FleetScenario::Site> sites;
  double sum = 0;
  ForEachPair("sites", text, [&](std::string_view name, double share, std::string_view day) {
    if (!day.empty()) throw UsageError("sites", "have no days");
    if (sites.size() >= 32) throw UsageError("sites", "are more than 32");
    sites.push_back({std::string(name), share});
    sum += share;
  });
  if (std::abs(sum - 1) > 1e-6) throw UsageError("sites", fmt::format("sum to {:g}, not 1", sum));
  return sites;
}

namespace {

// Devices whose number has one range and one source have one number: what Hoppers cost, and
// electricity and buildings for all.
void AddMoneyInputs(FleetScenario& s, std::vector<UncertainInput>& inputs) {
  for (const Money::Input input : {Money::kPrice, Money::kElectricity, Money::kColocation,
                                   Money::kUpkeep, Money::kPue, Money::kPowerUse}) {
    std::vector<UncertainInput> kinds;
    for (FleetScenario::Item& item : s.items) {
      if (!item.money) continue;
      SourcedValue& value = item.money->inputs()[input];
      const auto same = std::find_if(kinds.begin(), kinds.end(), [&](const UncertainInput& kind) {
        return kind.value->source == value.source && kind.value->low == value.low &&
               kind.value->likely == value.likely && kind.value->high == value.high;
      });
      if (same == kinds.end()) {
        kinds.push_back({"price of " + item.device.name, &value});
      } else if (same->value != &value) {
        same->same.push_back(&value);
        same->name += ", " + item.device.name;
      }
    }
    for (UncertainInput& kind : kinds) {
      // Prices differ, and everything else has one range.
      if (input != Money::kPrice) kind.name = Money::Label(input);
      inputs.push_back(std::move(kind));
    }
  }
}

}  // namespace

Report ReportFleet(const FleetScenario& scenario) {
  FleetScenario s = scenario;
  const double shares =
      s.fleet.research.likely + s.fleet.training.likely + s.fleet.inference.likely;
  if (shares > 1 + 1e-9) {
    throw UsageError("research, training and inference",
                     fmt::format("sum to {:g}, more than the fleet", shares));
  }
  if (s.refuse && s.china) {
    for (const FleetScenario::Item& item : s.items) {
      if (item.day.empty()) continue;
      const ExportRules::Answer answer = s.rules.Check(item.device, item.day);
      if (answer.verdict != ExportRules::Verdict::kLicence) continue;
      throw Error("inventory",
                  fmt::format("{} could not be bought in China on {}: {}", item.device.name,
                              item.day, answer.why),
                  answer.source);
    }
  }
  const Architecture architecture = DescribeArchitecture(s.config);
  const auto evaluate = [&] {
    Report report{.command = "fleet", .title = TitleOf(s)};
    AddInventory(s, report);
    AddMoney(s, report);
    AddFleetInference(s, architecture, report);
    return report;
  };
  Report report = evaluate();
  std::vector<UncertainInput> inputs = {
      {"inference's share of the fleet", &s.fleet.inference},
      {"tokens of an answer", &s.service.answer_tokens},
      {"answers of a user a day", &s.fleet.answers_per_user},
      {"patience", &s.fleet.patience},
      {"room in the queue", &s.fleet.queue},
      {"requests lost at which sign-ups close", &s.fleet.closing},
      {"peak demand / mean demand", &s.service.demand_peak_to_mean},
      {"busiest minutes / the hour", &s.service.burst},
      {"speed that expert balance leaves", &s.service.expert_balance},
      {"tokens/s of a user", &s.service.user_tokens_per_s}};
  for (UncertainInput& input : UncertainInputs(s.kernels)) inputs.push_back(std::move(input));
  AddMoneyInputs(s, inputs);
  report.answers = {{"what it costs", "capital"},
                    {"what it costs", "yearly"},
                    {kFleetInference, "first_token"},
                    {kFleetInference, "closing_users"},
                    {kDevicesNeeded, "cheapest"}};
  const std::vector<Headline> headlines = {{"what it costs", "yearly"},
                                           {kFleetInference, "closing_users"}};
  AddIntervals(inputs, evaluate, headlines, s.seed, s.samples, report);
  AddDevicesNeeded(s, architecture, report);
  AddSplit(s, report);
  if (s.compare_with_published) AddPublished(s, report);
  return report;
}

}  // namespace fathom

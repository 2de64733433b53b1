#include "plan/scenarios.h"

namespace fathom {
namespace {

void AddHour(const PriceScenario& s, Report& report) {
  constexpr Origin kMade = Origin::kPrediction;
  const OwnedHour hour = s.money.LikelyHour();
  const Uncertainty range = s.money.HourRange(s.seed);
  ReportSection& section =
      report.sections.emplace_back(ReportSection{"an hour of a device, owned", {}});
  section.AddText("device", "device", s.device.name);
  section.Add("device_price", "price of a device with its server",
              Dollars(s.money.inputs()[Money::kPrice].likely), Origin::kInput,
              Cite(s.money.inputs()[Money::kPrice]));
  section.Add("capital", "capital and interest", hour.capital, kMade);
  section.Add("electricity", "electricity", hour.electricity, kMade);
  section.Add("colocation", "building and cooling", hour.colocation, kMade);
  section.Add("upkeep", "staff and repair", hour.upkeep, kMade);
  section.Add("total", "total", hour.total(), kMade,
              fmt::format("90 % of samples between {} and {}", Format(Dollars(range.p05)),
                          Format(Dollars(range.p95))));
  section.Add("rent", "rented", Dollars(s.rent.likely), Origin::kInput, Cite(s.rent));
  section.AddNumber("break_even", "owning is cheaper when it is used more than",
                    100 * (hour.total() / Dollars(s.rent.likely)), 0, kMade,
                    "of the hours that would be rented", "%");

  ReportSection& tornado =
      report.sections.emplace_back(ReportSection{"what drives it, one input at a time", {}});
  AddTornado(
      range, s.money.inputs(), [](size_t i) { return std::string(Money::Label(i)); }, tornado);
}

}  // namespace

Report ReportPrices(const PriceScenario& s) {
  Report report{.command = "price",
                .title = "What a device's hour costs, and what tokens are sold at"};
  AddHour(s, report);
  for (const auto& [key, price] : s.prices.api) {
    ReportSection& section = report.sections.emplace_back(
        ReportSection{fmt::format("{}, a million tokens", price.name), {}});
    if (price.hit) {
      section.Add("hit", "input, cached", Dollars(price.hit->likely), Origin::kInput,
                  Cite(*price.hit));
    }
    section.Add("miss", "input", Dollars(price.miss.likely), Origin::kInput, Cite(price.miss));
    section.Add("output", "output", Dollars(price.output.likely), Origin::kInput,
                Cite(price.output));
  }
  return report;
}

}  // namespace fathom

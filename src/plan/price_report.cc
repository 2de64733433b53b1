#include <cmath>
#include <vector>

#include "plan/intervals.h"
#include "plan/scenarios.h"

namespace fathom {
namespace {

void AddHour(const PriceScenario& s, Report& report) {
  const OwnedHour hour = s.money.LikelyHour();
  ReportSection& section =
      report.sections.emplace_back(ReportSection{"an hour of a device, owned", {}});
  section.AddText("device", "device", s.device.name);
  section.Add("device_price", "price of a device with its server",
              Dollars(s.money.inputs()[Money::kPrice].likely), Origin::kInput,
              Cite(s.money.inputs()[Money::kPrice]));
  section.Add("capital", "capital and interest", hour.capital, Origin::kPrediction);
  section.Add("electricity", "electricity", hour.electricity, Origin::kPrediction);
  section.Add("colocation", "building and cooling", hour.colocation, Origin::kPrediction);
  section.Add("upkeep", "staff and repair", hour.upkeep, Origin::kPrediction);
  section.Add("total", "an hour, owned", hour.total(), Origin::kPrediction);
  section.Add("rent", "rented", Dollars(s.rent.likely), Origin::kInput, Cite(s.rent));
  section.AddNumber("break_even", "owning is cheaper when it is used more than",
                    100 * (hour.total() / Dollars(s.rent.likely)), 0, Origin::kPrediction,
                    "of the hours that would be rented", "%");
}

void AddApiPrices(const Prices& prices, Report& report) {
  ReportTable table{.name = "API prices, a million tokens",
                    .columns = {{"hit", "input, cached", "USD"},
                                {"miss", "input", "USD"},
                                {"output", "output", "USD"}},
                    .note = "-: no such price",
                    .origin = Origin::kInput};
  for (const auto& [key, price] : prices.api) {
    table.labels.push_back(price.name);
    table.rows.push_back(
        {price.hit ? price.hit->likely : std::nan(""), price.miss.likely, price.output.likely});
    table.sources.push_back(Cite(price.output));
  }
  report.tables.push_back(std::move(table));
}

}  // namespace

Report ReportPrices(const PriceScenario& scenario) {
  PriceScenario s = scenario;
  std::vector<UncertainInput> inputs = {{"rent of a device and hour", &s.rent}};
  for (size_t i = 0; i < Money::kInputs; ++i) {
    inputs.push_back({std::string(Money::Label(i)), &s.money.inputs()[i]});
  }
  const auto evaluate = [&] {
    Report report{.command = "price",
                  .title = fmt::format("What an hour of {} costs, and what tokens are sold at",
                                       s.device.name)};
    AddHour(s, report);
    return report;
  };
  Report report = evaluate();
  report.answers = {{"an hour of a device, owned", "total"},
                    {"an hour of a device, owned", "rent"},
                    {"an hour of a device, owned", "break_even"}};
  AddIntervals(inputs, evaluate, {{{"an hour of a device, owned", "total"}}}, s.seed, s.samples,
               report);
  AddApiPrices(s.prices, report);
  return report;
}

}  // namespace fathom

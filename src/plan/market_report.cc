#include <cmath>
#include <vector>

#include "plan/intervals.h"
#include "plan/scenarios.h"

namespace fathom {
namespace {

void AddProgress(const MarketScenario& s, Report& report) {
  const Market& m = s.market;
  ReportSection& section = report.sections.emplace_back(ReportSection{"price of a capability", {}});
  section.Add("price", "a million output tokens today", Dollars(s.price.likely), Origin::kInput,
              Cite(s.price));
  section.AddNumber("progress", "cheaper every year, times", m.progress.likely, 1, Origin::kInput,
                    Cite(m.progress));
  section.Add("later", fmt::format("today's capability in {:g} years", s.years),
              Dollars(PriceAfter(s.price.likely, m.progress.likely, s.years)), Origin::kPrediction);
  section.AddNumber("gpt3_progress",
                    fmt::format("cheaper a year, if it fell {:g} times", m.gpt3_fall.likely),
                    YearlyProgress(m.gpt3_fall.likely, m.gpt3_years.likely), 1, Origin::kPrediction,
                    fmt::format("GPT-3's quality, over {:g} years", m.gpt3_years.likely), "times");
  section.AddNumber("gpt3_at_4", "years that such a fall takes at 4 a year",
                    std::log(m.gpt3_fall.likely) / std::log(4.0), 1, Origin::kPrediction, "",
                    "years");
  section.AddNumber("gpt3_at_10", "and at 10 a year instead", std::log10(m.gpt3_fall.likely), 1,
                    Origin::kPrediction, "", "years");
  section.AddNumber(
      "next_months", fmt::format("months until it is {:g} times cheaper", m.next_fall.likely),
      12 * std::log(m.next_fall.likely) / std::log(m.progress.likely), 1, Origin::kPrediction,
      "at this progress; published: by the end of the year", "months");
}

void AddPremium(const MarketScenario& s, Report& report) {
  const Market& m = s.market;
  ReportSection& section = report.sections.emplace_back(ReportSection{"leader and follower", {}});
  section.Add("leader", "leader's price, a million output tokens", Dollars(m.leader_output.likely),
              Origin::kInput, Cite(m.leader_output));
  section.Add("follower", "follower's price", Dollars(s.price.likely), Origin::kInput,
              Cite(s.price));
  section.AddNumber("premium", "leader's premium", m.leader_output.likely / s.price.likely, 1,
                    Origin::kPrediction, "", "times");
  section.Add("follower_cost", "follower's cost", Dollars(s.cost.likely), Origin::kInput,
              Cite(s.cost));
  // What the leader's own tokens would cost if it were as efficient, and with the lag's progress
  // not made yet.
  const double leader_cost = s.cost.likely * std::pow(m.progress.likely, m.lag.likely);
  section.Add("leader_cost", "leader's cost, before the lag's progress", Dollars(leader_cost),
              Origin::kPrediction, fmt::format("{:g} years of lag", m.lag.likely));
  section.AddNumber("leader_margin", "leader's margin over that cost",
                    100 * (m.leader_output.likely / leader_cost - 1), 0, Origin::kPrediction, "",
                    "%");
  section.AddNumber("follower_margin", "follower's margin over cost",
                    100 * (s.price.likely / s.cost.likely - 1), 0, Origin::kPrediction, "", "%");
  section.AddNumber("premium_years", "years of progress that the premium is worth",
                    std::log(m.leader_output.likely / s.price.likely) / std::log(m.progress.likely),
                    1, Origin::kPrediction,
                    "a leader that does not lower its price is overtaken after that", "years");
}

void AddJevons(const MarketScenario& s, Report& report) {
  const Market& m = s.market;
  const double fall = m.progress.likely;
  ReportSection& section =
      report.sections.emplace_back(ReportSection{"Jevons: after a year of progress", {}});
  section.AddNumber("elasticity", "elasticity of demand", m.elasticity.likely, 2, Origin::kInput,
                    Cite(m.elasticity));
  section.AddNumber("threshold", "spending rises when it is above", 1, 0, Origin::kPrediction,
                    "tokens grow by fall^e, spending by fall^(e - 1)");
  section.AddNumber("spending", "spending on tokens, against today",
                    SpendingFactor(fall, m.elasticity.likely), 2, Origin::kPrediction,
                    "at an unchanged price "
                    "of GPU-hours",
                    "times");
  section.AddNumber("hour_price", "price of a GPU-hour, against today",
                    HourPriceFactor(fall, m.elasticity.likely, m.supply_elasticity.likely), 2,
                    Origin::kPrediction,
                    fmt::format("supply's elasticity {:g}", m.supply_elasticity.likely), "times");
}

void AddTables(const MarketScenario& s, Report& report) {
  ReportTable prices{.name = "a million output tokens of today's capability",
                     .columns = {{"years", "years", "years"},
                                 {"at_4", "4 a year", "USD"},
                                 {"at_10", "10 a year", "USD"},
                                 {"as_gpt3", "as GPT-3's fell", "USD"}}};
  const double gpt3 = YearlyProgress(s.market.gpt3_fall.likely, s.market.gpt3_years.likely);
  for (int half = 0; half <= 8; ++half) {
    const double years = s.years * half / 8;
    prices.rows.push_back({years, PriceAfter(s.price.likely, 4, years),
                           PriceAfter(s.price.likely, 10, years),
                           PriceAfter(s.price.likely, gpt3, years)});
  }
  ReportTable jevons{
      .name = "after a year, by elasticity of demand",
      .columns = {{"elasticity", "elasticity", "1"},
                  {"spending_4", "spending x4", "times"},
                  {"spending_10", "spending x10", "times"},
                  {"hour_4", "GPU-hour x4", "times"},
                  {"hour_10", "GPU-hour x10", "times"}},
      .note =
          "against today: spending on tokens and the price of a GPU-hour, where tokens "
          "become 4 or 10 times cheaper in the year"};
  const double supply = s.market.supply_elasticity.likely;
  for (int tenth = 4; tenth <= 20; tenth += 2) {
    const double e = tenth / 10.0;
    jevons.rows.push_back({e, SpendingFactor(4, e), SpendingFactor(10, e),
                           HourPriceFactor(4, e, supply), HourPriceFactor(10, e, supply)});
  }
  report.tables.push_back(std::move(prices));
  report.tables.push_back(std::move(jevons));
}

}  // namespace

Report ReportMarket(const MarketScenario& scenario) {
  MarketScenario s = scenario;
  const auto evaluate = [&] {
    Report report{.command = "market", .title = "Prices over time"};
    AddProgress(s, report);
    AddPremium(s, report);
    AddJevons(s, report);
    return report;
  };
  const std::vector<UncertainInput> inputs = {{"cheaper every year, times", &s.market.progress},
                                              {"years of GPT-3's fall", &s.market.gpt3_years},
                                              {"follower's lag, years", &s.market.lag},
                                              {"elasticity of demand", &s.market.elasticity},
                                              {"elasticity of supply", &s.market.supply_elasticity},
                                              {"follower's cost", &s.cost}};
  Report report = evaluate();
  report.answers = {{"price of a capability", "later"},
                    {"leader and follower", "leader_margin"},
                    {"leader and follower", "follower_margin"},
                    {"Jevons: after a year of progress", "spending"},
                    {"Jevons: after a year of progress", "hour_price"}};
  const std::vector<Headline> headlines = {{"price of a capability", "later"},
                                           {"leader and follower", "leader_margin"},
                                           {"Jevons: after a year of progress", "hour_price"}};
  AddIntervals(inputs, evaluate, headlines, s.seed, s.samples, report);
  AddTables(s, report);
  return report;
}

}  // namespace fathom

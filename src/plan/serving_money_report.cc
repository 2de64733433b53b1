// What a day of serving costs and brings in.

#include <algorithm>
#include <optional>

#include "plan/published.h"
#include "plan/serving_sections.h"

namespace fathom {
namespace {

// The same nodes bought instead of rented.
void AddOwning(const ServingScenario& s, const DayOfNodes& nodes, ReportSection& section) {
  const OwnedHour hour = s.money->LikelyHour();
  const ServingDay owned = PlanDay(s.service, nodes.mean, hour.total() / Hours(1), s.price);
  section.Add("owned_hour", "an hour of a device, owned", hour.total(), Origin::kPrediction,
              fmt::format("capital {}, electricity {}, building {}, staff and repair {}",
                          Format(hour.capital), Format(hour.electricity), Format(hour.colocation),
                          Format(hour.upkeep)));
  section.Add("owned_cost", "cost of the day, owned", owned.cost, Origin::kPrediction,
              "the devices' time; what is not needed off-peak is somebody else's");
  // Rented nodes follow demand; owned ones are there for the peak.
  const ServingDay whole = PlanDay(s.service, nodes.peak, hour.total() / Hours(1), s.price);
  section.Add("owned_peak_cost", "the same when the peak's nodes are owned all day", whole.cost,
              Origin::kPrediction, fmt::format("{} nodes", FormatNumber(nodes.peak, 1)));
  section.AddNumber("owned_margin", "margin over that cost", 100 * whole.margin(), 0,
                    Origin::kPrediction, "", "%");
}

void AddBreakEven(const ServingScenario& s, const ServingDay& day, ReportSection& section) {
  const double share = day.cost / day.income;
  section.AddNumber("break_even", "income meets cost at this share of the prices", 100 * share, 1,
                    Origin::kPrediction,
                    fmt::format("output at ${:.3f} a million", share * s.price.output.likely), "%");
  section.AddNumber("break_even_load", "or at this share of the tokens on the same nodes",
                    100 * share, 1, Origin::kPrediction, "", "%");
  section.Add("subsidy", "what users do not pay, a day",
              std::max(day.cost - day.income, Dollars(0)), Origin::kPrediction);
}

}  // namespace

void AddServingMoney(const ServingScenario& s, const PrefillPlan& prefill, const DecodePlan& decode,
                     const DayOfNodes& nodes, Report& report) {
  const double node = s.service.node_devices.likely;
  const DollarsPerSecond node_rent = node * PerHour(s.rent.likely);
  const ServingDay day = PlanDay(s.service, nodes.mean, PerHour(s.rent.likely), s.price);
  const Published::Serve& p = Published::Get().serve;
  ReportSection& section = report.sections.emplace_back(ReportSection{"a day", {}});
  const double least = (s.service.prefill_devices.likely + s.service.decode_devices.likely) / node;
  section.AddNumber("nodes", "nodes over the day", day.nodes, 1, Origin::kPrediction,
                    s.compare_with_published ? Against(s.service.mean_nodes, day.nodes)
                    : nodes.peak <= least
                        ? "one group of each kind, the least there is: fewer prefill-devices and "
                          "decode-devices make them smaller"
                        : "");
  section.Add("cost", "cost of the day", day.cost, Origin::kPrediction,
              s.compare_with_published ? Against(p.day_cost, day.cost.value(), "USD") : "");
  section.Add("income", fmt::format("income at {}'s prices", s.price.name), day.income,
              Origin::kIdentity,
              s.compare_with_published ? Against(p.day_income, day.income.value(), "USD") : "");
  section.AddNumber("margin", "margin over cost", 100 * day.margin(), 0, Origin::kPrediction,
                    s.compare_with_published ? Against(p.margin, 100 * day.margin(), "%") : "",
                    "%");
  const auto per_million = [&](const char* key, const char* label, DollarsPerToken cost,
                               const std::optional<SourcedValue>& price, const char* note) {
    section.Add(key, label, cost * Tokens(1e6), Origin::kPrediction,
                fmt::format("{}{}", price ? fmt::format("sold at ${:g}", price->likely) : "",
                            price && note[0] != 0 ? fmt::format("; {}", note) : note));
  };
  const double hits = s.service.hit_rate();
  const DollarsPerToken computed = node_rent / (node * nodes.prefill_use * prefill.computed);
  if (hits > 0) {
    per_million("hit_cost", "cost of a million input tokens, cached",
                computed * (prefill.cached_share * (1 - hits) / hits), s.price.hit,
                prefill.cached_share > 0
                    ? "what new tokens take to attend to them; without the disks that keep them"
                    : "the exchange of new tokens takes longer than attending to cached ones");
  }
  per_million("miss_cost", "cost of a million input tokens, not cached",
              computed * (1 - prefill.cached_share), s.price.miss, "");
  per_million("output_cost", "cost of a million output tokens",
              node_rent / (node * nodes.decode_use * decode.output), s.price.output, "");
  if (s.money) AddOwning(s, nodes, section);
  AddBreakEven(s, day, section);
}

void AddPublishedServing(const ServingScenario& s, Report& report) {
  const double node = s.service.node_devices.likely;
  const Published::Serve& p = Published::Get().serve;
  const ServingDay published =
      PlanDay(s.service, s.service.mean_nodes.likely, PerHour(s.rent.likely), s.price);
  ReportSection& identities =
      report.sections.emplace_back(ReportSection{"published arithmetic", {}});
  identities.AddNumber("nodes", "nodes from the published rates",
                       NodesFor(s.service, TokensPerSecond(p.prefill_node.likely),
                                TokensPerSecond(p.decode_node.likely)),
                       2, Origin::kIdentity, PublishedAs(s.service.mean_nodes));
  identities.Add("cost", fmt::format("cost of {:g} nodes", s.service.mean_nodes.likely),
                 published.cost, Origin::kIdentity,
                 fmt::format("x {:g} devices x ${:g} x 24 h; {}", node, s.rent.likely,
                             PublishedAs(p.day_cost, "USD")));
  identities.AddNumber("margin", "margin over cost", 100 * published.margin(), 1, Origin::kIdentity,
                       PublishedAs(p.margin, "%"), "%");
  // The paper cuts the hidden size of 7168 down to 7000.
  ModelConfig rounded = s.config;
  rounded.hidden_size = 7000;
  const auto bound = [&](const char* key, double gigabytes, const SourcedValue& published_bound) {
    const Seconds time = ExchangeBound(rounded, 32, Bytes(1e9 * gigabytes) / Seconds(1));
    identities.Add(
        key, fmt::format("a token bound by exchange at {:g} GB/s", gigabytes), time,
        Origin::kIdentity,
        fmt::format("{:.4g} tokens/s; {}", 1 / time.value(), PublishedAs(published_bound, "s")));
  };
  bound("bound_50", 50, p.bound_50_s);
  bound("bound_900", 900, p.bound_900_s);
}

}  // namespace fathom

#include <span>
#include <utility>
#include <vector>

#include "base/error.h"
#include "plan/scenarios.h"

namespace fathom {
namespace {

constexpr Origin kMade = Origin::kPrediction;

void AddInputs(const ServingScenario& s, Report& report) {
  ReportSection& section = report.sections.emplace_back(ReportSection{"inputs", {}});
  section.AddText("model", "model", s.model);
  section.AddText("device", "device", s.device.name);
  section.Add("rent", "price of a device and hour", Dollars(s.rent.likely), Origin::kInput,
              Cite(s.rent));
  const auto number = [&](const char* key, const char* label, const SourcedValue& value,
                          int decimals) {
    section.AddNumber(key, label, value.likely, decimals, Origin::kInput, Cite(value));
  };
  number("input_tokens", "input tokens a day", s.service.input_tokens, 0);
  number("cached_tokens", "of them in the context cache", s.service.cached_tokens, 0);
  number("output_tokens", "output tokens a day", s.service.output_tokens, 0);
  number("mean_context", "tokens in a sequence's cache", s.service.mean_context, 0);
  number("user_tokens_per_s", "tokens/s of a user", s.service.user_tokens_per_s, 1);
  number("prefill_devices", "devices that prefill together", s.service.prefill_devices, 0);
  number("decode_devices", "devices that decode together", s.service.decode_devices, 0);
  number("expert_balance", "speed that expert balance leaves", s.service.expert_balance, 2);
  number("demand_peak_to_mean", "peak demand / mean demand", s.service.demand_peak_to_mean, 2);
}

void AddRates(const ServingScenario& s, const PrefillPlan& prefill, const DecodePlan& decode,
              Report& report) {
  const double node = s.service.node_devices.likely, used = s.service.MeanUtilisation();
  ReportSection& p = report.sections.emplace_back(ReportSection{"prefill", {}});
  p.Add("compute", "a chunk's computing", prefill.compute.total(), kMade,
        fmt::format("products {}, attention {}, elementwise {}", Format(prefill.compute.products),
                    Format(prefill.compute.attention), Format(prefill.compute.elementwise)));
  p.Add("exchange", "its expert exchange", prefill.exchange, kMade,
        "overlapped: the longer of the two counts");
  p.Add("node_computed", "a full node, tokens computed", node * prefill.computed, kMade);
  p.Add("node_with_hits", "a full node, cached tokens counted", node * prefill.with_hits, kMade);
  const TokensPerSecond prefilled = node * used * prefill.with_hits;
  p.Add("node_mean", "a node over the day", prefilled, kMade,
        s.compare_with_published
            ? Against("73.7 k tokens/s", prefilled / TokensPerSecond(73.7e3) - 1)
            : "");
  ReportSection& d = report.sections.emplace_back(ReportSection{"decode", {}});
  d.AddNumber("batch", "sequences on a device", decode.batch, 0, kMade,
              decode.memory_bound ? "as many as the memory holds" : "as many as the speed allows");
  d.Add("weights", "weights of a device", decode.weights, kMade);
  d.Add("cache", "cache of a device", decode.cache, kMade);
  d.Add("compute", "a step's computing", decode.compute.total(), kMade,
        fmt::format("products {}, attention {}", Format(decode.compute.products),
                    Format(decode.compute.attention)));
  d.Add("exchange", "its expert exchange", decode.exchange, kMade);
  d.Add("step", "time per output token", decode.step, kMade,
        fmt::format("{:.1f} tokens/s for each user", 1 / decode.step.value()));
  d.Add("node", "a full node", node * decode.output, kMade);
  const TokensPerSecond decoded = node * used * decode.output;
  d.Add("node_mean", "a node over the day", decoded, kMade,
        s.compare_with_published ? Against("14.8 k tokens/s", decoded / TokensPerSecond(14.8e3) - 1)
                                 : "");
  d.AddNumber("utilisation", "share of the nodes' time that is used", 100 * used, 1, kMade,
              "from the demand curve: docs/economics.md", "%");
}

void AddMoney(const ServingScenario& s, const PrefillPlan& prefill, const DecodePlan& decode,
              Report& report) {
  const double node = s.service.node_devices.likely, used = s.service.MeanUtilisation();
  const DollarsPerSecond node_rent = node * PerHour(s.rent.likely);
  const double nodes =
      NodesFor(s.service, node * used * prefill.with_hits, node * used * decode.output);
  const ServingDay day = PlanDay(s.service, nodes, PerHour(s.rent.likely), s.price);
  ReportSection& section = report.sections.emplace_back(ReportSection{"a day", {}});
  section.AddNumber("nodes", "nodes", day.nodes, 1, kMade,
                    s.compare_with_published ? Against("226.75", day.nodes / 226.75 - 1) : "");
  section.Add("cost", "cost", day.cost, kMade,
              s.compare_with_published ? Against("$87,072", day.cost / Dollars(87072) - 1) : "");
  section.Add(
      "income", fmt::format("income at {}'s prices", s.price.name), day.income, Origin::kIdentity,
      s.compare_with_published ? Against("$562,027", day.income / Dollars(562027) - 1) : "");
  section.AddNumber("margin", "margin over cost", 100 * day.margin(), 0, kMade, "", "%");
  const auto per_million = [&](const char* key, const char* label, TokensPerSecond rate,
                               const std::optional<SourcedValue>& price) {
    const DollarsPerToken cost = node_rent / rate;
    section.Add(key, label, cost * Tokens(1e6), kMade,
                price ? fmt::format("sold at ${:g}", price->likely) : std::string());
  };
  per_million("miss_cost", "cost of a million input tokens, not cached",
              node * used * prefill.computed, s.price.miss);
  per_million("output_cost", "cost of a million output tokens", node * used * decode.output,
              s.price.output);
  if (!s.compare_with_published) return;
  const ServingDay published =
      PlanDay(s.service, s.service.mean_nodes.likely, PerHour(s.rent.likely), s.price);
  ReportSection& identities =
      report.sections.emplace_back(ReportSection{"published arithmetic", {}});
  identities.AddNumber("nodes", "nodes from the published rates",
                       NodesFor(s.service, TokensPerSecond(73.7e3), TokensPerSecond(14.8e3)), 2,
                       Origin::kIdentity, "published 226.75");
  identities.Add("cost", "cost of 226.75 nodes", published.cost, Origin::kIdentity,
                 "x 8 x $2 x 24 h; published $87,072");
  identities.AddNumber("margin", "margin over cost", 100 * published.margin(), 1, Origin::kIdentity,
                       "published 545 %", "%");
}

// What is uncertain about a million output tokens.
std::vector<std::pair<const char*, SourcedValue*>> UncertainInputs(ServingScenario& s) {
  return {{"price of a device and hour", &s.rent},
          {"memory of a device", &s.device.hbm_gb},
          {"memory bandwidth", &s.device.hbm_gb_per_s},
          {"bf16 peak", &s.device.bf16_tflops},
          {"network", &s.device.scale_out_gb_per_s},
          {"tokens/s of a user", &s.service.user_tokens_per_s},
          {"tokens in a sequence's cache", &s.service.mean_context},
          {"peak demand / mean demand", &s.service.demand_peak_to_mean},
          {"nodes used at the peak", &s.service.utilisation_at_peak},
          {"share of memory that is used", &s.service.memory_used},
          {"speed that expert balance leaves", &s.service.expert_balance}};
}

void AddUncertainty(const ServingScenario& scenario, const Architecture& architecture,
                    Report& report) {
  ServingScenario s = scenario;
  const auto inputs = UncertainInputs(s);
  std::vector<SourcedValue> ranges;
  ranges.reserve(inputs.size());
  for (const auto& [name, value] : inputs) ranges.push_back(*value);
  const auto cost = [&](std::span<const double> values) {
    for (size_t i = 0; i < values.size(); ++i) inputs[i].second->likely = values[i];
    const DecodePlan decode = PlanDecode(architecture, s.service, s.device, s.kernels);
    const DollarsPerToken token =
        PerHour(s.rent.likely) / (s.service.MeanUtilisation() * decode.output);
    return PerMillionTokens(token);
  };
  Uncertainty range;
  try {
    range = Propagate(ranges, cost, scenario.seed, /*samples=*/1000);
  } catch (const Error& error) {
    ReportSection& section = report.sections.emplace_back(ReportSection{"uncertainty", {}});
    section.AddText("uncertainty", "a million output tokens",
                    fmt::format("no interval: within the ranges of the inputs, {}", error.what()));
    return;
  }
  ReportSection& section = report.sections.emplace_back(
      ReportSection{"what drives a million output tokens, one input at a time", {}});
  section.Add("p05", "5 % of samples are below", Dollars(range.p05), kMade);
  section.Add("p50", "half of them", Dollars(range.p50), kMade);
  section.Add("p95", "95 %", Dollars(range.p95), kMade);
  AddTornado(
      range, ranges, [&](size_t i) { return std::string(inputs[i].first); }, section);
}

// What the network alone allows (ISCA 2025, 2.3.2).
void AddBounds(const ServingScenario& s, Report& report) {
  if (s.config.n_routed_experts == 0) return;
  ReportSection& section =
      report.sections.emplace_back(ReportSection{"if only expert exchange took time", {}});
  for (const auto& [key, rate] : {std::pair{"bound_50", 50e9}, {"bound_900", 900e9}}) {
    const Seconds bound = ExchangeBound(s.config, 32, Bytes(rate) / Seconds(1));
    section.Add(key, fmt::format("time per output token at {:.0f} GB/s", rate / 1e9), bound, kMade,
                fmt::format("{:.0f} tokens/s{}", 1 / bound.value(),
                            !s.compare_with_published ? ""
                            : rate == 50e9            ? "; published 14.76 ms, with 7000 for 7168"
                                                      : "; published 0.82 ms, with 7000 for 7168"));
  }
}

}  // namespace

Report ReportServing(const ServingScenario& s) {
  const Architecture architecture = DescribeArchitecture(s.config);
  const PrefillPlan prefill = PlanPrefill(architecture, s.service, s.device, s.kernels);
  const DecodePlan decode = PlanDecode(architecture, s.service, s.device, s.kernels);
  Report report{.command = "serve",
                .title = fmt::format("Serving {} on {}", s.model, s.device.name)};
  AddInputs(s, report);
  AddRates(s, prefill, decode, report);
  AddMoney(s, prefill, decode, report);
  AddUncertainty(s, architecture, report);
  AddBounds(s, report);
  return report;
}

}  // namespace fathom

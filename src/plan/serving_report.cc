#include <algorithm>
#include <limits>
#include <vector>

#include "base/error.h"
#include "plan/intervals.h"
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
  if (s.loads.empty()) {
    number("expert_balance", "speed that expert balance leaves", s.service.expert_balance, 2);
  }
  if (s.service.drafts > 0) {
    number("mtp_acceptance", "drafted tokens that are right", s.service.mtp_acceptance, 2);
  }
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
  d.AddNumber(
      "batch",
      s.service.tensor > 1 ? "sequences on tensor-parallel devices" : "sequences on a device",
      decode.batch, 0, kMade,
      decode.memory_bound ? "as many as the memory holds" : "as many as the speed allows");
  d.Add("weights", "weights of a device", decode.weights, kMade);
  d.Add("cache", "cache of a device", decode.cache, kMade);
  d.Add("compute", "a step's computing", decode.compute.total(), kMade,
        fmt::format("products {}, attention {}", Format(decode.compute.products),
                    Format(decode.compute.attention)));
  d.Add("exchange", "its expert exchange", decode.exchange, kMade);
  if (s.service.drafts > 0) {
    d.AddNumber("tokens_per_step", "tokens a step", s.service.TokensPerStep(), 2, kMade,
                fmt::format("{} drafted", s.service.drafts));
  }
  d.Add("step", "a step", decode.step, kMade);
  d.Add("token", "time per output token", decode.token, kMade,
        fmt::format("{:.1f} tokens/s for each user", 1 / decode.token.value()));
  d.Add("node", "a full node", node * decode.output, kMade);
  const TokensPerSecond decoded = node * used * decode.output;
  d.Add("node_mean", "a node over the day", decoded, kMade,
        s.compare_with_published ? Against("14.8 k tokens/s", decoded / TokensPerSecond(14.8e3) - 1)
                                 : "");
  d.AddNumber("utilisation", "share of the nodes' time that is used", 100 * used, 1, kMade,
              "from the demand curve: docs/economics.md", "%");
}

// The same nodes bought instead of rented.
void AddOwning(const ServingScenario& s, const ServingDay& rented, ReportSection& section) {
  const OwnedHour hour = s.money->LikelyHour();
  const ServingDay owned = PlanDay(s.service, rented.nodes, hour.total() / Hours(1), s.price);
  section.Add("owned_hour", "an hour of a device, owned", hour.total(), kMade,
              fmt::format("capital {}, electricity {}, building {}, staff and repair {}",
                          Format(hour.capital), Format(hour.electricity), Format(hour.colocation),
                          Format(hour.upkeep)));
  section.Add("owned_cost", "cost of the day, owned", owned.cost, kMade,
              "the devices' time; what is not needed off-peak is somebody else's");
  // Rented nodes follow demand; owned ones are there for the peak.
  const double peak = rented.nodes * s.service.peak_nodes.likely / s.service.mean_nodes.likely;
  const ServingDay whole = PlanDay(s.service, peak, hour.total() / Hours(1), s.price);
  section.Add("owned_peak_cost", "the same when the peak's nodes are owned all day", whole.cost,
              kMade, fmt::format("{} nodes", FormatNumber(peak, 1)));
  section.AddNumber("owned_margin", "margin over that cost", 100 * whole.margin(), 0, kMade, "",
                    "%");
}

void AddBreakEven(const ServingScenario& s, const ServingDay& day, ReportSection& section) {
  const double share = day.cost / day.income;
  section.AddNumber("break_even", "income meets cost at this share of the prices", 100 * share, 1,
                    kMade,
                    fmt::format("output at ${:.3f} a million", share * s.price.output.likely), "%");
  section.AddNumber("break_even_load", "or at this share of the tokens on the same nodes",
                    100 * share, 1, kMade, "", "%");
  section.Add("subsidy", "what users do not pay, a day",
              std::max(day.cost - day.income, Dollars(0)), kMade);
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
  if (s.money) AddOwning(s, day, section);
  AddBreakEven(s, day, section);
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

std::vector<UncertainInput> UncertainInputs(ServingScenario& s) {
  return {{"price of a device and hour", &s.rent},
          {"memory of a device", &s.device.hbm_gb},
          {"memory bandwidth", &s.device.hbm_gb_per_s},
          {"bf16 peak", &s.device.bf16_tflops},
          {"links inside a server", &s.device.scale_up_gb_per_s},
          {"network", &s.device.scale_out_gb_per_s},
          {"tokens/s of a user", &s.service.user_tokens_per_s},
          {"tokens in a sequence's cache", &s.service.mean_context},
          {"peak demand / mean demand", &s.service.demand_peak_to_mean},
          {"nodes used at the peak", &s.service.utilisation_at_peak},
          {"share of memory that is used", &s.service.memory_used},
          {"speed that expert balance leaves", &s.service.expert_balance},
          {"drafted tokens that are right", &s.service.mtp_acceptance}};
}

std::vector<UncertainInput> AllUncertainInputs(ServingScenario& s) {
  std::vector<UncertainInput> inputs = UncertainInputs(s);
  if (!s.money) return inputs;
  // The device's power is one of Money's.
  for (size_t i = 0; i < Money::kInputs; ++i) {
    inputs.push_back({std::string(Money::Label(i)), &s.money->inputs()[i]});
  }
  return inputs;
}

double OutputCost(const ServingScenario& s, const DecodePlan& decode) {
  return PerMillionTokens(PerHour(s.rent.likely) / (s.service.MeanUtilisation() * decode.output));
}

// The largest batch that keeps the users' speed at other contexts, and what other batches give at
// this one.
void AddSweeps(const ServingScenario& s, const Architecture& architecture, Report& report) {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  const double node = s.service.node_devices.likely;
  ReportTable contexts{.name = fmt::format("contexts, at {:g} tokens/s for each user",
                                           s.service.user_tokens_per_s.likely),
                       .columns = {{"context", "context", "tokens"},
                                   {"batch", "largest batch", "1"},
                                   {"token", "a token takes", "s"},
                                   {"node", "a full node", "token/s"},
                                   {"output_cost", "a million output tokens", "USD"}}};
  contexts.note = "-: not even one sequence keeps the speed, or fits";
  for (double context = 1024; context <= 131072; context *= 2) {
    const auto plan = DecodeAtContext(architecture, s.service, s.device, s.kernels, context);
    if (plan) {
      contexts.rows.push_back({context, plan->batch, plan->token.value(),
                               node * plan->output.value(), OutputCost(s, *plan)});
    } else {
      contexts.rows.push_back({context, kNone, kNone, kNone, kNone});
    }
  }
  ReportTable batches{.name = fmt::format("batches, at a context of {}",
                                          FormatNumber(s.service.mean_context.likely)),
                      .columns = {{"batch", "batch", "1"},
                                  {"token", "a token takes", "s"},
                                  {"user", "each user", "token/s"},
                                  {"node", "a full node", "token/s"},
                                  {"memory", "weights and cache", "B"},
                                  {"output_cost", "a million output tokens", "USD"}}};
  for (double batch = 1; batch <= 1024; batch *= 2) {
    const DecodePlan plan = PlanDecodeStep(architecture, s.service, s.device, s.kernels, batch);
    const Bytes memory = plan.weights + plan.cache;
    if (memory > s.device.memory() * s.service.memory_used.likely) break;
    batches.rows.push_back({batch, plan.token.value(), 1 / plan.token.value(),
                            node * plan.output.value(), memory.value(), OutputCost(s, plan)});
  }
  report.tables.push_back(std::move(contexts));
  report.tables.push_back(std::move(batches));
}

// The day's cost with one thing of the design changed.
void AddSavings(const ServingScenario& s, Report& report) {
  const auto cost_of = [&](const ServingScenario& other) {
    const Architecture architecture = DescribeArchitecture(other.config);
    const double used = other.service.node_devices.likely * other.service.MeanUtilisation();
    const double nodes = NodesFor(
        other.service,
        used * PlanPrefill(architecture, other.service, other.device, other.kernels).with_hits,
        used * PlanDecode(architecture, other.service, other.device, other.kernels).output);
    return PlanDay(other.service, nodes, PerHour(other.rent.likely), other.price).cost;
  };
  const Dollars base = cost_of(s);
  ReportSection& section = report.sections.emplace_back(ReportSection{
      fmt::format("a day's cost if one thing were different (now {})", Format(base)), {}});
  const auto add = [&](const char* key, const char* label, const auto& change) {
    ServingScenario other = s;
    try {
      change(other);
      const Dollars cost = cost_of(other);
      section.Add(key, label, cost, kMade, fmt::format("{:+.1f} %", 100 * (cost / base - 1)));
    } catch (const Error& error) {
      section.AddText(key, label, fmt::format("does not work: {}", error.what()));
    }
  };
  if (s.config.latent_attention()) {
    add("without_mla", "multi-head attention in place of the latent", [](ServingScenario& o) {
      o.config = WithGroupedQueryAttention(o.config, o.config.num_attention_heads);
    });
    if (s.config.num_attention_heads % 8 == 0) {
      add("gqa", "grouped-query attention with 8 key and value heads",
          [](ServingScenario& o) { o.config = WithGroupedQueryAttention(o.config, 8); });
    }
  }
  if (s.config.num_nextn_predict_layers > 0) {
    add("mtp", s.service.drafts > 0 ? "without drafts" : "with one drafted token (MTP)",
        [](ServingScenario& o) { o.service.drafts = o.service.drafts > 0 ? 0 : 1; });
  }
  add("precision",
      s.service.precision == PlanPrecision::kFp8 ? "bf16 in place of FP8" : "FP8 in place of bf16",
      [](ServingScenario& o) {
        o.service.precision =
            o.service.precision == PlanPrecision::kFp8 ? PlanPrecision::kBf16 : PlanPrecision::kFp8;
      });
  if (s.config.n_routed_experts > 0) {
    add("half_ep", "half as many devices decode together",
        [](ServingScenario& o) { o.service.decode_devices.likely /= 2; });
    add("twice_ep", "twice as many decode together",
        [](ServingScenario& o) { o.service.decode_devices.likely *= 2; });
    add("balanced", "experts perfectly balanced",
        [](ServingScenario& o) { o.service.prefill_balance = o.service.decode_balance = 1.0; });
  }
  add("no_cache", "no context cache",
      [](ServingScenario& o) { o.service.cached_tokens.likely = 0; });
}

void AddPlacement(const ServingScenario& s, const PlacedBalance& plain, Report& report) {
  ReportSection& section = report.sections.emplace_back(
      ReportSection{"placement of experts (speed against perfect balance)", {}});
  section.AddNumber("prefill_plain", "prefill, every expert once", plain.prefill_plain, 3, kMade);
  section.AddNumber("prefill", "prefill, with redundant experts", *s.service.prefill_balance, 3,
                    kMade);
  section.AddNumber("decode_plain", "decoding, every expert once", plain.decode_plain, 3, kMade);
  section.AddNumber("decode", "decoding, with redundant experts", *s.service.decode_balance, 3,
                    kMade);
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

Report ReportServing(const ServingScenario& scenario) {
  ServingScenario s = scenario;
  const Architecture architecture = DescribeArchitecture(s.config);
  PlacedBalance plain;
  if (!s.loads.empty()) plain = PlaceLoads(s.config, s.device, s.loads, s.service);
  const auto evaluate = [&] {
    const PrefillPlan prefill = PlanPrefill(architecture, s.service, s.device, s.kernels);
    const DecodePlan decode = PlanDecode(architecture, s.service, s.device, s.kernels);
    Report report{.command = "serve",
                  .title = fmt::format("Serving {} on {}", s.model, s.device.name)};
    AddInputs(s, report);
    AddRates(s, prefill, decode, report);
    AddMoney(s, prefill, decode, report);
    AddBounds(s, report);
    if (!s.loads.empty()) AddPlacement(s, plain, report);
    return report;
  };
  Report report = evaluate();
  AddIntervals(AllUncertainInputs(s), evaluate, {{{"a day", "output_cost"}, {"a day", "margin"}}},
               s.seed, s.samples, report);
  AddSavings(s, report);
  AddSweeps(s, architecture, report);
  return report;
}

}  // namespace fathom

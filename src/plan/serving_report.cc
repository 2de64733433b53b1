#include <algorithm>
#include <functional>
#include <limits>
#include <optional>
#include <vector>

#include "base/error.h"
#include "plan/demand.h"
#include "plan/device_inputs.h"
#include "plan/intervals.h"
#include "plan/published.h"
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
  if (!s.service.hours) {
    number("demand_peak_to_mean", "peak demand / mean demand", s.service.demand_peak_to_mean, 2);
    number("demand_night_to_peak", "night's demand / peak demand", s.service.demand_night_to_peak,
           2);
  }
  number("burst", "busiest minutes of an hour / the hour", s.service.burst, 2);
  number("hold_hours", "hours that a node serves at least", s.service.hold_hours, 0);
  number("refusals", "requests that may find no place at the peak", s.service.refusals, 3);
}

void AddRates(const ServingScenario& s, const PrefillPlan& prefill, const DecodePlan& decode,
              const DayOfNodes& nodes, Report& report) {
  const double node = s.service.node_devices.likely;
  ReportSection& p = report.sections.emplace_back(ReportSection{"prefill", {}});
  p.Add("compute", "a chunk's computing", prefill.compute.total(), kMade,
        fmt::format("products {}, attention {}, elementwise {}", Format(prefill.compute.products),
                    Format(prefill.compute.attention), Format(prefill.compute.elementwise)));
  p.Add("exchange", "its expert exchange", prefill.exchange, kMade,
        "overlapped: the longer of the two counts");
  p.Add("node_computed", "a full node, tokens computed", node * prefill.computed, kMade);
  p.Add("node_with_hits", "a full node, cached tokens counted", node * prefill.with_hits, kMade);
  const TokensPerSecond prefilled = node * nodes.prefill_use * prefill.with_hits;
  p.Add("node_mean", "a node over the day", prefilled, kMade,
        s.compare_with_published
            ? Against(Published::Get().serve.prefill_node, prefilled.value(), "token/s")
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
  const TokensPerSecond decoded = node * nodes.decode_use * decode.output;
  d.Add("node_mean", "a node over the day", decoded, kMade,
        s.compare_with_published
            ? Against(Published::Get().serve.decode_node, decoded.value(), "token/s")
            : "");
}

void AddNodes(const ServingScenario& s, const DayOfNodes& nodes, Report& report) {
  ReportSection& section =
      report.sections.emplace_back(ReportSection{"nodes, from the demand by the hour", {}});
  const auto against = [&](const SourcedValue& published, double value) {
    return s.compare_with_published ? Against(published, value) : "";
  };
  const auto [night, peak] = std::minmax_element(nodes.demand.begin(), nodes.demand.end());
  section.AddNumber("peak_demand", "demand of the peak's hour / mean", *peak, 2, kMade);
  section.AddNumber("night_demand", "demand of the night's hour / mean", *night, 2, kMade);
  section.AddNumber("load", "places that may be taken at the peak", 100 * nodes.load, 1, kMade,
                    fmt::format("Erlang's B, {:g} % refused", 100 * s.service.refusals.likely),
                    "%");
  section.AddNumber("peak", "nodes at the peak", nodes.peak, 1, kMade,
                    against(s.service.peak_nodes, nodes.peak));
  section.AddNumber("mean", "nodes over the day", nodes.mean, 1, kMade,
                    against(s.service.mean_nodes, nodes.mean));
  section.AddNumber("mean_to_peak", "of the peak's", 100 * nodes.mean / nodes.peak, 1, kMade,
                    s.compare_with_published
                        ? fmt::format("published {:.1f} %", 100 * s.service.mean_nodes.likely /
                                                                s.service.peak_nodes.likely)
                        : "",
                    "%");
  section.AddNumber("prefill_use", "share of the prefill nodes' time that is used",
                    100 * nodes.prefill_use, 1, kMade, "", "%");
  section.AddNumber("decode_use", "share of the decode nodes' time that is used",
                    100 * nodes.decode_use, 1, kMade, "", "%");
}

void AddHours(const DayOfNodes& nodes, Report& report) {
  ReportTable table{.name = "a day by the hour",
                    .columns = {{"hour", "hour", "1"},
                                {"demand", "demand / mean", "1"},
                                {"prefill", "prefill nodes", "nodes"},
                                {"decode", "decode nodes", "nodes"},
                                {"use", "of their time used", "%"}},
                    .note =
                        "nodes come in whole groups and stay for a shift; what is not needed "
                        "at night is free for other work"};
  for (size_t h = 0; h < nodes.demand.size(); ++h) {
    table.rows.push_back({static_cast<double>(h), nodes.demand[h], nodes.prefill[h],
                          nodes.decode[h], 100 * nodes.UseAt(h)});
  }
  report.tables.push_back(std::move(table));
}

// The same nodes bought instead of rented.
void AddOwning(const ServingScenario& s, const DayOfNodes& nodes, ReportSection& section) {
  const OwnedHour hour = s.money->LikelyHour();
  const ServingDay owned = PlanDay(s.service, nodes.mean, hour.total() / Hours(1), s.price);
  section.Add("owned_hour", "an hour of a device, owned", hour.total(), kMade,
              fmt::format("capital {}, electricity {}, building {}, staff and repair {}",
                          Format(hour.capital), Format(hour.electricity), Format(hour.colocation),
                          Format(hour.upkeep)));
  section.Add("owned_cost", "cost of the day, owned", owned.cost, kMade,
              "the devices' time; what is not needed off-peak is somebody else's");
  // Rented nodes follow demand; owned ones are there for the peak.
  const ServingDay whole = PlanDay(s.service, nodes.peak, hour.total() / Hours(1), s.price);
  section.Add("owned_peak_cost", "the same when the peak's nodes are owned all day", whole.cost,
              kMade, fmt::format("{} nodes", FormatNumber(nodes.peak, 1)));
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
              const DayOfNodes& nodes, Report& report) {
  const double node = s.service.node_devices.likely;
  const DollarsPerSecond node_rent = node * PerHour(s.rent.likely);
  const ServingDay day = PlanDay(s.service, nodes.mean, PerHour(s.rent.likely), s.price);
  const Published::Serve& p = Published::Get().serve;
  ReportSection& section = report.sections.emplace_back(ReportSection{"a day", {}});
  section.AddNumber("nodes", "nodes", day.nodes, 1, kMade,
                    s.compare_with_published ? Against(s.service.mean_nodes, day.nodes) : "");
  section.Add("cost", "cost", day.cost, kMade,
              s.compare_with_published ? Against(p.day_cost, day.cost.value(), "USD") : "");
  section.Add("income", fmt::format("income at {}'s prices", s.price.name), day.income,
              Origin::kIdentity,
              s.compare_with_published ? Against(p.day_income, day.income.value(), "USD") : "");
  section.AddNumber("margin", "margin over cost", 100 * day.margin(), 0, kMade, "", "%");
  const auto per_million = [&](const char* key, const char* label, DollarsPerToken cost,
                               const std::optional<SourcedValue>& price, const char* note) {
    section.Add(key, label, cost * Tokens(1e6), kMade,
                fmt::format("{}{}", price ? fmt::format("sold at ${:g}", price->likely) : "",
                            price && note[0] != 0 ? fmt::format("; {}", note) : note));
  };
  const double hits = s.service.hit_rate();
  const DollarsPerToken computed = node_rent / (node * nodes.prefill_use * prefill.computed);
  if (hits > 0) {
    per_million("hit_cost", "cost of a million input tokens, cached",
                computed * (prefill.cached_share * (1 - hits) / hits), s.price.hit,
                "that new tokens attend to them; without the disks that keep them");
  }
  per_million("miss_cost", "cost of a million input tokens, not cached",
              computed * (1 - prefill.cached_share), s.price.miss, "");
  per_million("output_cost", "cost of a million output tokens",
              node_rent / (node * nodes.decode_use * decode.output), s.price.output, "");
  if (s.money) AddOwning(s, nodes, section);
  AddBreakEven(s, day, section);
  if (!s.compare_with_published) return;
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
}

std::vector<UncertainInput> AllUncertainInputs(ServingScenario& s) {
  std::vector<UncertainInput> inputs = {
      {"price of a device and hour", &s.rent},
      {"tokens/s of a user", &s.service.user_tokens_per_s},
      {"tokens in a sequence's cache", &s.service.mean_context},
      {"peak demand / mean demand", &s.service.demand_peak_to_mean},
      {"night's demand / peak demand", &s.service.demand_night_to_peak},
      {"busiest minutes / the hour", &s.service.burst},
      {"hours that a node serves at least", &s.service.hold_hours},
      {"requests refused at the peak", &s.service.refusals},
      {"share of memory that is used", &s.service.memory_used},
      {"speed that expert balance leaves", &s.service.expert_balance},
      {"drafted tokens that are right", &s.service.mtp_acceptance}};
  const auto add = [&](std::vector<UncertainInput> more) {
    for (UncertainInput& input : more) inputs.push_back(std::move(input));
  };
  add(UncertainInputs(s.device));
  add(UncertainInputs(s.kernels));
  if (!s.money) return inputs;
  // The device's power is one of Money's.
  for (size_t i = 0; i < Money::kInputs; ++i) {
    inputs.push_back({std::string(Money::Label(i)), &s.money->inputs()[i]});
  }
  return inputs;
}

double OutputCost(const ServingScenario& s, const DecodePlan& decode, double use) {
  return PerMillionTokens(PerHour(s.rent.likely) / (use * decode.output));
}

// The largest batch that keeps the users' speed at other contexts, and what other batches give at
// this one.
void AddSweeps(const ServingScenario& s, const Architecture& architecture, double use,
               Report& report) {
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
                               node * plan->output.value(), OutputCost(s, *plan, use)});
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
                            node * plan.output.value(), memory.value(), OutputCost(s, plan, use)});
  }
  report.tables.push_back(std::move(contexts));
  report.tables.push_back(std::move(batches));
}

// The same service with one thing of its design changed.
struct Variant {
  std::string key, label;
  std::function<void(ServingScenario&)> change;
  std::optional<Architecture> architecture = {};  // if the model is another
};

std::vector<Variant> VariantsOf(const ServingScenario& s) {
  std::vector<Variant> variants;
  const auto add = [&](const char* key, const char* label, auto change) {
    variants.push_back({key, label, change});
  };
  const auto add_heads = [&](const char* key, const char* label, int64_t heads) {
    const ModelConfig config = WithGroupedQueryAttention(s.config, heads);
    variants.push_back({key, label, [config](ServingScenario& o) { o.config = config; },
                        DescribeArchitecture(config)});
  };
  if (s.config.latent_attention()) {
    add_heads("without_mla", "multi-head attention in place of the latent",
              s.config.num_attention_heads);
    if (s.config.num_attention_heads % 8 == 0) {
      add_heads("gqa", "grouped-query attention with 8 key and value heads", 8);
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
  return variants;
}

// Nodes that a day's tokens take when as much of their time is used as `nodes` says.
double NodesAt(const Service& service, const DayOfNodes& nodes, const PrefillPlan& prefill,
               const DecodePlan& decode) {
  const double node = service.node_devices.likely;
  return NodesFor(service, node * nodes.prefill_use * prefill.with_hits,
                  node * nodes.decode_use * decode.output);
}

// What the variants change in a day's cost. The share of the nodes' time that is used stays, so
// that whole groups of nodes do not hide it.
void AddSavings(const ServingScenario& s, const Architecture& architecture,
                const std::vector<Variant>& variants, const DayOfNodes& nodes, double base,
                Report& report) {
  ReportSection& section =
      report.sections.emplace_back(ReportSection{"a day's cost if one thing were different", {}});
  for (const Variant& variant : variants) {
    ServingScenario other = s;
    try {
      variant.change(other);
      const Architecture& model = variant.architecture ? *variant.architecture : architecture;
      const double changed = NodesAt(other.service, nodes,
                                     PlanPrefill(model, other.service, other.device, other.kernels),
                                     PlanDecode(model, other.service, other.device, other.kernels));
      const Dollars cost =
          PlanDay(other.service, changed, PerHour(other.rent.likely), other.price).cost;
      section.AddNumber(variant.key, variant.label, 100 * (changed / base - 1), 1, kMade,
                        fmt::format("{} a day", Format(cost)), "%");
      if (changed > base) section.rows.back().shown.insert(0, "+");
    } catch (const Error& error) {
      section.AddText(variant.key, variant.label, fmt::format("does not work: {}", error.what()));
    }
  }
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
  const Published::Serve& p = Published::Get().serve;
  const auto add = [&](const char* key, double gigabytes, const SourcedValue& published) {
    const Seconds bound = ExchangeBound(s.config, 32, Bytes(1e9 * gigabytes) / Seconds(1));
    section.Add(key, fmt::format("time per output token at {:g} GB/s", gigabytes), bound, kMade,
                fmt::format("{:.0f} tokens/s{}", 1 / bound.value(),
                            s.compare_with_published ? "; " + PublishedAs(published, "s") : ""));
  };
  add("bound_50", 50, p.bound_50_s);
  add("bound_900", 900, p.bound_900_s);
}

}  // namespace

Report ReportServing(const ServingScenario& scenario) {
  ServingScenario s = scenario;
  const Architecture architecture = DescribeArchitecture(s.config);
  PlacedBalance plain;
  if (!s.loads.empty()) plain = PlaceLoads(s.config, s.device, s.loads, s.service);
  const std::vector<Variant> variants = VariantsOf(s);
  DayOfNodes nodes;
  const auto evaluate = [&] {
    const PrefillPlan prefill = PlanPrefill(architecture, s.service, s.device, s.kernels);
    const DecodePlan decode = PlanDecode(architecture, s.service, s.device, s.kernels);
    Report report{.command = "serve",
                  .title = fmt::format("Serving {} on {}", s.model, s.device.name)};
    AddInputs(s, report);
    nodes =
        PlanNodes(s.config, s.service, s.service.node_devices.likely * prefill.with_hits, decode);
    AddRates(s, prefill, decode, nodes, report);
    AddNodes(s, nodes, report);
    AddMoney(s, prefill, decode, nodes, report);
    AddBounds(s, report);
    if (!s.loads.empty()) AddPlacement(s, plain, report);
    AddSavings(s, architecture, variants, nodes, NodesAt(s.service, nodes, prefill, decode),
               report);
    return report;
  };
  Report report = evaluate();
  const DayOfNodes likely = nodes;
  AddIntervals(AllUncertainInputs(s), evaluate, {{{"a day", "output_cost"}, {"a day", "margin"}}},
               s.seed, s.samples, report);
  AddHours(likely, report);
  AddSweeps(s, architecture, likely.decode_use, report);
  return report;
}

}  // namespace fathom

// How fast devices serve, and how many nodes the demand of a day takes.

#include <algorithm>
#include <limits>

#include "plan/published.h"
#include "plan/serving_sections.h"

namespace fathom {
namespace {

double OutputCost(const ServingScenario& s, const DecodePlan& decode, double use) {
  return PerMillionTokens(PerHour(s.rent.likely) / (use * decode.output));
}

}  // namespace

void AddServingRates(const ServingScenario& s, const PrefillPlan& prefill, const DecodePlan& decode,
                     const DayOfNodes& nodes, Report& report) {
  const double node = s.service.node_devices.likely;
  ReportSection& p = report.sections.emplace_back(ReportSection{"prefill", {}});
  p.Add("compute", "a chunk's computing", prefill.compute.total(), Origin::kPrediction,
        fmt::format("products {}, attention {}, elementwise {}", Format(prefill.compute.products),
                    Format(prefill.compute.attention), Format(prefill.compute.elementwise)));
  p.Add("exchange", "its expert exchange", prefill.exchange, Origin::kPrediction,
        "overlapped: the longer of the two counts");
  p.Add("node_computed", "a full node, tokens computed", node * prefill.computed,
        Origin::kPrediction);
  p.Add("node_with_hits", "a full node, cached tokens counted", node * prefill.with_hits,
        Origin::kPrediction);
  const TokensPerSecond prefilled = node * nodes.prefill_use * prefill.with_hits;
  p.Add("node_mean", "a node over the day", prefilled, Origin::kPrediction,
        s.compare_with_published
            ? Against(Published::Get().serve.prefill_node, prefilled.value(), "token/s")
            : "");
  ReportSection& d = report.sections.emplace_back(ReportSection{"decode", {}});
  d.AddNumber(
      "batch",
      s.service.tensor > 1 ? "sequences on tensor-parallel devices" : "sequences on a device",
      decode.batch, 0, Origin::kPrediction,
      decode.memory_bound ? "as many as the memory holds" : "as many as the speed allows");
  d.Add("weights", "weights of a device", decode.weights, Origin::kPrediction);
  d.Add("cache", "cache of a device", decode.cache, Origin::kPrediction);
  d.Add("compute", "a step's computing", decode.compute.total(), Origin::kPrediction,
        fmt::format("products {}, attention {}", Format(decode.compute.products),
                    Format(decode.compute.attention)));
  d.Add("exchange", "its expert exchange", decode.exchange, Origin::kPrediction);
  if (s.service.drafts > 0) {
    d.AddNumber("tokens_per_step", "tokens a step", s.service.TokensPerStep(), 2,
                Origin::kPrediction, fmt::format("{} drafted", s.service.drafts));
  }
  d.Add("step", "a step", decode.step, Origin::kPrediction);
  d.Add("token", "time per output token", decode.token, Origin::kPrediction,
        fmt::format("{:.1f} tokens/s for each user", 1 / decode.token.value()));
  d.Add("node", "a full node", node * decode.output, Origin::kPrediction);
  const TokensPerSecond decoded = node * nodes.decode_use * decode.output;
  d.Add("node_mean", "a node over the day", decoded, Origin::kPrediction,
        s.compare_with_published
            ? Against(Published::Get().serve.decode_node, decoded.value(), "token/s")
            : "");
}

void AddServingNodes(const ServingScenario& s, const DayOfNodes& nodes, Report& report) {
  ReportSection& section =
      report.sections.emplace_back(ReportSection{"nodes, from the demand by the hour", {}});
  const auto against = [&](const SourcedValue& published, double value) {
    return s.compare_with_published ? Against(published, value) : "";
  };
  const auto [night, peak] = std::minmax_element(nodes.demand.begin(), nodes.demand.end());
  section.AddNumber("peak_demand", "demand of the peak's hour / mean", *peak, 2,
                    Origin::kPrediction);
  section.AddNumber("night_demand", "demand of the night's hour / mean", *night, 2,
                    Origin::kPrediction);
  section.AddNumber(
      "load", "places that may be taken at the peak", 100 * nodes.load, 1, Origin::kPrediction,
      fmt::format("Erlang's B, {:g} % refused", 100 * s.service.refusals.likely), "%");
  section.AddNumber("peak", "nodes at the peak", nodes.peak, 1, Origin::kPrediction,
                    against(s.service.peak_nodes, nodes.peak));
  section.AddNumber("mean", "nodes over the day", nodes.mean, 1, Origin::kPrediction,
                    against(s.service.mean_nodes, nodes.mean));
  section.AddNumber("mean_to_peak", "mean, of the peak's nodes", 100 * nodes.mean / nodes.peak, 1,
                    Origin::kPrediction,
                    s.compare_with_published
                        ? fmt::format("published {:.1f} %", 100 * s.service.mean_nodes.likely /
                                                                s.service.peak_nodes.likely)
                        : "",
                    "%");
  section.AddNumber("prefill_use", "share of the prefill nodes' time that is used",
                    100 * nodes.prefill_use, 1, Origin::kPrediction, "", "%");
  section.AddNumber("decode_use", "share of the decode nodes' time that is used",
                    100 * nodes.decode_use, 1, Origin::kPrediction, "", "%");
}

void AddServingHours(const DayOfNodes& nodes, Report& report) {
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

// The largest batch that keeps the users' speed at other contexts, and what other batches give at
// this one.
void AddServingSweeps(const ServingScenario& s, const Architecture& architecture, double use,
                      Report& report) {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  const double node = s.service.node_devices.likely;
  ReportTable contexts{.name = "contexts, at the users' speed",
                       .columns = {{"context", "context", "tokens"},
                                   {"batch", "largest batch", "1"},
                                   {"token", "a token", "s"},
                                   {"node", "a full node", "token/s"},
                                   {"output_cost", "a million tokens", "USD"}}};
  contexts.note = fmt::format(
      "{:g} tokens/s for each user; tokens: of output; -: not even one sequence keeps the speed, "
      "or "
      "fits",
      s.service.user_tokens_per_s.likely);
  for (double context = 1024; context <= 131072; context *= 2) {
    const auto plan = DecodeAtContext(architecture, s.service, s.device, s.kernels, context);
    if (plan) {
      contexts.rows.push_back({context, plan->batch, plan->token.value(),
                               node * plan->output.value(), OutputCost(s, *plan, use)});
    } else {
      contexts.rows.push_back({context, kNone, kNone, kNone, kNone});
    }
  }
  ReportTable batches{.name = "batches, at the mean context",
                      .columns = {{"batch", "batch", "1"},
                                  {"token", "a token", "s"},
                                  {"user", "each user", "token/s"},
                                  {"node", "a full node", "token/s"},
                                  {"memory", "memory", "B"},
                                  {"output_cost", "a million tokens", "USD"}},
                      .note = fmt::format("{} tokens; memory: weights and cache; tokens: of output",
                                          FormatNumber(s.service.mean_context.likely))};
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

}  // namespace fathom

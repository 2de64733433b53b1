#include <algorithm>
#include <vector>

#include "plan/device_inputs.h"
#include "plan/intervals.h"
#include "plan/published.h"
#include "plan/serving_sections.h"

namespace fathom {
namespace {

std::string PrecisionOf(const ServingScenario& s) {
  if (s.service.precision == PlanPrecision::kBf16) return "bf16";
  if (s.device.fp8_tflops) return "FP8";
  return s.device.int8_tops
             ? "INT8, which stands for FP8 on this device"
             : "bf16, out of weights of a byte: this device has neither FP8 nor INT8";
}

void AddInputs(const ServingScenario& s, Report& report) {
  ReportSection& section = report.sections.emplace_back(ReportSection{"inputs", {}});
  section.AddText("model", "model", s.model);
  section.AddText("device", "device", s.device.name);
  section.AddText("precision", "products in", PrecisionOf(s));
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

void AddPlacement(const ServingScenario& s, const PlacedBalance& plain, Report& report) {
  ReportSection& section = report.sections.emplace_back(
      ReportSection{"placement of experts (speed against perfect balance)", {}});
  section.AddNumber("prefill_plain", "prefill, every expert once", plain.prefill_plain, 3,
                    Origin::kPrediction);
  section.AddNumber("prefill", "prefill, with redundant experts", *s.service.prefill_balance, 3,
                    Origin::kPrediction);
  section.AddNumber("decode_plain", "decoding, every expert once", plain.decode_plain, 3,
                    Origin::kPrediction);
  section.AddNumber("decode", "decoding, with redundant experts", *s.service.decode_balance, 3,
                    Origin::kPrediction);
}

// What the network alone allows (ISCA 2025, 2.3.2).
void AddBounds(const ServingScenario& s, Report& report) {
  if (s.config.n_routed_experts == 0) return;
  ReportSection& section =
      report.sections.emplace_back(ReportSection{"if only expert exchange took time", {}});
  for (const double gigabytes : {50.0, 900.0}) {
    const Seconds bound = ExchangeBound(s.config, 32, Bytes(1e9 * gigabytes) / Seconds(1));
    section.Add(fmt::format("bound_{:g}", gigabytes),
                fmt::format("time per output token at {:g} GB/s", gigabytes), bound,
                Origin::kPrediction, fmt::format("{:.0f} tokens/s", 1 / bound.value()));
  }
}

}  // namespace

Report ReportServing(const ServingScenario& scenario) {
  ServingScenario s = scenario;
  const Architecture architecture = DescribeArchitecture(s.config);
  PlacedBalance plain;
  if (!s.loads.empty()) plain = PlaceLoads(s.config, s.device, s.loads, s.service);
  const std::vector<ServingVariant> variants = ServingVariantsOf(s);
  DayOfNodes nodes;
  const auto evaluate = [&] {
    const PrefillPlan prefill = PlanPrefill(architecture, s.service, s.device, s.kernels);
    const DecodePlan decode = PlanDecode(architecture, s.service, s.device, s.kernels);
    Report report{.command = "serve",
                  .title = fmt::format("Serving {} on {}", s.model, s.device.name)};
    AddInputs(s, report);
    nodes =
        PlanNodes(s.config, s.service, s.service.node_devices.likely * prefill.with_hits, decode);
    AddServingRates(s, prefill, decode, nodes, report);
    AddServingNodes(s, nodes, report);
    AddServingMoney(s, prefill, decode, nodes, report);
    if (s.compare_with_published) AddPublishedServing(s, report);
    AddBounds(s, report);
    if (!s.loads.empty()) AddPlacement(s, plain, report);
    AddServingSavings(s, architecture, variants, prefill, decode, nodes, report);
    return report;
  };
  Report report = evaluate();
  report.answers = {{"a day", "hit_cost"}, {"a day", "miss_cost"}, {"a day", "output_cost"},
                    {"a day", "nodes"},    {"a day", "cost"},      {"a day", "margin"}};
  const DayOfNodes likely = nodes;
  AddIntervals(AllUncertainInputs(s), evaluate, {{{"a day", "output_cost"}, {"a day", "margin"}}},
               s.seed, s.samples, report);
  AddServingHours(likely, report);
  AddServingSweeps(s, architecture, likely.decode_use, report);
  return report;
}

}  // namespace fathom

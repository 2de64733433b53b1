// What parts of a service's design save.

#include "base/error.h"
#include "plan/serving_sections.h"

namespace fathom {
std::vector<ServingVariant> ServingVariantsOf(const ServingScenario& s) {
  std::vector<ServingVariant> variants;
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
      add_heads("gqa", "grouped-query attention with 8 KV heads", 8);
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

namespace {

// Nodes that a day's tokens take when as much of their time is used as `nodes` says.
double NodesAt(const Service& service, const DayOfNodes& nodes, const PrefillPlan& prefill,
               const DecodePlan& decode) {
  const double node = service.node_devices.likely;
  return NodesFor(service, node * nodes.prefill_use * prefill.with_hits,
                  node * nodes.decode_use * decode.output);
}

}  // namespace

void AddServingSavings(const ServingScenario& s, const Architecture& architecture,
                       const std::vector<ServingVariant>& variants, const PrefillPlan& prefill,
                       const DecodePlan& decode, const DayOfNodes& nodes, Report& report) {
  ReportSection& section =
      report.sections.emplace_back(ReportSection{"a day's cost if one thing were different", {}});
  const double base = NodesAt(s.service, nodes, prefill, decode);
  for (const ServingVariant& variant : variants) {
    ServingScenario other = s;
    try {
      variant.change(other);
      const Architecture& model = variant.architecture ? *variant.architecture : architecture;
      const DecodePlan decoding = PlanDecode(model, other.service, other.device, other.kernels);
      const double changed =
          NodesAt(other.service, nodes,
                  PlanPrefill(model, other.service, other.device, other.kernels), decoding);
      const Dollars cost =
          PlanDay(other.service, changed, PerHour(other.rent.likely), other.price).cost;
      section.AddNumber(
          variant.key, variant.label, 100 * (changed / base - 1), 1, Origin::kPrediction,
          fmt::format("{} a day; batch {} on a device", Format(cost), FormatNumber(decoding.batch)),
          "%");
      if (changed > base) section.rows.back().shown.insert(0, "+");
    } catch (const Error& error) {
      section.AddText(variant.key, variant.label, fmt::format("does not work: {}", error.what()));
    }
  }
}

}  // namespace fathom

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "plan/built_in_data.h"
#include "plan/serving.h"

namespace fathom {
namespace {

void Read(std::string_view text, const std::string& where, bool is_base, Service& service) {
  const toml::table parsed = ParseToml(text, where, {});
  TomlTable file(&parsed, where);
  TomlTable table = file.Table("service");
  const auto field = [&](std::string_view key, SourcedValue& value, double smallest,
                         double largest) {
    if (is_base) table.Require(key);
    value = *ReadSourced(table, key, smallest, largest, value);
  };
  field("input_tokens", service.input_tokens, 1, 1e18);
  field("cached_tokens", service.cached_tokens, 0, 1e18);
  field("output_tokens", service.output_tokens, 1, 1e18);
  field("mean_nodes", service.mean_nodes, 0.01, 1e7);
  field("peak_nodes", service.peak_nodes, 0.01, 1e7);
  field("node_devices", service.node_devices, 1, 1e4);
  field("mean_context", service.mean_context, 1, 1e8);
  field("user_tokens_per_s", service.user_tokens_per_s, 0.01, 1e5);
  field("prefill_devices", service.prefill_devices, 1, 1e5);
  field("decode_devices", service.decode_devices, 1, 1e5);
  field("redundant_experts", service.redundant_experts, 0, 1e5);
  field("prefill_chunk", service.prefill_chunk, 1, 1e7);
  field("demand_peak_to_mean", service.demand_peak_to_mean, 1, 100);
  field("utilisation_at_peak", service.utilisation_at_peak, 0.01, 1);
  field("memory_used", service.memory_used, 0.01, 1);
  field("expert_balance", service.expert_balance, 0.01, 1);
  field("mtp_acceptance", service.mtp_acceptance, 0, 1);
  table.Finish();
  file.Finish();
  if (service.cached_tokens.likely >= service.input_tokens.likely) {
    throw Error(table.PathOf("cached_tokens"), "is not less than input_tokens");
  }
  if (service.peak_nodes.likely < service.mean_nodes.likely) {
    throw Error(table.PathOf("peak_nodes"), "is less than mean_nodes");
  }
}

}  // namespace

Service Service::Load(const std::optional<std::filesystem::path>& over) {
  Service service;
  Read(BuiltInData("service"), "built-in service.toml", true, service);
  if (over) Read(ReadFile(*over), over->string(), false, service);
  return service;
}

double Service::TokensPerStep() const {
  double tokens = 1, right = 1;
  for (int64_t i = 0; i < drafts; ++i) tokens += right *= mtp_acceptance.likely;
  return tokens;
}

double Service::MeanUtilisation() const {
  // At the peak, peak_nodes are used to utilisation_at_peak; the mean demand is peak_to_mean times
  // less and is served by mean_nodes.
  const double mean = utilisation_at_peak.likely / demand_peak_to_mean.likely * peak_nodes.likely /
                      mean_nodes.likely;
  return std::min(mean, utilisation_at_peak.likely);
}

}  // namespace fathom

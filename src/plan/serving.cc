#include "plan/serving.h"

#include <algorithm>
#include <cmath>

#include "plan/exchange.h"
#include "plan/expert_placement.h"
#include "plan/serving_experts.h"

namespace fathom {

double ExpertReplicas(const ModelConfig& config, const Service& service) {
  if (config.n_routed_experts == 0) return 1;
  return 1 + service.redundant_experts.likely / static_cast<double>(config.n_routed_experts);
}

double ExpertBalance(const ModelConfig& config, const std::optional<double>& placed,
                     const Service& service, double group) {
  if (config.n_routed_experts == 0 || group <= 1) return 1;
  return placed.value_or(service.expert_balance.likely);
}

namespace {

double ExpertLayers(const Architecture& architecture) {
  double layers = 0;
  for (const LayerShape& layer : architecture.layers) layers += layer.moe ? 1 : 0;
  return layers;
}

}  // namespace

PrefillPlan PlanPrefill(const Architecture& architecture, const Service& service,
                        const Accelerator& device, const Kernels& kernels) {
  const double hits = service.hit_rate(), prompt = service.mean_context.likely;
  const auto group = static_cast<int64_t>(service.prefill_devices.likely);
  // Of a chunk, each token of which meets a prefix of `cached` tokens and half of what is new.
  const auto compute = [&](double cached) {
    // Half a chunk is a micro-batch.
    const WorkShape shape{.precision = service.precision,
                          .tokens = service.prefill_chunk.likely / 2,
                          .keys = cached + prompt * (1 - hits) / 2,
                          .expert_parallel = static_cast<double>(group),
                          .expert_replicas = ExpertReplicas(architecture.config, service),
                          .communicates = group > 1};
    WorkTime time;
    for (const auto& [index, count] : architecture.groups) {
      const LayerShape& layer = architecture.layers[index];
      const double layers = static_cast<double>(count);
      time += LayerTime(architecture, layer, device, kernels, shape, Phase::kForward) * layers;
      // Keys and values of cached tokens are made from their latents again.
      for (const MatrixProduct& product : layer.products) {
        if (product.name != "self_attn.kv_b_proj" || cached == 0) continue;
        time.products +=
            layers * ProductTime(product, shape.tokens * cached / (prompt * (1 - hits)), 1, device,
                                 kernels, shape.precision, shape.communicates);
      }
    }
    return time * 2;
  };
  PrefillPlan plan{.compute = compute(prompt * hits)};
  const Tokens chunk(service.prefill_chunk.likely);
  plan.exchange = ExpertExchange(architecture.config, device, group, service.precision) * chunk *
                  ExpertLayers(architecture);
  const Seconds time = std::max(plan.compute.total(), plan.exchange);
  plan.cached_share = 1 - std::max(compute(0).total(), plan.exchange) / time;
  plan.computed = chunk / time *
                  ExpertBalance(architecture.config, service.prefill_balance, service,
                                static_cast<double>(group));
  plan.with_hits = plan.computed / (1 - hits);
  return plan;
}

PlacedBalance PlaceLoads(const ModelConfig& config, const Accelerator& device,
                         const std::vector<double>& loads, Service& service) {
  PlacedBalance plain;
  const auto place = [&](double group, bool hierarchical, std::optional<double>& balance) {
    const auto devices = static_cast<int64_t>(group);
    const double hosted =
        static_cast<double>(config.n_routed_experts) + service.redundant_experts.likely;
    PlacementShape shape{.devices = devices,
                         .slots = static_cast<int64_t>(std::ceil(hosted / group - 1e-9))};
    if (hierarchical && devices % device.group_size() == 0) {
      shape.servers = devices / device.group_size();
      shape.groups = std::max<int64_t>(config.n_group, 1);
    }
    balance = PlaceExperts(loads, shape).balance();
    return PlaceWithoutRedundancy(loads, shape).balance();
  };
  plain.prefill_plain = place(service.prefill_devices.likely, true, service.prefill_balance);
  plain.decode_plain = place(service.decode_devices.likely, false, service.decode_balance);
  return plain;
}

Seconds ExchangeBound(const ModelConfig& config, double tokens, BytesPerSecond link) {
  const Bytes layer(3 * tokens *
                    static_cast<double>((config.num_experts_per_tok + config.n_shared_experts) *
                                        config.hidden_size));
  return 2.0 * static_cast<double>(config.num_hidden_layers) * (layer / link);
}

ServingDay PlanDay(const Service& service, double nodes, DollarsPerSecond rent,
                   const ApiPrice& price) {
  const double cached = service.cached_tokens.likely;
  return {.nodes = nodes,
          .cost = nodes * service.node_devices.likely * (rent * Days(1)),
          .income = price.Income(Tokens(cached), Tokens(service.input_tokens.likely - cached),
                                 Tokens(service.output_tokens.likely))};
}

double NodesFor(const Service& service, TokensPerSecond prefill_node, TokensPerSecond decode_node) {
  return Tokens(service.input_tokens.likely) / (prefill_node * Days(1)) +
         Tokens(service.output_tokens.likely) / (decode_node * Days(1));
}

}  // namespace fathom

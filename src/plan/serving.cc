#include "plan/serving.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "plan/exchange.h"

namespace fathom {
namespace {

double ExpertReplicas(const ModelConfig& config, const Service& service) {
  if (config.n_routed_experts == 0) return 1;
  return 1 + service.redundant_experts.likely / static_cast<double>(config.n_routed_experts);
}

double ExpertLayers(const Architecture& architecture) {
  double layers = 0;
  for (const LayerShape& layer : architecture.layers) layers += layer.moe ? 1 : 0;
  return layers;
}

// A group that shares experts waits for its fullest device.
double Balance(const ModelConfig& config, const Service& service, double group) {
  return config.n_routed_experts > 0 && group > 1 ? service.expert_balance.likely : 1;
}

// Weights of a device of a decode group: a byte a parameter, embedding and head in bf16.
Bytes DecodeWeights(const Architecture& architecture, const Service& service) {
  double bytes = 4.0 * static_cast<double>(architecture.config.vocab_size) *
                 static_cast<double>(architecture.config.hidden_size);
  const double share = ExpertReplicas(architecture.config, service) / service.decode_devices.likely;
  for (const LayerShape& layer : architecture.layers) {
    bytes += static_cast<double>(layer.parameters - layer.routed_parameters) +
             static_cast<double>(layer.routed_parameters) * share;
  }
  return Bytes(bytes);
}

}  // namespace

PrefillPlan PlanPrefill(const Architecture& architecture, const Service& service,
                        const Accelerator& device, const Kernels& kernels) {
  const double hits = service.hit_rate(), prompt = service.mean_context.likely;
  const auto group = static_cast<int64_t>(service.prefill_devices.likely);
  // Half a chunk is a micro-batch.
  const WorkShape shape{.tokens = service.prefill_chunk.likely / 2,
                        .keys = prompt * hits + prompt * (1 - hits) / 2,
                        .expert_parallel = static_cast<double>(group),
                        .expert_replicas = ExpertReplicas(architecture.config, service),
                        .communicates = group > 1};
  PrefillPlan plan;
  for (const LayerShape& layer : architecture.layers) {
    plan.compute += LayerTime(architecture, layer, device, kernels, shape, Phase::kForward);
    // Keys and values of cached tokens are made from their latents again.
    for (const MatrixProduct& product : layer.products) {
      if (product.name != "self_attn.kv_b_proj") continue;
      plan.compute.products += ProductTime(product, shape.tokens * hits / (1 - hits), 1, device,
                                           kernels, shape.precision, shape.communicates);
    }
  }
  plan.compute = plan.compute * 2;
  const Tokens chunk(service.prefill_chunk.likely);
  plan.exchange = ExpertExchange(architecture.config, device, group, shape.precision) * chunk *
                  ExpertLayers(architecture);
  plan.computed = chunk / std::max(plan.compute.total(), plan.exchange) *
                  Balance(architecture.config, service, static_cast<double>(group));
  plan.with_hits = plan.computed / (1 - hits);
  return plan;
}

DecodePlan PlanDecodeStep(const Architecture& architecture, const Service& service,
                          const Accelerator& device, const Kernels& kernels, double batch) {
  const ModelConfig& config = architecture.config;
  const double micro_batch = batch / 2;
  const WorkShape shape{.tokens = micro_batch,
                        .keys = service.mean_context.likely,
                        .expert_parallel = service.decode_devices.likely,
                        .expert_replicas = ExpertReplicas(config, service),
                        .communicates = false,
                        .form = AttentionForm::kAbsorbed};
  const double scale = micro_batch / 128 * static_cast<double>(config.hidden_size) / 7168 *
                       static_cast<double>(config.num_experts_per_tok) / 8 *
                       (kernels.low_latency_network / device.scale_out());
  const Seconds exchange =
      service.decode_devices.likely > 1
          ? scale * (kernels.low_latency_dispatch + kernels.low_latency_combine)
          : Seconds(0);
  DecodePlan plan{.batch = batch};
  for (const LayerShape& layer : architecture.layers) {
    const WorkTime time = LayerTime(architecture, layer, device, kernels, shape, Phase::kForward);
    plan.compute += time * 2;
    if (layer.moe) plan.exchange += 2 * exchange;
    plan.step += 2 * std::max(time.total(), layer.moe ? exchange : Seconds(0));
  }
  plan.step = plan.step / Balance(config, service, service.decode_devices.likely);
  const Seconds head =
      ProductTime(architecture.head, batch, 1, device, kernels, PlanPrecision::kBf16, false);
  plan.compute.products += head;
  plan.step += head;
  plan.weights = DecodeWeights(architecture, service);
  plan.cache = CacheBytes(config) * Tokens(service.mean_context.likely * batch);
  plan.output = Tokens(batch) / plan.step;
  return plan;
}

DecodePlan PlanDecode(const Architecture& architecture, const Service& service,
                      const Accelerator& device, const Kernels& kernels) {
  const Bytes room =
      device.memory() * service.memory_used.likely - DecodeWeights(architecture, service);
  const Bytes sequence = CacheBytes(architecture.config) * Tokens(service.mean_context.likely);
  const double by_memory = std::floor(room / sequence);
  if (by_memory < 1) {
    throw Error(
        "memory",
        fmt::format("a device of {} that decode has {} left beside its weights, and one "
                    "sequence's cache takes {}",
                    service.decode_devices.likely,
                    room > Bytes(0) ? Format(room) : std::string("nothing"), Format(sequence)),
        architecture.config.n_routed_experts > 0
            ? "more decode_devices share the experts' weights"
            : "weights of dense models are not shared out: it takes a larger device");
  }
  const Seconds target = Tokens(1) / TokensPerSecond(service.user_tokens_per_s.likely);
  const auto at = [&](double batch) {
    return PlanDecodeStep(architecture, service, device, kernels, batch);
  };
  if (at(1).step > target) {
    throw Error("user_tokens_per_s",
                fmt::format("a single sequence takes {} a token, longer than {}",
                            Format(at(1).step), Format(target)),
                fmt::format("at most {:.1f} tokens/s can be asked for", 1 / at(1).step.value()));
  }
  double low = 1, high = by_memory;
  if (at(high).step <= target) {
    DecodePlan plan = at(high);
    plan.memory_bound = true;
    return plan;
  }
  while (high - low > 1) {
    const double middle = std::floor((low + high) / 2);
    (at(middle).step <= target ? low : high) = middle;
  }
  return at(low);
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

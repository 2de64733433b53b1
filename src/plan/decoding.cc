// How fast a group decodes: its step, the largest batch that keeps the users' speed.

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "plan/divisors.h"
#include "plan/serving_experts.h"

namespace fathom {
namespace {

// Sums of hidden states over tensor-parallel devices: two a layer, rings over the server's links.
Seconds TensorSums(const Architecture& architecture, const Service& service,
                   const Accelerator& device, double tokens) {
  if (service.tensor == 1) return Seconds(0);
  const double t = static_cast<double>(service.tensor);
  const Bytes hidden(2.0 * static_cast<double>(architecture.config.hidden_size) * tokens);
  const BytesPerSecond link =
      service.tensor <= device.group_size() ? device.scale_up() : device.scale_out();
  return 2 * static_cast<double>(architecture.layers.size()) * (2 * (t - 1) / t) * (hidden / link);
}

// Weights of a device of a decode group: embedding and head in bf16. Tensor-parallel devices share
// everything but routed experts, which the whole group shares; stages share layers.
Bytes DecodeWeights(const Architecture& architecture, const Service& service) {
  const double element = service.precision == PlanPrecision::kFp8 ? 1 : 2;
  const double tensor = static_cast<double>(service.tensor),
               stages = static_cast<double>(service.pipeline);
  const double ends = 4.0 * static_cast<double>(architecture.config.vocab_size) *
                      static_cast<double>(architecture.config.hidden_size) / tensor;
  const double share = ExpertReplicas(architecture.config, service) / service.decode_devices.likely;
  double layers = 0;
  const auto add = [&](const LayerShape& layer) {
    layers += static_cast<double>(layer.parameters - layer.routed_parameters) / tensor +
              static_cast<double>(layer.routed_parameters) * share;
  };
  for (const LayerShape& layer : architecture.layers) add(layer);
  if (service.drafts > 0) {
    for (const LayerShape& layer : architecture.mtp) add(layer);
  }
  // The last stage has the head, the first one the embedding.
  return Bytes(element * layers / stages + (stages > 1 ? ends / 2 : ends));
}

// Of one sequence, on one device.
Bytes SequenceCache(const Architecture& architecture, const Service& service) {
  const double drafts =
      static_cast<double>(service.drafts) / static_cast<double>(architecture.layers.size());
  return CacheBytes(architecture.config) * Tokens(service.mean_context.likely) * (1 + drafts) /
         CacheShare(architecture.config, static_cast<double>(service.tensor));
}

void CheckService(const Architecture& architecture, const Service& service) {
  const ModelConfig& config = architecture.config;
  if (config.num_attention_heads % service.tensor != 0) {
    throw UsageError(
        "tp",
        fmt::format("{} does not divide {} heads", service.tensor, config.num_attention_heads),
        fmt::format("the nearest that fits is {}",
                    NearestDivisor(config.num_attention_heads, service.tensor)));
  }
  if (service.pipeline > config.num_hidden_layers) {
    throw UsageError("pp",
                     fmt::format("{} stages are more than {} layers", service.pipeline,
                                 config.num_hidden_layers),
                     fmt::format("at most {} fit", config.num_hidden_layers));
  }
  if (service.drafts > 0 && architecture.mtp.empty()) {
    throw UsageError("mtp", "the model has no MTP module", "0 fits");
  }
}

// A step of `batch` sequences in so many micro-batches.
DecodePlan DecodeInMicroBatches(const Architecture& architecture, const Service& service,
                                const Accelerator& device, const Kernels& kernels, double batch,
                                double micro_batches) {
  const ModelConfig& config = architecture.config;
  const double tensor = static_cast<double>(service.tensor);
  const double positions = 1 + static_cast<double>(service.drafts);
  const double micro_batch = batch / micro_batches;
  WorkShape shape{.precision = service.precision,
                  .tokens = micro_batch * positions,
                  .keys = service.mean_context.likely,
                  .expert_parallel = service.decode_devices.likely,
                  .expert_replicas = ExpertReplicas(config, service),
                  .tensor_parallel = tensor,
                  .queries_per_cache = positions,
                  .communicates = false,
                  .form = AttentionForm::kAbsorbed};
  // Bytes are those of FP8 dispatch and bf16 combine; in bf16 both are combines.
  const Kernels::LowLatency measured = kernels.LowLatencyOf(service.decode_devices.likely);
  const Seconds both =
      measured.combine +
      (service.precision == PlanPrecision::kFp8 ? measured.dispatch : measured.combine);
  const auto exchange_of = [&](double tokens) {
    const double scale = tokens / tensor / 128 * static_cast<double>(config.hidden_size) / 7168 *
                         static_cast<double>(config.num_experts_per_tok) / 8 *
                         (kernels.measured_network / device.scale_out());
    return service.decode_devices.likely > 1 ? scale * both : Seconds(0);
  };
  DecodePlan plan{.batch = batch};
  const auto add = [&](const LayerShape& layer, double layers) {
    const WorkTime time = LayerTime(architecture, layer, device, kernels, shape, Phase::kForward);
    const Seconds exchange = layer.moe ? exchange_of(shape.tokens) : Seconds(0);
    plan.compute += time * (micro_batches * layers);
    plan.exchange += micro_batches * layers * exchange;
    plan.step += micro_batches * layers *
                 (micro_batches > 1 ? std::max(time.total(), exchange) : time.total() + exchange);
  };
  for (const auto& [index, count] : architecture.groups) {
    add(architecture.layers[index], static_cast<double>(count));
  }
  // Each draft runs a module and the head for one position of every sequence.
  shape.tokens = micro_batch;
  shape.queries_per_cache = 1;
  if (service.drafts > 0) add(architecture.mtp.front(), static_cast<double>(service.drafts));
  plan.step = plan.step /
              ExpertBalance(config, service.decode_balance, service, service.decode_devices.likely);
  const auto head = [&](double rows) {
    return ProductTime(architecture.head, rows, 1 / tensor, device, kernels, PlanPrecision::kBf16,
                       false);
  };
  const Seconds heads = head(batch * positions) + static_cast<double>(service.drafts) * head(batch);
  const Seconds sums = TensorSums(architecture, service, device, batch * positions);
  // Hidden states are sent to the next stage.
  const double stages = static_cast<double>(service.pipeline);
  const Seconds sends =
      (stages - 1) *
      (Bytes(2 * batch * positions * static_cast<double>(config.hidden_size) / tensor) /
       device.scale_out());
  plan.compute.products += heads;
  plan.exchange += sums + sends;
  plan.step += heads + sums + sends;
  plan.token = plan.step / service.TokensPerStep();
  plan.weights = DecodeWeights(architecture, service);
  plan.cache = SequenceCache(architecture, service) * batch;
  // Every stage has a batch of its own under way, so that none waits.
  plan.output = Tokens(batch * service.TokensPerStep() / tensor) / plan.step;
  return plan;
}

}  // namespace

DecodePlan PlanDecodeStep(const Architecture& architecture, const Service& service,
                          const Accelerator& device, const Kernels& kernels, double batch) {
  const auto in = [&](double micro_batches) {
    return DecodeInMicroBatches(architecture, service, device, kernels, batch, micro_batches);
  };
  // Each micro-batch reads the weights again, which costs small batches more than it hides.
  const DecodePlan whole = in(1), halves = in(2);
  return whole.step <= halves.step ? whole : halves;
}

namespace {

// What would make a sequence fit when the weights alone fill a device.
std::string LargerGroup(const Architecture& architecture, const Service& service,
                        const Accelerator& device) {
  Service larger = service;
  const auto fits = [&] {
    return DecodeWeights(architecture, larger) + SequenceCache(architecture, larger) <=
           device.memory() * service.memory_used.likely;
  };
  if (architecture.config.n_routed_experts == 0) {
    for (larger.tensor *= 2; architecture.config.num_attention_heads % larger.tensor == 0;
         larger.tensor *= 2) {
      if (fits()) return fmt::format("the nearest tp that fits is {}", larger.tensor);
    }
    return "a larger pp shares the weights out";
  }
  // In whole servers, until every device has one expert.
  const double server = service.node_devices.likely;
  const double most =
      static_cast<double>(architecture.config.n_routed_experts) + service.redundant_experts.likely;
  double& devices = larger.decode_devices.likely;
  for (devices = server * (std::floor(devices / server) + 1); devices <= most; devices += server) {
    if (fits()) return fmt::format("the nearest decode-devices that fits is {}", devices);
  }
  return "no number of decode-devices fits; a larger tp or pp shares the rest out";
}

}  // namespace

DecodePlan PlanDecode(const Architecture& architecture, const Service& service,
                      const Accelerator& device, const Kernels& kernels) {
  CheckService(architecture, service);
  const Bytes room =
      device.memory() * service.memory_used.likely - DecodeWeights(architecture, service);
  const Bytes sequence = SequenceCache(architecture, service);
  const double by_memory = std::floor(room / sequence);
  if (by_memory < 1) {
    throw Error(
        "memory",
        fmt::format("a device of {} that decode has {} left beside its weights, and one "
                    "sequence's cache takes {}",
                    service.decode_devices.likely,
                    room > Bytes(0) ? Format(room) : std::string("nothing"), Format(sequence)),
        room > Bytes(0) ? fmt::format("a context of at most {:.0f} tokens fits",
                                      std::floor(service.mean_context.likely * (room / sequence)))
                        : LargerGroup(architecture, service, device));
  }
  const Seconds target = Tokens(1) / TokensPerSecond(service.user_tokens_per_s.likely);
  const auto at = [&](double batch) {
    return PlanDecodeStep(architecture, service, device, kernels, batch);
  };
  if (at(1).token > target) {
    throw Error("speed",
                fmt::format("a single sequence takes {} a token, longer than {}",
                            Format(at(1).token), Format(target)),
                fmt::format("at most {:.1f} tokens/s can be asked for", 1 / at(1).token.value()));
  }
  double low = 1, high = by_memory;
  if (at(high).token <= target) {
    DecodePlan plan = at(high);
    plan.memory_bound = true;
    return plan;
  }
  while (high - low > 1) {
    const double middle = std::floor((low + high) / 2);
    (at(middle).token <= target ? low : high) = middle;
  }
  return at(low);
}

std::optional<DecodePlan> DecodeAtContext(const Architecture& architecture, const Service& service,
                                          const Accelerator& device, const Kernels& kernels,
                                          double context) {
  Service other = service;
  other.mean_context.likely = context;
  try {
    return PlanDecode(architecture, other, device, kernels);
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace fathom

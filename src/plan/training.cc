#include "plan/training.h"

#include <algorithm>

#include "plan/exchange.h"

namespace fathom {
namespace {

// Average work of a stage for one micro-batch in one phase.
WorkTime StageTime(const Architecture& architecture, const TrainingRun& run,
                   const TrainingLayout& layout, const Accelerator& device, const Kernels& kernels,
                   Phase phase) {
  const WorkShape shape{.precision = run.precision,
                        .tokens = static_cast<double>(layout.micro_batch * run.length),
                        .keys = static_cast<double>(run.length + 1) / 2,
                        .expert_parallel = static_cast<double>(layout.expert),
                        .tensor_parallel = static_cast<double>(layout.tensor),
                        .communicates = layout.expert > 1 && OverlapsCommunication(layout.schedule),
                        .accumulates = true};
  WorkTime time;
  const auto add = [&](const LayerShape& layer, double layers) {
    time += LayerTime(architecture, layer, device, kernels, shape, phase) * layers;
    if (phase != Phase::kBackwardInput) return;
    // Latent attention's up-projections are computed again (DeepSeek-V3 report, 3.2.3).
    for (const MatrixProduct& product : layer.products) {
      if (product.name != "self_attn.q_b_proj" && product.name != "self_attn.kv_b_proj") continue;
      time.products += layers * ProductTime(product, shape.tokens, 1 / shape.tensor_parallel,
                                            device, kernels, run.precision, shape.communicates);
    }
  };
  for (const auto& [index, count] : architecture.groups) {
    add(architecture.layers[index], static_cast<double>(count));
  }
  size_t heads = 1;
  if (run.mtp) {
    for (const LayerShape& layer : architecture.mtp) add(layer, 1);
    heads += architecture.mtp.size();
  }
  time.products += static_cast<double>(heads) *
                   ProductTime(architecture.head, shape.tokens, 1 / shape.tensor_parallel, device,
                               kernels, PlanPrecision::kBf16, shape.communicates);
  return time * (1 / static_cast<double>(layout.pipeline) / kernels.in_run.likely);
}

// Two all-reduces of the hidden states a layer and direction (a ring over the server's links).
Seconds TensorAllReduce(const Architecture& architecture, const TrainingRun& run,
                        const TrainingLayout& layout, const Accelerator& device) {
  if (layout.tensor == 1) return Seconds(0);
  const double t = static_cast<double>(layout.tensor);
  const double layers =
      static_cast<double>(architecture.layers.size()) / static_cast<double>(layout.pipeline);
  const Bytes hidden(
      2.0 * static_cast<double>(architecture.config.hidden_size * run.length * layout.micro_batch));
  const BytesPerSecond link =
      layout.tensor <= device.group_size() ? device.scale_up() : device.scale_out();
  return 4 * layers * (2 * (t - 1) / t) * (hidden / link);
}

}  // namespace

StepTime PlanStep(const Architecture& architecture, const TrainingRun& run,
                  const TrainingLayout& layout, const Accelerator& device, const Kernels& kernels) {
  CheckLayout(architecture, run, layout);
  StepTime step;
  step.micro_batches = run.batch / (layout.data() * layout.micro_batch);
  const double m = static_cast<double>(step.micro_batches);
  const auto stage = [&](Phase phase) {
    return StageTime(architecture, run, layout, device, kernels, phase);
  };
  const WorkTime forward = stage(Phase::kForward), input = stage(Phase::kBackwardInput),
                 weight = stage(Phase::kBackwardWeight);
  WorkTime chunk = forward;
  chunk += input;
  chunk += weight;
  step.compute = chunk * m;

  // Dispatch and combine, once forward and once backward.
  double expert_layers = 0;
  for (const LayerShape& layer : architecture.layers) expert_layers += layer.moe ? 1 : 0;
  if (run.mtp) {
    for (const LayerShape& layer : architecture.mtp) expert_layers += layer.moe ? 1 : 0;
  }
  const Seconds exchange =
      ExpertExchange(architecture.config, device, layout.expert, run.precision) *
      Tokens(static_cast<double>(layout.micro_batch * run.length) /
             static_cast<double>(layout.tensor)) *
      (expert_layers / static_cast<double>(layout.pipeline));
  step.exchange = 2 * m * exchange;
  if (OverlapsCommunication(layout.schedule)) {
    // While the pipeline fills and drains, chunks run alone: about P of the forward and P of the
    // backward ones on every device. The others are pairs that hide what is shorter.
    const double alone = std::min(m, static_cast<double>(layout.pipeline));
    step.exposed_exchange =
        2 * alone * exchange + (m - alone) * std::max(2 * exchange - chunk.total(), Seconds(0));
  } else {
    step.exposed_exchange = step.exchange;
  }
  const Seconds reduce = TensorAllReduce(architecture, run, layout, device);
  step.tensor_all_reduce = m * reduce;

  const Seconds backward = input.total() + weight.total();
  step.chunk = {.forward = forward.total() + exchange + 0.5 * reduce,
                .backward = backward + exchange + 0.5 * reduce,
                .backward_weight = weight.total(),
                .overlapped = std::max(chunk.total() + reduce, 2 * exchange)};
  step.bubble = Bubble(layout.schedule, layout.pipeline, step.chunk, layout.virtual_stages);

  const TrainingMemory memory = PlanMemory(architecture, run, layout);
  const double data = static_cast<double>(layout.data());
  TrainingLayout whole = layout;
  whole.zero_stage = 1;
  const TrainingMemory unsharded = PlanMemory(architecture, run, whole);
  if (layout.zero_stage >= 3 && layout.data() > 1) {
    const Seconds gather = 2 * (data - 1) / data * (unsharded.weights / device.scale_out());
    step.weight_gathering = m * std::max(gather - chunk.total(), Seconds(0));
  }
  if (layout.data() > 1) {
    // Gradients are reduced in f32 and scattered, weights are gathered in bf16: 4 and 2 bytes a
    // parameter over the network. Experts have fewer replicas; their share is counted in full.
    step.gradient_reduction = (data - 1) / data * 1.5 * (unsharded.gradients / device.scale_out());
  }
  // Masters and moments are read and written, gradients read, weights written.
  step.optimizer = (2 * memory.optimizer + 0.75 * memory.optimizer) /
                   (device.bandwidth() * kernels.elementwise_memory());
  return step;
}

Seconds DeviceTimeAtUtilisation(const Architecture& architecture, Tokens tokens, int64_t length,
                                FlopsPerSecond peak, double utilisation) {
  const Flops flops = TrainingFlops(architecture, length, Masking::kCausal).total() * tokens;
  return flops / (peak * utilisation);
}

}  // namespace fathom

#include "plan/layer_work.h"

#include <algorithm>

namespace fathom {
namespace {

double ElementBytes(PlanPrecision precision) { return precision == PlanPrecision::kFp8 ? 1 : 2; }

// Inputs and outputs of all products of a token: what a weight gradient in FP8 has to quantise
// again in tiles along tokens.
double OperandElements(const LayerShape& layer) {
  double elements = 0;
  for (const MatrixProduct& product : layer.products) {
    elements += static_cast<double>((product.rows + product.columns) * product.uses_per_token);
  }
  return elements;
}

Seconds AttentionTime(const ModelConfig& config, const Accelerator& device, const Kernels& kernels,
                      const WorkShape& shape, Phase phase, double compute_share) {
  if (phase == Phase::kBackwardWeight) return Seconds(0);
  const double factor = phase == Phase::kForward ? 1.0 : 2.5;
  const Flops flops = AttentionFlopsPerKey(config, shape.form) * shape.keys * shape.tokens *
                      factor / shape.tensor_parallel;
  const Seconds compute =
      flops / (device.Peak(PlanPrecision::kBf16) * kernels.attention_compute() * compute_share);
  if (shape.form == AttentionForm::kExpanded) return compute;
  // Decoding: each query's cache is read once, in bf16.
  const Bytes cache(2.0 * static_cast<double>(config.cache_row_dim()) * shape.keys * shape.tokens /
                    shape.queries_per_cache / CacheShare(config, shape.tensor_parallel));
  return std::max(compute, cache / (device.bandwidth() * kernels.attention_memory()));
}

}  // namespace

double CacheShare(const ModelConfig& config, double tensor_parallel) {
  if (config.latent_attention()) return 1;
  return std::min(tensor_parallel, static_cast<double>(config.num_key_value_heads));
}

Seconds ProductTime(const MatrixProduct& product, double rows, double copies,
                    const Accelerator& device, const Kernels& kernels, PlanPrecision precision,
                    bool communicates) {
  const double n = static_cast<double>(product.rows), k = static_cast<double>(product.columns);
  const double element = ElementBytes(precision);
  const double free = communicates ? kernels.free_processors() : 1;
  const double share = kernels.GemmShare(product.rows, product.columns, product.routed());
  const Seconds compute =
      Flops(2 * rows * n * k * copies) / (device.Peak(precision) * share * free);
  const Bytes bytes(copies * (n * k * element + rows * (k * element + 2 * n)));
  return std::max(compute, bytes / (device.bandwidth() * kernels.gemm_memory()));
}

BytesPerToken ElementwiseBytes(const ModelConfig& c, bool moe, PlanPrecision precision) {
  const double a = ElementBytes(precision);
  const auto d = [](int64_t size) { return static_cast<double>(size); };
  const double hidden = d(c.hidden_size), heads = d(c.num_attention_heads);
  // Two norms: read the residual and a branch, write the residual and what the product reads.
  double bytes = 2 * (6 + a) * hidden;
  if (c.latent_attention()) {
    bytes += (2 + a) * d(c.q_lora_rank + c.kv_lora_rank);     // latent norms
    bytes += 4 * heads * d(c.qk_rope_head_dim);               // rotation of queries
    bytes += 2 * heads * d(c.qk_nope_head_dim + c.qk_dim());  // keys are put together
  } else {
    bytes += 4 * d(c.num_attention_heads + c.num_key_value_heads) * d(c.head_dim);
  }
  bytes += (2 + a) * heads * d(c.v_dim());  // attention's output is quantised
  if (!moe) return Bytes(bytes + (4 + a) * d(c.intermediate_size)) / Tokens(1);
  const double routed = d(c.num_experts_per_tok);
  bytes += (4 + a) * (routed + d(c.n_shared_experts)) * d(c.moe_intermediate_size);  // SwiGLU
  bytes += routed * 2 * a * hidden;        // rows are put in order of experts: read and written
  bytes += (routed * 2 + 2 + 2) * hidden;  // experts' outputs are read, weighted, added up
  return Bytes(bytes) / Tokens(1);
}

WorkTime LayerTime(const Architecture& architecture, const LayerShape& layer,
                   const Accelerator& device, const Kernels& kernels, const WorkShape& shape,
                   Phase phase) {
  const ModelConfig& config = architecture.config;
  WorkTime time;
  double hosted = 0;  // parameters of the products that this device holds
  for (const MatrixProduct& product : layer.products) {
    double rows = shape.tokens, copies = 1 / shape.tensor_parallel;
    if (product.routed()) {
      copies = static_cast<double>(product.copies) * shape.expert_replicas / shape.expert_parallel;
      rows = shape.tokens / shape.tensor_parallel * static_cast<double>(product.uses_per_token) /
             copies;
    }
    hosted += static_cast<double>(product.rows * product.columns) * copies;
    // The router is f32 on tensor cores of half bf16's speed at best; it is small.
    const PlanPrecision precision = product.name == "mlp.gate" || product.name == "eh_proj"
                                        ? PlanPrecision::kBf16
                                        : shape.precision;
    time.products +=
        ProductTime(product, rows, copies, device, kernels, precision, shape.communicates);
  }
  const double free = shape.communicates ? kernels.free_processors() : 1;
  time.attention = AttentionTime(config, device, kernels, shape, phase, free);

  const BytesPerSecond memory = device.bandwidth() * kernels.elementwise_memory();
  const Bytes forward = ElementwiseBytes(config, layer.moe, shape.precision) *
                        Tokens(shape.tokens / shape.tensor_parallel);
  switch (phase) {
    case Phase::kForward:
      time.elementwise = forward / memory;
      break;
    case Phase::kBackwardInput:
      // A gradient in and one out for what came in and went out.
      time.elementwise = 2 * forward / memory;
      break;
    case Phase::kBackwardWeight: {
      Bytes traffic(0);
      if (shape.precision == PlanPrecision::kFp8) {
        traffic += Bytes(2 * OperandElements(layer) * shape.tokens / shape.tensor_parallel);
      }
      if (shape.accumulates) traffic += Bytes(8 * hosted);
      time.elementwise = traffic / memory;
      break;
    }
  }
  return time;
}

}  // namespace fathom

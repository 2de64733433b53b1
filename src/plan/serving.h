#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "plan/architecture.h"
#include "plan/hardware.h"
#include "plan/layer_work.h"
#include "plan/prices.h"
#include "plan/units.h"

namespace fathom {

using HoursOfDay = std::array<double, 24>;

// A service under load, as src/plan/data/service.toml describes it: a day's tokens, how prefill and
// decoding are spread, and how demand varies.
struct Service {
  SourcedValue input_tokens, cached_tokens, output_tokens;  // of a day
  SourcedValue mean_nodes, peak_nodes, node_devices;
  SourcedValue mean_context;       // tokens in the cache of a sequence that decodes
  SourcedValue user_tokens_per_s;  // the speed that users are given
  SourcedValue prefill_devices, decode_devices, redundant_experts;
  SourcedValue prefill_chunk;  // tokens that a device prefills at a time
  SourcedValue demand_peak_to_mean, demand_night_to_peak;
  SourcedValue burst;          // the busiest minutes of an hour / the hour
  SourcedValue hold_hours;     // that a node serves before it can do something else
  SourcedValue refusals;       // share of requests that may find no free place at the peak
  SourcedValue answer_tokens;  // of one answer
  SourcedValue memory_used;
  SourcedValue expert_balance;  // speed with the balance that is reached / with perfect balance
  SourcedValue mtp_acceptance;  // share of drafted tokens that are right

  // How it is run. Not in the file.
  PlanPrecision precision = PlanPrecision::kFp8;
  int64_t drafts = 0;    // tokens that MTP modules draft a step
  int64_t tensor = 1;    // devices that share attention, dense layers and head
  int64_t pipeline = 1;  // stages
  // Of a placement for known loads, instead of expert_balance.
  std::optional<double> prefill_balance, decode_balance;
  // Demand by the hour, with a mean of 1, instead of the curve that the two ratios make.
  std::optional<HoursOfDay> hours;

  // The built-in data, and over it what a file of the same form says, if one is given.
  static Service Load(const std::optional<std::filesystem::path>& over = {});

  // Tokens that a sequence gains a step: 1 + p + p^2 + ... of its drafts, each right only if those
  // before it are.
  double TokensPerStep() const;
  double hit_rate() const { return cached_tokens.likely / input_tokens.likely; }
};

struct PrefillPlan {
  WorkTime compute;           // of a chunk
  Seconds exchange;           // of a chunk
  TokensPerSecond computed;   // of a device that always has work, tokens not found in the cache
  TokensPerSecond with_hits;  // the same, cached tokens counted
  double cached_share = 0;    // of that time, what new tokens spend on the cached ones before them
};

struct DecodePlan {
  double batch = 0;           // sequences that tensor-parallel devices decode together
  bool memory_bound = false;  // the batch: by memory, otherwise by the latency target
  WorkTime compute;           // of a step
  Seconds exchange;           // of a step
  Seconds step;
  Seconds token;           // the time per output token of a user: less than a step with drafts
  Bytes weights, cache;    // of a device
  TokensPerSecond output;  // of a device that is full
};

// Two micro-batches take turns: one computes while the other's experts are exchanged, so that a
// layer takes the longer of the two (open-infra-index, day 6). Small batches are decoded whole
// where that is faster: a layer takes the sum, and its weights are read once.
PrefillPlan PlanPrefill(const Architecture& architecture, const Service& service,
                        const Accelerator& device, const Kernels& kernels);
// The step time at a given batch; absorbed attention, products limited by reading weights
// or by operations, exchange by DeepEP's low-latency kernels in proportion to tokens, hidden size
// and experts a token.
DecodePlan PlanDecodeStep(const Architecture& architecture, const Service& service,
                          const Accelerator& device, const Kernels& kernels, double batch);
// The largest batch whose step keeps the users' speed and whose cache fits. Throws Error when not
// even one sequence does: which of the two it is, and by how much.
DecodePlan PlanDecode(const Architecture& architecture, const Service& service,
                      const Accelerator& device, const Kernels& kernels);

// A row of a sweep: what PlanDecode gives for another context, or PlanDecodeStep for another batch.
// Nothing where it does not fit.
std::optional<DecodePlan> DecodeAtContext(const Architecture& architecture, const Service& service,
                                          const Accelerator& device, const Kernels& kernels,
                                          double context);
// The balance of both groups when experts with these loads are placed on them: prefill
// hierarchically on its servers, decoding in one pool (EPLB). Sets prefill_balance and
// decode_balance; returns what they would be without redundant experts.
struct PlacedBalance {
  double prefill_plain = 1, decode_plain = 1;
};
PlacedBalance PlaceLoads(const ModelConfig& config, const Accelerator& device,
                         const std::vector<double>& loads, Service& service);

// ISCA 2025, section 2.3.2: the time per output token when nothing but expert exchange takes time.
// Two micro-batches; each token of a batch of `tokens` goes to top-k + shared experts in FP8 and
// comes back in bf16.
Seconds ExchangeBound(const ModelConfig& config, double tokens, BytesPerSecond link);

// Money of a day.
struct ServingDay {
  double nodes = 0;
  Dollars cost, income;
  double margin() const { return income / cost - 1; }  // over cost, as published
};
ServingDay PlanDay(const Service& service, double nodes, DollarsPerSecond rent,
                   const ApiPrice& price);
// Nodes that a day's tokens take at these rates of a prefill and of a decode node.
double NodesFor(const Service& service, TokensPerSecond prefill_node, TokensPerSecond decode_node);

}  // namespace fathom

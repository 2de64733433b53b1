#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "plan/divisors.h"
#include "plan/training.h"

namespace fathom {
namespace {

int64_t CeilDivide(int64_t a, int64_t b) { return (a + b - 1) / b; }

[[noreturn]] void DoesNotFit(std::string_view field, const std::string& what, int64_t nearest) {
  throw UsageError(field, what,
                   nearest > 0 ? fmt::format("the nearest that fits is {}", nearest)
                               : std::string("no value fits the other sizes"));
}

// What backward needs of one token in one layer, in bytes: inputs of the products (FP8 or bf16; the
// output projection's in E5M6, 1.5 bytes, beside FP8), the two residual inputs of the norms,
// queries' and keys' latents (their up-projections, norms and SwiGLU's output are made again), and
// gate and up projections.
double SavedBytes(const ModelConfig& c, bool moe, PlanPrecision precision) {
  const double a = precision == PlanPrecision::kFp8 ? 1 : 2;
  const auto d = [](int64_t size) { return static_cast<double>(size); };
  double bytes = 2 * 2 * d(c.hidden_size);
  const double heads_out = d(c.num_attention_heads * c.v_dim());
  bytes +=
      (precision == PlanPrecision::kFp8 ? 1.5 : 2.0) * heads_out + 4 * d(c.num_attention_heads);
  if (c.latent_attention()) {
    bytes += 2 * d(c.q_lora_rank > 0 ? c.q_lora_rank : c.num_attention_heads * c.qk_dim());
    bytes += 2 * d(c.latent_dim());
  } else {
    bytes += 2 * d((c.num_attention_heads + 2 * c.num_key_value_heads) * c.head_dim);
  }
  const double experts = moe ? d(c.num_experts_per_tok + c.n_shared_experts) : 1;
  const double width = d(moe ? c.moe_intermediate_size : c.intermediate_size);
  bytes += experts * 2 * a * width;
  if (moe) bytes += d(c.num_experts_per_tok) * a * d(c.hidden_size);
  return bytes;
}

std::string Describe(const TrainingLayout& layout) {
  return fmt::format("TP {} PP {} EP {} ZeRO-{} {}", layout.tensor, layout.pipeline, layout.expert,
                     layout.zero_stage, Name(layout.schedule));
}

bool IsValid(const Architecture& architecture, const TrainingRun& run,
             const TrainingLayout& layout) {
  try {
    CheckLayout(architecture, run, layout);
    return true;
  } catch (const UsageError&) {
    return false;
  }
}

// The layout that fits with the fewest sizes changed, and among those the least changed.
std::optional<TrainingLayout> NearestThatFits(const Architecture& architecture,
                                              const TrainingRun& run, const TrainingLayout& wanted,
                                              Bytes capacity) {
  std::optional<TrainingLayout> best;
  double least = 1e9;
  const auto change = [](int64_t a, int64_t b) {
    return a == b ? 0.0
                  : 1 + 0.1 * std::abs(std::log2(static_cast<double>(a) / static_cast<double>(b)));
  };
  constexpr std::array<int64_t, 10> kSizes = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512};
  TrainingLayout layout = wanted;
  for (const int64_t tensor : {int64_t{1}, int64_t{2}, int64_t{4}, int64_t{8}, wanted.tensor}) {
    for (const int64_t pipeline : kSizes) {
      for (const int64_t expert : kSizes) {
        for (const int64_t zero : {int64_t{1}, int64_t{2}, int64_t{3}}) {
          layout.tensor = tensor;
          layout.pipeline = pipeline;
          layout.expert = architecture.config.n_routed_experts > 0 ? expert : 1;
          layout.zero_stage = zero;
          const double distance =
              change(tensor, wanted.tensor) + change(pipeline, wanted.pipeline) +
              change(layout.expert, wanted.expert) + (zero == wanted.zero_stage ? 0 : 1);
          if (distance >= least || !IsValid(architecture, run, layout)) continue;
          if (PlanMemory(architecture, run, layout).total() > capacity) continue;
          best = layout;
          least = distance;
        }
      }
    }
  }
  return best;
}

}  // namespace

void CheckLayout(const Architecture& architecture, const TrainingRun& run,
                 const TrainingLayout& layout) {
  const ModelConfig& config = architecture.config;
  const auto positive = [](std::string_view field, int64_t value) {
    // Products of two of them stay far from the largest integer.
    constexpr int64_t kMost = int64_t{1} << 24;
    if (value < 1 || value > kMost) {
      throw UsageError(field, fmt::format("{} is not between 1 and {}", value, kMost));
    }
  };
  positive("devices", layout.devices);
  positive("tp", layout.tensor);
  positive("pp", layout.pipeline);
  positive("ep", layout.expert);
  positive("micro-batch", layout.micro_batch);
  positive("virtual-stages", layout.virtual_stages);
  positive("batch", run.batch);
  positive("length", run.length);
  if (layout.zero_stage < 1 || layout.zero_stage > 3) {
    throw UsageError("zero", fmt::format("{} is not 1, 2 or 3", layout.zero_stage));
  }
  const int64_t heads = config.num_attention_heads;
  if (heads % layout.tensor != 0) {
    DoesNotFit("tp", fmt::format("{} does not divide {} heads", layout.tensor, heads),
               NearestDivisor(heads, layout.tensor, [&](int64_t d) {
                 return layout.devices % (d * layout.pipeline) == 0;
               }));
  }
  if (layout.pipeline > config.num_hidden_layers) {
    DoesNotFit(
        "pp",
        fmt::format("{} stages are more than {} layers", layout.pipeline, config.num_hidden_layers),
        NearestDivisor(layout.devices / layout.tensor, config.num_hidden_layers, [&](int64_t d) {
          return d <= config.num_hidden_layers &&
                 (!OverlapsCommunication(layout.schedule) || d % 2 == 0 || d == 1);
        }));
  }
  if (layout.schedule == Schedule::kInterleaved &&
      layout.pipeline * layout.virtual_stages > config.num_hidden_layers) {
    DoesNotFit("virtual-stages",
               fmt::format("{} on {} stages are more than {} layers", layout.virtual_stages,
                           layout.pipeline, config.num_hidden_layers),
               config.num_hidden_layers / layout.pipeline);
  }
  if (OverlapsCommunication(layout.schedule) && layout.pipeline % 2 != 0 && layout.pipeline > 1) {
    DoesNotFit("pp",
               fmt::format("{} stages are odd, {} needs an even number", layout.pipeline,
                           Name(layout.schedule)),
               NearestDivisor(layout.devices / layout.tensor, layout.pipeline, [&](int64_t d) {
                 return (d % 2 == 0 || d == 1) && d <= config.num_hidden_layers;
               }));
  }
  const int64_t group = layout.tensor * layout.pipeline;
  if (layout.devices % group != 0) {
    DoesNotFit("devices",
               fmt::format("{} cannot be divided by TP {} x PP {} = {}", layout.devices,
                           layout.tensor, layout.pipeline, group),
               std::max(group, (layout.devices + group / 2) / group * group));
  }
  if (config.n_routed_experts == 0 && layout.expert != 1) {
    DoesNotFit("ep", "the model has no experts", 1);
  }
  if (config.n_routed_experts > 0) {
    const auto divides = [&](int64_t d) { return layout.data() % d == 0; };
    if (config.n_routed_experts % layout.expert != 0) {
      DoesNotFit(
          "ep",
          fmt::format("{} does not divide {} experts", layout.expert, config.n_routed_experts),
          NearestDivisor(config.n_routed_experts, layout.expert, divides));
    }
    if (!divides(layout.expert)) {
      const int64_t whole = group * layout.expert;
      const int64_t devices = std::max<int64_t>(1, (layout.devices + whole / 2) / whole) * whole;
      throw UsageError(
          "ep",
          fmt::format("{} does not divide {} data-parallel ranks", layout.expert, layout.data()),
          fmt::format("the nearest that fits is {}, or {} devices",
                      NearestDivisor(config.n_routed_experts, layout.expert, divides), devices));
    }
  }
  const int64_t at_once = layout.data() * layout.micro_batch;
  if (run.batch % at_once != 0) {
    DoesNotFit("batch",
               fmt::format("{} sequences cannot be divided by {} data-parallel ranks x {}",
                           run.batch, layout.data(), layout.micro_batch),
               std::max(at_once, (run.batch + at_once / 2) / at_once * at_once));
  }
}

TrainingMemory PlanMemory(const Architecture& architecture, const TrainingRun& run,
                          const TrainingLayout& layout) {
  CheckLayout(architecture, run, layout);
  const ModelConfig& config = architecture.config;
  const int64_t layers = CeilDivide(config.num_hidden_layers, layout.pipeline);
  const LayerShape& layer = architecture.layers.back();  // an expert layer, if there are any
  const double tensor = static_cast<double>(layout.tensor),
               data = static_cast<double>(layout.data()),
               expert = static_cast<double>(layout.expert);
  const double copies = static_cast<double>(ParameterCopies(layout.schedule));
  // The first stage has the embedding and the last one the head: with DualPipe both are on one
  // device, as the two copies of its layers are.
  const double ends = static_cast<double>(config.vocab_size * config.hidden_size) / tensor *
                      (layout.pipeline == 1 && !config.tie_word_embeddings ? 2 : 1);
  const double shared = static_cast<double>(layers) *
                            static_cast<double>(layer.parameters - layer.routed_parameters) /
                            tensor +
                        ends;
  const double routed =
      static_cast<double>(layers) * static_cast<double>(layer.routed_parameters) / expert;
  const bool fp8 = run.precision == PlanPrecision::kFp8;
  const double held = copies * (shared + routed);
  // Shared out over the ranks that hold the same parameters.
  const double sharded = copies * (shared / data + routed / (data / expert));
  TrainingMemory memory;
  memory.weights = Bytes((fp8 ? 1 : 2) * (layout.zero_stage >= 3 ? sharded : held));
  memory.gradients = Bytes(4 * (layout.zero_stage >= 2 ? sharded : held));
  memory.optimizer = Bytes((4 + (fp8 ? 4 : 8)) * sharded);
  const int64_t micro_batches = run.batch / (layout.data() * layout.micro_batch);
  const double tokens =
      MicroBatchesInFlight(layout.schedule, layout.pipeline, micro_batches, layout.virtual_stages) *
      static_cast<double>(layout.micro_batch * run.length);
  memory.activations = Bytes(tokens * static_cast<double>(layers) *
                             SavedBytes(config, layer.moe, run.precision) / tensor);
  return memory;
}

void CheckMemory(const Architecture& architecture, const TrainingRun& run,
                 const TrainingLayout& layout, const Accelerator& device) {
  const TrainingMemory memory = PlanMemory(architecture, run, layout);
  if (memory.total() <= device.memory()) return;
  struct Role {
    const char* name;
    Bytes bytes;
  };
  const std::array<Role, 4> roles = {
      Role{"weights", memory.weights}, Role{"gradients", memory.gradients},
      Role{"optimizer states", memory.optimizer}, Role{"activations", memory.activations}};
  const Role& largest = *std::max_element(
      roles.begin(), roles.end(), [](const Role& a, const Role& b) { return a.bytes < b.bytes; });
  const auto nearest = NearestThatFits(architecture, run, layout, device.memory());
  throw Error("memory",
              fmt::format("the fullest device needs {} and {} has {}; most of it are {} ({})",
                          Format(memory.total()), device.name, Format(device.memory()),
                          largest.name, Format(largest.bytes)),
              nearest ? fmt::format("the nearest layout that fits is {} ({})", Describe(*nearest),
                                    Format(PlanMemory(architecture, run, *nearest).total()))
                      : fmt::format("no layout on {} devices fits", layout.devices));
}

}  // namespace fathom

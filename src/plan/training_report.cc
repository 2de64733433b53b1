#include <vector>

#include "plan/intervals.h"
#include "plan/scenarios.h"

namespace fathom {
namespace {

void AddInputs(const TrainingScenario& s, const Architecture& architecture, Report& report) {
  ReportSection& section = report.sections.emplace_back(ReportSection{"inputs", {}});
  section.AddText("model", "model", s.model);
  section.AddText("device", "device", fmt::format("{} x {}", s.layout.devices, s.device.name));
  section.AddNumber("parameters", "parameters", static_cast<double>(architecture.counts.total), 0,
                    Origin::kInput, "without MTP modules, as `fathom inspect` counts");
  section.AddNumber("active", "of them used by a token",
                    static_cast<double>(architecture.counts.active_matmul), 0, Origin::kInput,
                    "without the embedding");
  section.AddNumber("tokens", "tokens", s.tokens.value(), 0, Origin::kInput);
  section.Add("rent", "price of a device and hour", Dollars(s.rent.likely), Origin::kInput,
              Cite(s.rent));
}

void AddFlops(const TrainingScenario& s, const Architecture& architecture, Report& report) {
  ReportSection& section = report.sections.emplace_back(ReportSection{"work of a token", {}});
  for (const auto& [key, masking, name] :
       {std::tuple{"training_flops_causal", Masking::kCausal, "causal attention"},
        {"training_flops_non_causal", Masking::kNonCausal, "non-causal attention"}}) {
    const TokenFlops flops = TrainingFlops(architecture, s.run.length, masking);
    section.rows.push_back(
        {key, fmt::format("forward and backward, {}", name), flops.total().value(), "FLOP/token",
         Format(flops.total() * Tokens(1)), Origin::kPrediction,
         fmt::format("{} of it in attention", Format(flops.attention * Tokens(1)))});
  }
  section.Add("cache", "KV cache, bf16", CacheBytes(s.config) * Tokens(1), Origin::kPrediction);
}

void AddMemory(const TrainingScenario& s, const Architecture& architecture, Report& report) {
  const TrainingMemory memory = PlanMemory(architecture, s.run, s.layout);
  ReportSection& section =
      report.sections.emplace_back(ReportSection{"memory of the fullest device", {}});
  section.Add("weights", "weights", memory.weights, Origin::kPrediction);
  section.Add("gradients", "gradients, f32", memory.gradients, Origin::kPrediction);
  section.Add("optimizer", "optimizer states", memory.optimizer, Origin::kPrediction);
  section.Add("activations", "activations", memory.activations, Origin::kPrediction);
  section.Add("total", "total", memory.total(), Origin::kPrediction,
              fmt::format("of {}", Format(s.device.memory())));
}

void AddStep(const TrainingScenario& s, const StepTime& step, Report& report) {
  ReportSection& section = report.sections.emplace_back(ReportSection{"a step", {}});
  const Origin made = Origin::kPrediction;
  section.AddText("layout", "layout",
                  fmt::format("TP {} x PP {} x DP {}, EP {}, ZeRO-{}, {}, {} micro-batches",
                              s.layout.tensor, s.layout.pipeline, s.layout.data(), s.layout.expert,
                              s.layout.zero_stage, Name(s.layout.schedule), step.micro_batches));
  section.Add("products", "matrix products", step.compute.products, made);
  section.Add("attention", "attention", step.compute.attention, made);
  section.Add("elementwise", "elementwise, quantisation", step.compute.elementwise, made);
  if (s.config.n_routed_experts > 0) {
    section.Add("exchange", "expert exchange that is not hidden", step.exposed_exchange, made,
                fmt::format("of {}", Format(step.exchange)));
  }
  if (s.layout.tensor > 1)
    section.Add("tensor_all_reduce", "tensor-parallel sums", step.tensor_all_reduce, made);
  if (s.layout.zero_stage >= 3) {
    section.Add("weight_gathering", "ZeRO-3's gathering that is not hidden", step.weight_gathering,
                made);
  }
  section.Add("bubble", "pipeline bubble", step.bubble, made);
  section.Add("gradient_reduction", "gradient reduction", step.gradient_reduction, made);
  section.Add("optimizer", "optimizer", step.optimizer, made);
  section.Add("step", "step", step.total(), made,
              s.compare_with_v3 ? Against("19.926 s", step.total() / Seconds(19.926) - 1) : "");
}

void AddRun(const TrainingScenario& s, const Architecture& architecture, Seconds device_time,
            Report& report) {
  ReportSection& section = report.sections.emplace_back(ReportSection{"the run", {}});
  const double hours = InHours(device_time);
  const FlopsPerSecond reached =
      TrainingFlops(architecture, s.run.length, Masking::kCausal).total() * s.tokens / device_time;
  section.AddNumber("device_hours", "device-hours", hours, 0, Origin::kPrediction,
                    s.compare_with_v3 ? Against("2,664,000", hours / 2.664e6 - 1) : "", "h");
  section.Add("time", "time", device_time / static_cast<double>(s.layout.devices),
              Origin::kPrediction);
  section.Add("model_flops", "model FLOPs of a device", reached,
              s.utilisation ? Origin::kInput : Origin::kPrediction,
              fmt::format("{:.1f} % of the bf16 peak, causal",
                          100 * (reached / s.device.Peak(PlanPrecision::kBf16))));
  section.Add("cost", "cost of these device-hours", device_time * PerHour(s.rent.likely),
              Origin::kPrediction, "one run: no failed runs, ablations, data or people");
  if (!s.compare_with_v3) return;
  ReportSection& identities =
      report.sections.emplace_back(ReportSection{"published arithmetic", {}});
  const double steps = 14.8e12 / (15360 * 4096.0);
  identities.AddNumber("hours_from_step", "device-hours of 19.926 s steps",
                       steps * 2048 * 19.926 / 3600, 0, Origin::kIdentity,
                       "14.8 T / (15360 x 4096) steps x 2048 devices; published 2,664,000", "h");
  identities.Add("v3_cost", "V3's training", Hours(2664e3 + 119e3 + 5e3) * PerHour(2),
                 Origin::kIdentity, "(2664 + 119 + 5) K hours at $2; published $5.576 M");
  identities.Add("r1_cost", "R1's reinforcement learning", Hours(101e3 + 5e3 + 41e3) * PerHour(2),
                 Origin::kIdentity, "(101 + 5 + 41) K hours at $2; published $294 K");
}

std::vector<UncertainInput> UncertainInputs(TrainingScenario& s) {
  return {{"price of a device and hour", &s.rent},
          {"memory of a device", &s.device.hbm_gb},
          {"memory bandwidth", &s.device.hbm_gb_per_s},
          {"bf16 peak", &s.device.bf16_tflops},
          {"links inside a server", &s.device.scale_up_gb_per_s},
          {"network", &s.device.scale_out_gb_per_s},
          {"kernels within a step / alone", &s.kernels.in_run}};
}

}  // namespace

Report ReportTraining(const TrainingScenario& scenario) {
  TrainingScenario s = scenario;
  const Architecture architecture = DescribeArchitecture(s.config);
  if (!s.utilisation) {
    CheckLayout(architecture, s.run, s.layout);
    CheckMemory(architecture, s.run, s.layout, s.device);
  }
  const auto evaluate = [&] {
    Report report{.command = "train",
                  .title = fmt::format("Training {} on {}", s.model, s.device.name)};
    AddInputs(s, architecture, report);
    AddFlops(s, architecture, report);
    if (s.utilisation) {
      AddRun(s, architecture,
             DeviceTimeAtUtilisation(architecture, s.tokens, s.run.length,
                                     s.device.Peak(PlanPrecision::kBf16), *s.utilisation),
             report);
      return report;
    }
    AddMemory(s, architecture, report);
    const StepTime step = PlanStep(architecture, s.run, s.layout, s.device, s.kernels);
    AddStep(s, step, report);
    const double steps = s.tokens / Tokens(static_cast<double>(s.run.batch * s.run.length));
    AddRun(s, architecture, steps * static_cast<double>(s.layout.devices) * step.total(), report);
    return report;
  };
  Report report = evaluate();
  AddIntervals(UncertainInputs(s), evaluate, {{{"the run", "device_hours"}, {"the run", "cost"}}},
               s.seed, s.samples, report);
  return report;
}

}  // namespace fathom

#include <initializer_list>
#include <vector>

#include "plan/device_inputs.h"
#include "plan/intervals.h"
#include "plan/published.h"
#include "plan/scenarios.h"

namespace fathom {
namespace {

void AddInputs(const TrainingScenario& s, Report& report) {
  ReportSection& section = report.sections.emplace_back(ReportSection{"inputs", {}});
  section.AddText("model", "model", s.model);
  section.AddText("device", "device", fmt::format("{} x {}", s.layout.devices, s.device.name));
  section.AddText("precision", "products in",
                  s.run.precision == PlanPrecision::kFp8 ? "FP8" : "bf16");
  section.AddNumber("tokens", "tokens", s.tokens.value(), 0, Origin::kInput);
  section.Add("rent", "price of a device and hour", Dollars(s.rent.likely), Origin::kInput,
              Cite(s.rent));
}

// "a; b", of those that are not empty.
std::string Joined(const std::string& a, const std::string& b) {
  return a.empty() || b.empty() ? a + b : a + "; " + b;
}

void AddModel(const TrainingScenario& s, const Architecture& architecture, Report& report) {
  ReportSection& section = report.sections.emplace_back(ReportSection{"the model", {}});
  const Published::Model& published = Published::Of(s.model);
  const auto count = [&](const char* key, const char* label, int64_t number, const char* note,
                         const std::optional<SourcedValue>& against) {
    const double value = static_cast<double>(number);
    section.AddNumber(key, label, value, 0, Origin::kPrediction,
                      Joined(Against(against, value), note));
  };
  count("parameters", "parameters", architecture.counts.total, "without MTP modules",
        published.parameters);
  count("active", "of them used by a token", architecture.counts.active, "without the embedding",
        published.active);
  for (const auto& [key, masking, name] :
       {std::tuple{"training_flops_causal", Masking::kCausal, "causal attention"},
        {"training_flops_non_causal", Masking::kNonCausal, "non-causal attention"}}) {
    const TokenFlops flops = TrainingFlops(architecture, s.run.length, masking);
    // Published for this length, causal.
    const bool same = masking == Masking::kCausal && s.run.length == 4096;
    section.rows.push_back(
        {key, fmt::format("a token's training, {}", name), flops.total().value(), "FLOP/token",
         Format(flops.total() * Tokens(1)), Origin::kPrediction,
         Joined(same ? Against(published.training_flops, flops.total().value(), "FLOP/token") : "",
                fmt::format("{} of it in attention", Format(flops.attention * Tokens(1))))});
  }
  const Bytes cache = CacheBytes(s.config) * Tokens(1);
  section.Add("cache", "KV cache of a token, bf16", cache, Origin::kPrediction,
              Against(published.cache_bytes, cache.value()));
  section.rows.back().shown = FormatNumber(cache.value()) + " B";
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
  section.Add(
      "step", "step", step.total(), made,
      s.compare_with_v3 ? Against(Published::Get().train.step_s, step.total().value(), "s") : "");
}

// What was published of the same run; nothing where there is none.
std::optional<SourcedValue> PublishedHours(const TrainingScenario& s) {
  if (s.compare_with_v3) return Published::Get().train.hours;
  const Published::Model& model = Published::Of(s.model);
  const bool same =
      s.device.key == "a100" && model.a100_tokens && model.a100_tokens->likely == s.tokens.value();
  return same ? model.a100_hours : std::nullopt;
}

void AddRun(const TrainingScenario& s, const Architecture& architecture, Seconds device_time,
            Report& report) {
  ReportSection& section = report.sections.emplace_back(ReportSection{"the run", {}});
  const double hours = InHours(device_time);
  const FlopsPerSecond reached =
      TrainingFlops(architecture, s.run.length, Masking::kCausal).total() * s.tokens / device_time;
  section.AddNumber("device_hours", "device-hours", hours, 0, Origin::kPrediction,
                    Against(PublishedHours(s), hours, "h"), "h");
  section.Add("time", "time it takes", device_time / static_cast<double>(s.layout.devices),
              Origin::kPrediction);
  section.Add("model_flops", "model FLOPs of a device", reached,
              s.utilisation ? Origin::kInput : Origin::kPrediction,
              fmt::format("{:.1f} % of the bf16 peak, causal",
                          100 * (reached / s.device.Peak(PlanPrecision::kBf16))));
  section.Add("cost", "cost of these device-hours", device_time * PerHour(s.rent.likely),
              Origin::kPrediction, "one run that does not fail; the whole programme is below");
  AddProgramme(s.programme, device_time, PerHour(s.rent.likely), s.compare_with_v3, report);
}

// What was published of V3 and R1, put together again.
void AddIdentities(const TrainingScenario& s, Report& report) {
  ReportSection& identities =
      report.sections.emplace_back(ReportSection{"published arithmetic", {}});
  const Published::Train& p = Published::Get().train;
  const double steps = s.tokens.value() / static_cast<double>(s.run.batch * s.run.length);
  const double devices = static_cast<double>(s.layout.devices);
  identities.AddNumber("hours_from_step",
                       fmt::format("device-hours of {:g} s steps", p.step_s.likely),
                       steps * devices * p.step_s.likely / 3600, 0, Origin::kIdentity,
                       fmt::format("{} steps x {:g} devices; {}", FormatNumber(steps), devices,
                                   PublishedAs(p.hours, "h")),
                       "h");
  const auto cost = [&](std::initializer_list<SourcedValue> parts) {
    double sum = 0;
    for (const SourcedValue& part : parts) sum += part.likely;
    return Dollars(sum * p.rent.likely);
  };
  identities.Add("v3_cost", "V3's training", cost({p.hours, p.extension_hours, p.tuning_hours}),
                 Origin::kIdentity,
                 fmt::format("({:g} + {:g} + {:g}) K hours at ${:g}; {}", p.hours.likely / 1e3,
                             p.extension_hours.likely / 1e3, p.tuning_hours.likely / 1e3,
                             p.rent.likely, PublishedAs(p.cost, "USD")));
  identities.Add(
      "r1_cost", "R1's reinforcement learning",
      cost({p.r1_zero_hours, p.r1_data_hours, p.r1_hours}), Origin::kIdentity,
      fmt::format("({:g} + {:g} + {:g}) K hours at ${:g}; {}", p.r1_zero_hours.likely / 1e3,
                  p.r1_data_hours.likely / 1e3, p.r1_hours.likely / 1e3, p.rent.likely,
                  PublishedAs(p.r1_cost, "USD")));
}

std::vector<UncertainInput> AllUncertainInputs(TrainingScenario& s) {
  std::vector<UncertainInput> inputs = {{"price of a device and hour", &s.rent},
                                        {"kernels within a step / alone", &s.kernels.in_run}};
  const auto add = [&](std::vector<UncertainInput> more) {
    for (UncertainInput& input : more) inputs.push_back(std::move(input));
  };
  add(UncertainInputs(s.device));
  add(UncertainInputs(s.kernels));
  add(UncertainInputs(s.programme));
  return inputs;
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
    AddInputs(s, report);
    AddModel(s, architecture, report);
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
    if (s.compare_with_v3) AddIdentities(s, report);
    return report;
  };
  Report report = evaluate();
  report.answers = {{"the run", "device_hours"},
                    {"the run", "time"},
                    {"the run", "cost"},
                    {"the whole programme", "total"}};
  AddIntervals(
      AllUncertainInputs(s), evaluate,
      {{{"the run", "device_hours"}, {"the run", "cost"}, {"the whole programme", "total"}}},
      s.seed, s.samples, report);
  return report;
}

}  // namespace fathom

#include "cli/training_command.h"

#include <algorithm>

#include "base/log.h"
#include "infer/engine.h"
#include "infer/transformer_executor.h"

namespace fathom {
namespace {

std::string EstimateText(const RunEstimate& estimate) {
  const ParameterCounts& counts = estimate.parameters;
  return fmt::format(
      "model: {} parameters, {} active a token, {} more in {} MTP module(s)\n"
      "memory by role:\n{}\n"
      "compute: {} tokens, {} FLOPs; this machine's peak is {} FLOP/s: {} at 40 % of it, {} at "
      "60 %\n",
      FormatCount(static_cast<double>(counts.total)),
      FormatCount(static_cast<double>(counts.active)), FormatCount(static_cast<double>(counts.mtp)),
      estimate.stages.front().model.num_nextn_predict_layers, estimate.memory.ToTable(),
      FormatCount(estimate.tokens), FormatCount(estimate.flops), FormatCount(estimate.peak_flops),
      FormatDuration(estimate.Seconds(0.4)), FormatDuration(estimate.Seconds(0.6)));
}

nlohmann::ordered_json EstimateJson(const RunEstimate& estimate) {
  return {{"parameters", estimate.parameters.total},
          {"active_parameters", estimate.parameters.active},
          {"mtp_parameters", estimate.parameters.mtp},
          {"memory_bytes", MemoryJson(estimate.memory, estimate.available)},
          {"fits", estimate.memory.total() <= estimate.available},
          {"tokens", estimate.tokens},
          {"flops", estimate.flops},
          {"peak_flops_per_second", estimate.peak_flops},
          {"seconds_at_40_percent", estimate.Seconds(0.4)},
          {"seconds_at_60_percent", estimate.Seconds(0.6)}};
}

}  // namespace

void TrainingArguments::AddTo(Command command, const Help& help) {
  RunArguments::AddTo(command, help);
  command.AddFlag("--profile", profile,
                  "Say at the end where a step's time went, operation by operation");
}

StepProfiler::StepProfiler(Device& device, TrainOptions& options) : backend_(device.Profile()) {
  options.before_step = [this] { backend_.set_recording(begun_++ > 0); };
  options.after_step = [this](double seconds) {
    backend_.set_recording(false);
    if (begun_ == 1) return;
    ++steps_;
    seconds_ += seconds;
  };
}

void StepProfiler::Print(Context& context, DType dtype) const {
  if (steps_ == 0) {
    spdlog::warn("nothing to profile: the first step is left out, and there was no other");
    return;
  }
  const double peak = backend_.MeasurePeakFlops(context, dtype);
  WriteStandardOutput(fmt::format("where a step's time goes (mean of {} steps)\n{}", steps_,
                                  backend_.profile().ToTable(seconds_, steps_, peak)));
}

nlohmann::ordered_json StepProfiler::ToJson() const {
  return {{"steps", steps_},
          {"milliseconds", 1e3 * seconds_ / static_cast<double>(std::max<int64_t>(1, steps_))},
          {"operations", ProfileJson(backend_.profile(), steps_)}};
}

std::string WriteSample(Context& context, Transformer& transformer, const Tokenizer& tokenizer,
                        std::vector<int32_t> prompt, size_t shown,
                        const TrainingSettings::Sample& sample, uint64_t seed) {
  std::vector<int32_t> written(prompt.end() - static_cast<std::ptrdiff_t>(shown), prompt.end());
  GenerationRequest request;
  request.prompt = std::move(prompt);
  request.sampling.temperature = sample.temperature;
  request.sampling.seed = seed;
  request.max_tokens = std::min(sample.tokens, transformer.config().max_position_embeddings -
                                                   static_cast<int64_t>(request.prompt.size()));
  for (const int64_t id : transformer.config().eos_token_ids)
    request.stop_ids.push_back(static_cast<int32_t>(id));
  const auto length = static_cast<int64_t>(request.prompt.size()) + request.max_tokens;
  TransformerExecutor executor(context, transformer, KvCache::Pages(length));
  Engine engine(executor);
  engine.AddRequest(std::move(request));
  while (!engine.idle()) {
    for (const EngineEvent& event : engine.Step()) written.push_back(event.token);
  }
  return tokenizer.Decode(written, /*skip_special=*/true);
}

nlohmann::ordered_json SummaryJson(const TrainSummary& summary, const StepProfiler* profiler) {
  nlohmann::ordered_json json = {{"interrupted", summary.interrupted},
                                 {"step", summary.step},
                                 {"tokens", summary.tokens},
                                 {"seconds", summary.seconds},
                                 {"loss", summary.loss}};
  if (summary.best_step >= 0) {
    json["best_step"] = summary.best_step;
    json["start_score"] = summary.start_score;
    json["best_score"] = summary.best_score;
  }
  if (!summary.model.empty()) json["model"] = summary.model.string();
  if (profiler != nullptr) json["profile"] = profiler->ToJson();
  return json;
}

void LogSummary(const TrainSummary& summary) {
  spdlog::info("trained on {} tokens in {}; the {} is in {}",
               FormatCount(static_cast<double>(summary.tokens)), FormatDuration(summary.seconds),
               summary.model.filename().string(), summary.model.string());
}

nlohmann::ordered_json MemoryJson(const MemoryPlan& plan, double available) {
  nlohmann::ordered_json memory;
  for (int i = 0; i < kMemoryRoles; ++i) {
    const auto role = static_cast<MemoryRole>(i);
    if (role == MemoryRole::kCache && plan[role] == 0) continue;  // only rollouts have one
    std::string name(Name(role));
    std::replace(name.begin(), name.end(), ' ', '_');
    memory[name] = static_cast<int64_t>(plan[role]);
  }
  memory["total"] = static_cast<int64_t>(plan.total());
  memory["available"] = static_cast<int64_t>(available);
  return memory;
}

void ShowEstimate(Context& context, const TrainingSettings& settings, const RunEstimate& estimate,
                  bool json) {
  if (json) {
    WriteJson(EstimateJson(estimate));
  } else {
    WriteStandardOutput(EstimateText(estimate));
  }
  RefuseWhatDoesNotFit(settings, estimate.stages, estimate.memory, estimate.available,
                       *context.backend, *context.pool);
  if (json) return;
  WriteStandardOutput(fmt::format("it fits: {} are available\n", FormatBytes(estimate.available)));
}

}  // namespace fathom

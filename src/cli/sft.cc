#include "cli/sft.h"

#include <memory>
#include <optional>

#include "base/log.h"
#include "cli/training_command.h"
#include "posttrain/sft/sft.h"

namespace fathom {
namespace {

void PrintSummary(const TrainSummary& summary, bool json, const StepProfiler* profiler) {
  if (json) {
    WriteJson(SummaryJson(summary, profiler));
    return;
  }
  if (summary.interrupted) return;
  LogSummary(summary);
  if (summary.best_step < 0) return;
  WriteStandardOutput(fmt::format(
      "held-out answers, nats a token\n  {:<28} {:.3f}\n  {:<28} {:.3f}\n", "before",
      summary.start_score, fmt::format("after (step {})", summary.best_step), summary.best_score));
}

void RunSftCommand(TrainingArguments& arguments) {
  if (arguments.common.quiet) spdlog::set_level(spdlog::level::warn);
  SftConfig config = SftConfig::Load(arguments.config, arguments.overrides);
  if (arguments.common.seed) config.seed = *arguments.common.seed;
  Device device(arguments.common.device, arguments.common.threads);
  if (arguments.dry_run) {
    const auto stages = SftStages(config, device.pool(), arguments.common.quiet);
    ShowEstimate(device.context(), config, EstimateRun(device.context(), config, stages),
                 arguments.common.json);
    return;
  }
  TrainOptions options = WithSample(config, arguments.Options());
  std::optional<StepProfiler> profiler;
  if (arguments.profile) profiler.emplace(device, options);
  const TrainSummary summary = RunSft(device.context(), config, options);
  PrintSummary(summary, arguments.common.json, profiler ? &*profiler : nullptr);
  if (profiler && !arguments.common.json)
    profiler->Print(device.context(), config.ModelPrecision().act);
  if (summary.interrupted) throw WasInterrupted();
}

}  // namespace

TrainOptions WithSample(const SftConfig& config, TrainOptions options) {
  if (config.sample.every == 0) return options;
  options.sample = [prompt = SftSamplePrompt(config), seed = config.seed](
                       Context& context, Transformer& transformer, const Tokenizer& tokenizer,
                       const TrainingSettings::Sample& sample) {
    return WriteSample(context, transformer, tokenizer, prompt, 0, sample, seed);
  };
  return options;
}

void AddSftCommand(Command app) {
  auto arguments = std::make_shared<TrainingArguments>();
  Command command = app.AddCommand("sft", "Tune a model on conversations as an sft.toml says.");
  arguments->AddTo(command,
                   {.file = "SFT.toml", .config = "The run's configuration (docs/fine-tuning.md)"});
  command.Footer("Example: fathom sft sft.toml --set optimizer.lr=1e-4 --resume");
  command.OnRun([arguments] { RunSftCommand(*arguments); });
}

}  // namespace fathom

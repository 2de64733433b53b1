#include "cli/train.h"

#include <memory>
#include <optional>

#include "base/log.h"
#include "cli/training_command.h"
#include "train/pretraining.h"
#include "train/run_setup.h"

namespace fathom {
namespace {

void PrintSummary(const PretrainingSummary& summary, bool json, const StepProfiler* profiler) {
  if (json) {
    nlohmann::ordered_json result = SummaryJson(summary, profiler);
    if (summary.bits_per_byte > 0) result["bits_per_byte"] = summary.bits_per_byte;
    if (summary.baseline_bits_per_byte > 0)
      result["baseline_bits_per_byte"] = summary.baseline_bits_per_byte;
    WriteJson(result);
    return;
  }
  if (summary.interrupted) return;
  LogSummary(summary);
  if (summary.bits_per_byte == 0) return;
  std::string table = fmt::format("bits per byte of the held-out documents\n  {:<28} {:.3f}\n",
                                  "this model", summary.bits_per_byte);
  if (summary.baseline_bits_per_byte > 0) {
    table += fmt::format("  {:<28} {:.3f}\n", "order-4 byte model", summary.baseline_bits_per_byte);
  }
  WriteStandardOutput(table);
}

void RunTrain(TrainingArguments& arguments) {
  if (arguments.common.quiet) spdlog::set_level(spdlog::level::warn);
  RunConfig config = RunConfig::Load(arguments.config, arguments.overrides);
  if (arguments.common.seed) config.seed = *arguments.common.seed;
  Device device(arguments.common.device, arguments.common.threads);
  if (arguments.dry_run) {
    const auto stages = RunStages(config, RunModelConfig(config));
    ShowEstimate(device.context(), config, EstimateRun(device.context(), config, stages),
                 arguments.common.json);
    return;
  }
  TrainOptions options = arguments.Options();
  options.sample = [seed = config.seed](Context& context, Transformer& transformer,
                                        const Tokenizer& tokenizer,
                                        const TrainingSettings::Sample& sample) {
    std::vector<int32_t> prompt;
    if (transformer.config().bos_token_id >= 0)
      prompt.push_back(static_cast<int32_t>(transformer.config().bos_token_id));
    const size_t begins = prompt.size();
    tokenizer.Encode(sample.prompt, {.added_tokens = false}, prompt);
    const size_t shown = prompt.size() - begins;
    return WriteSample(context, transformer, tokenizer, std::move(prompt), shown, sample, seed);
  };
  std::optional<StepProfiler> profiler;
  if (arguments.profile) profiler.emplace(device, options);
  const PretrainingSummary summary = Pretrain(device.context(), config, options);
  PrintSummary(summary, arguments.common.json, profiler ? &*profiler : nullptr);
  if (profiler && !arguments.common.json)
    profiler->Print(device.context(), config.ModelPrecision().act);
  if (summary.interrupted) throw WasInterrupted();
}

}  // namespace

void AddTrainCommand(Command app) {
  auto arguments = std::make_shared<TrainingArguments>();
  Command command = app.AddCommand("train", "Pre-train a model as a run.toml says.");
  arguments->AddTo(command,
                   {.file = "RUN.toml", .config = "The run's configuration (docs/training.md)"});
  command.Footer("Example: fathom train run.toml --set optimizer.lr=1e-3 --resume");
  command.OnRun([arguments] { RunTrain(*arguments); });
}

}  // namespace fathom

#include "cli/reward.h"

#include <cmath>
#include <memory>
#include <optional>

#include "base/log.h"
#include "cli/training_command.h"
#include "posttrain/reward_model/reward_training.h"

namespace fathom {
namespace {

void PrintSummary(const RewardSummary& summary, bool pairs, bool json,
                  const StepProfiler* profiler) {
  if (json) {
    nlohmann::ordered_json result = SummaryJson(summary.training, profiler);
    if (summary.held_out) {
      const ScoreStatistics& held_out = *summary.held_out;
      result[pairs ? "pair_accuracy" : "label_accuracy"] = held_out.accuracy.value;
      result["accuracy_low"] = held_out.accuracy.low;
      result["accuracy_high"] = held_out.accuracy.high;
      result["held_out_loss"] = held_out.loss;
      result["calibration_error"] = held_out.calibration_error;
      if (std::isfinite(held_out.auc)) result["auc"] = held_out.auc;
      result["held_out_examples"] = summary.held_out_examples;
    }
    WriteJson(result);
    return;
  }
  if (summary.training.interrupted) return;
  LogSummary(summary.training);
  if (!summary.held_out) return;
  const ScoreStatistics& held_out = *summary.held_out;
  std::string text = fmt::format(
      "{} held-out {}\n  {:<28} {:.1f} % [{:.1f}, {:.1f}]\n  {:<28} {:.3f}\n  {:<28} {:.3f}\n",
      summary.held_out_examples, pairs ? "pairs" : "texts",
      pairs ? "better one scored higher" : "label right", 100 * held_out.accuracy.value,
      100 * held_out.accuracy.low, 100 * held_out.accuracy.high, "loss, nats", held_out.loss,
      "calibration error", held_out.calibration_error);
  if (std::isfinite(held_out.auc)) text += fmt::format("  {:<28} {:.3f}\n", "AUC", held_out.auc);
  WriteStandardOutput(text);
}

void RunRewardCommand(TrainingArguments& arguments) {
  if (arguments.common.quiet) spdlog::set_level(spdlog::level::warn);
  RewardConfig config = RewardConfig::Load(arguments.config, arguments.overrides);
  if (arguments.common.seed) config.seed = *arguments.common.seed;
  Device device(arguments.common.device, arguments.common.threads);
  if (arguments.dry_run) {
    const auto stages = RewardStages(config, device.pool(), arguments.common.quiet);
    ShowEstimate(device.context(), config, EstimateRun(device.context(), config, stages),
                 arguments.common.json);
    return;
  }
  TrainOptions options = arguments.Options();
  std::optional<StepProfiler> profiler;
  if (arguments.profile) profiler.emplace(device, options);
  const RewardSummary summary = RunReward(device.context(), config, options);
  PrintSummary(summary, config.Kind() == ScoreKind::kPairwise, arguments.common.json,
               profiler ? &*profiler : nullptr);
  if (profiler && !arguments.common.json)
    profiler->Print(device.context(), config.ModelPrecision().act);
  if (summary.training.interrupted) throw WasInterrupted();
}

}  // namespace

void AddRewardCommand(Command app) {
  auto arguments = std::make_shared<TrainingArguments>();
  Command command = app.AddCommand(
      "reward", "Train a reward model on preferences or labels as a reward.toml says.");
  arguments->AddTo(command, {.file = "REWARD.toml",
                             .config = "The run's configuration (docs/reward-models.md)"});
  command.Footer("Example: fathom reward reward.toml --set optimizer.lr=1e-5 --resume");
  command.OnRun([arguments] { RunRewardCommand(*arguments); });
}

}  // namespace fathom

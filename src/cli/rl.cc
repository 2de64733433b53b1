#include "cli/rl.h"

#include <memory>

#include "base/log.h"
#include "cli/training_command.h"
#include "posttrain/grpo/grpo.h"
#include "posttrain/grpo/grpo_plan.h"

namespace fathom {
namespace {

void PrintPlan(const GrpoPlan& plan, bool json) {
  if (json) {
    WriteJson({{"problems", plan.problems},
               {"held_out_problems", plan.held_out},
               {"answers", plan.answers},
               {"answer_tokens", plan.answer_tokens},
               {"memory_bytes", MemoryJson(plan.memory, plan.available)},
               {"fits", plan.memory.total() <= plan.available}});
    return;
  }
  WriteStandardOutput(fmt::format(
      "{} problems to learn from, {} held out\n{} answers a step, {} tokens of them at most\n"
      "memory by role:\n{}\n",
      plan.problems, plan.held_out, plan.answers,
      FormatCount(static_cast<double>(plan.answer_tokens)), plan.memory.ToTable()));
}

void PrintSummary(const GrpoSummary& summary, bool json) {
  if (json) {
    nlohmann::ordered_json result = {
        {"interrupted", summary.interrupted}, {"step", summary.step}, {"seconds", summary.seconds}};
    if (summary.accuracy >= 0) {
      result["accuracy_before"] = summary.accuracy_before;
      result["accuracy"] = summary.accuracy;
      result["held_out_problems"] = summary.held_out;
    }
    if (!summary.model.empty()) result["model"] = summary.model.string();
    WriteJson(result);
    return;
  }
  if (summary.interrupted) return;
  spdlog::info("{} steps in {}; the {} is in {}", summary.step, FormatDuration(summary.seconds),
               summary.model.filename().string(), summary.model.string());
  if (summary.accuracy < 0) return;
  WriteStandardOutput(fmt::format(
      "{} held-out problems, answered right\n  {:<28} {:5.1f} %\n  {:<28} {:5.1f} %\n",
      summary.held_out, "before", 100 * summary.accuracy_before, "after", 100 * summary.accuracy));
}

void DryRun(Context& context, const GrpoConfig& config, bool json) {
  const ChatModel model = ChatModel::OpenWriter(config.model.init_from);
  const ProblemPool pool(config, model);
  const GrpoPlan plan = PlanGrpo(context, config, model, pool);
  PrintPlan(plan, json);
  RefuseWhatDoesNotFit(context, config, model.config, plan);
  if (json) return;
  WriteStandardOutput(fmt::format("it fits: {} are available\n", FormatBytes(plan.available)));
}

void RunRl(RunArguments& arguments) {
  if (arguments.common.quiet) spdlog::set_level(spdlog::level::warn);
  GrpoConfig config = GrpoConfig::Load(arguments.config, arguments.overrides);
  if (arguments.common.seed) config.seed = *arguments.common.seed;
  Device device(arguments.common.device, arguments.common.threads);
  if (arguments.dry_run) return DryRun(device.context(), config, arguments.common.json);
  const GrpoSummary summary = RunGrpo(
      device.context(), config, {.resume = arguments.resume, .quiet = arguments.common.quiet});
  PrintSummary(summary, arguments.common.json);
  if (summary.interrupted) throw WasInterrupted();
}

}  // namespace

void AddRlCommand(Command app) {
  auto arguments = std::make_shared<RunArguments>();
  Command command = app.AddCommand(
      "rl", "Reinforcement learning (GRPO) on verifiable problems, as a grpo.toml says.");
  arguments->AddTo(command, {.file = "GRPO.toml",
                             .config = "The run's configuration (docs/reinforcement-learning.md)",
                             .dry_run = "Say what the run would take (answers, memory), and stop"});
  command.Footer("Example: fathom rl grpo.toml --set rollout.answers=16 --resume");
  command.OnRun([arguments] { RunRl(*arguments); });
}

}  // namespace fathom

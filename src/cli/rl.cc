#include "cli/rl.h"

#include <memory>

#include "base/log.h"
#include "cli/training_command.h"
#include "posttrain/grpo/grpo.h"

namespace fathom {
namespace {

struct Arguments {
  CommonOptions common;
  std::filesystem::path config;
  std::vector<std::string> overrides;
  bool resume = false;
};

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

void RunRl(Arguments& arguments) {
  if (arguments.common.quiet) spdlog::set_level(spdlog::level::warn);
  GrpoConfig config = GrpoConfig::Load(arguments.config, arguments.overrides);
  if (arguments.common.seed) config.seed = *arguments.common.seed;
  Device device(arguments.common.device, arguments.common.threads);
  const GrpoSummary summary = RunGrpo(
      device.context(), config, {.resume = arguments.resume, .quiet = arguments.common.quiet});
  PrintSummary(summary, arguments.common.json);
}

}  // namespace

void AddRlCommand(Command app) {
  auto arguments = std::make_shared<Arguments>();
  Command command = app.AddCommand(
      "rl", "Reinforcement learning (GRPO) on verifiable problems, as a grpo.toml says.");
  command
      .AddOption("GRPO.toml", arguments->config,
                 "The run's configuration (docs/reinforcement-learning.md)")
      .Required();
  command
      .AddOption("--set", arguments->overrides,
                 "KEY=VALUE in place of what the file says; repeatable")
      .Repeatable();
  command.AddFlag("--resume", arguments->resume,
                  "Go on from the newest checkpoint, if there is one");
  arguments->common.AddTo(command);
  command.GetOption("--seed").Describe("In place of the configuration's seed");
  command.Footer("Example: fathom rl grpo.toml --set rollout.answers=16 --resume");
  command.OnRun([arguments] { RunRl(*arguments); });
}

}  // namespace fathom

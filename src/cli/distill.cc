#include "cli/distill.h"

#include <memory>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "cli/training_command.h"
#include "posttrain/distill/distill.h"
#include "posttrain/distill/distill_report.h"

namespace fathom {
namespace {

using nlohmann::ordered_json;

void PrintPlan(const DistillPlan& plan, bool json) {
  if (json) {
    WriteJson({{"questions", plan.questions},
               {"repeated", plan.repeated},
               {"traces", plan.traces},
               {"missing", plan.missing},
               {"most_tokens", plan.most_tokens},
               {"least_seconds", plan.least_seconds}});
    return;
  }
  std::string text = fmt::format(
      "{} questions ({} repeated ones left out): {} traces, of which {} are missing; they take {} "
      "tokens at most\n",
      plan.questions, plan.repeated, plan.traces, plan.missing,
      FormatCount(static_cast<double>(plan.most_tokens)));
  if (plan.least_seconds > 0)
    text +=
        fmt::format("at the endpoint's limits {} at least\n", FormatDuration(plan.least_seconds));
  WriteStandardOutput(text);
}

void PrintSummary(const DistillConfig& config, const DistillSummary& summary, bool json) {
  if (json) {
    ordered_json result = {{"interrupted", summary.interrupted},
                           {"asked", summary.asked},
                           {"refused", summary.refused},
                           {"missing", summary.missing}};
    if (summary.filter) {
      result["filter"] = ToJson(*summary.filter);
      result["conversations"] = config.conversations().string();
    }
    if (summary.student) result["student"] = SummaryJson(*summary.student, nullptr);
    WriteJson(result);
    return;
  }
  if (summary.interrupted) {
    spdlog::warn("interrupted: {} traces are missing; the same command with --resume goes on",
                 summary.missing);
    return;
  }
  WriteStandardOutput(ToText(*summary.filter) +
                      fmt::format("they are in {}\n", config.conversations().string()));
  if (summary.student && !summary.student->interrupted) LogSummary(*summary.student);
}

void RunDistill(RunArguments& arguments) {
  if (arguments.common.quiet) spdlog::set_level(spdlog::level::warn);
  DistillConfig config = DistillConfig::Load(arguments.config, arguments.overrides);
  if (arguments.common.seed) config.seed = *arguments.common.seed;
  if (arguments.dry_run) return PrintPlan(PlanDistillation(config), arguments.common.json);
  Device device(arguments.common.device, arguments.common.threads);
  const DistillSummary summary = RunDistillation(
      device.context(), config,
      {.resume = arguments.resume, .quiet = arguments.common.quiet, .version = FATHOM_VERSION});
  PrintSummary(config, summary, arguments.common.json);
  if (summary.interrupted || (summary.student && summary.student->interrupted))
    throw WasInterrupted();
}

}  // namespace

void AddDistillCommand(Command app) {
  auto arguments = std::make_shared<RunArguments>();
  Command command = app.AddCommand(
      "distill",
      "Collect a teacher's answers, choose among them and tune a student, as a distill.toml says.");
  arguments->AddTo(command, {.file = "DISTILL.toml",
                             .config = "The run's configuration (docs/distillation.md)",
                             .resume = "Ask only for what is missing, and go on",
                             .dry_run = "Say how much would be asked, ask nobody, and stop"});
  command.Footer("Example: fathom distill distill.toml --set sampling.samples=8 --resume");
  command.OnRun([arguments] { RunDistill(*arguments); });
}

}  // namespace fathom

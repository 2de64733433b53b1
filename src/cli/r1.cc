#include "cli/r1.h"

#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/log.h"
#include "cli/common.h"
#include "cli/run_arguments.h"
#include "cli/sft.h"
#include "posttrain/r1/model_scores.h"
#include "posttrain/r1/pipeline.h"

namespace fathom {
namespace {

using nlohmann::ordered_json;

struct R1Arguments : RunArguments {
  std::string until;
};

void PrintPlan(const PipelineConfig& config, bool json) {
  LoadTasks(config.evaluation);  // whatever is wrong with them is said
  const std::vector<std::string> missing = MissingInputs(config);
  ordered_json stages = ordered_json::array();
  std::string text;
  for (const PipelineStage& stage : config.stages) {
    const PipelineStage* maker = config.MakerOf(stage.begins_with());
    const std::string from = maker != nullptr ? maker->name : stage.begins_with().string();
    stages.push_back({{"name", stage.name},
                      {"kind", stage.kind()},
                      {"begins_with", from},
                      {"makes", stage.makes().string()},
                      {"configuration", stage.ToToml()}});
    text += fmt::format("{:<20} {:<8} {}{}\n", stage.name, stage.kind(),
                        from.empty() ? "data alone" : "from ", from);
  }
  for (const std::string& input : missing) text += fmt::format("is not there: {}\n", input);
  if (json) {
    WriteJson({{"stages", std::move(stages)}, {"missing", missing}});
  } else {
    WriteStandardOutput(text);
  }
}

void RunR1(R1Arguments& arguments) {
  if (arguments.common.quiet) spdlog::set_level(spdlog::level::warn);
  std::vector<std::string> overrides = arguments.overrides;
  if (arguments.common.seed) overrides.push_back(fmt::format("seed={}", *arguments.common.seed));
  const PipelineConfig config = PipelineConfig::Load(arguments.config, overrides);
  if (arguments.dry_run) return PrintPlan(config, arguments.common.json);
  Device device(arguments.common.device, arguments.common.threads);
  const PipelineSummary summary =
      RunPipeline(device.context(), config,
                  {.resume = arguments.resume,
                   .quiet = arguments.common.quiet,
                   .until = arguments.until,
                   .version = FATHOM_VERSION,
                   .sft_options = [](const SftConfig& stage) { return WithSample(stage, {}); }});
  if (summary.interrupted) spdlog::warn("interrupted: the same command with --resume goes on");
  if (arguments.common.json) {
    ordered_json result = {{"interrupted", summary.interrupted}};
    result.update(ToJson(summary.table));
    WriteJson(result);
  } else {
    WriteStandardOutput(ToText(summary.table));
  }
  if (summary.interrupted) throw WasInterrupted();
}

}  // namespace

void AddR1Command(Command app) {
  auto arguments = std::make_shared<R1Arguments>();
  Command command = app.AddCommand(
      "r1", "Stages one after another, from a base model to a reasoning one, as a file says.");
  arguments->AddTo(command,
                   {.file = "PIPELINE.toml",
                    .config = "The stages (docs/r1.md)",
                    .resume = "Keep stages that are done, and go on with the one under way",
                    .dry_run = "Say what the stages are and what they lack, and stop"});
  command.AddOption("--until", arguments->until, "The last stage to be run; all if not given");
  command.Footer("Example: fathom r1 r1.toml --until reasoning --set 'stage[1].rl.steps=100'");
  command.OnRun([arguments] { RunR1(*arguments); });
}

}  // namespace fathom

#include "posttrain/r1/pipeline.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>

#include "base/directories.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "posttrain/distill/distill.h"
#include "posttrain/grpo/grpo.h"
#include "posttrain/r1/model_scores.h"
#include "posttrain/r1/pipeline_record.h"
#include "posttrain/reward_model/reward_training.h"
#include "posttrain/sft/sft.h"

namespace fathom {
namespace {

namespace fs = std::filesystem;

class Runner {
 public:
  Runner(Context& context, const PipelineConfig& config, const PipelineOptions& options)
      : context_(context),
        config_(config),
        options_(options),
        tasks_(LoadTasks(config.evaluation)),
        record_(config.output / "pipeline.json") {
    for (const NamedTask& task : tasks_) summary_.table.tasks.push_back(task.name);
    for (const PipelineStage& stage : config_.stages) {
      summary_.table.stages.push_back({.name = stage.name,
                                       .kind = std::string(stage.kind()),
                                       .done = record_.IsDone(stage, config_),
                                       .seconds = record_.Seconds(stage.name)});
    }
  }

  PipelineSummary Run() {
    for (size_t i = 0; i < config_.stages.size(); ++i) {
      summary_.interrupted = InterruptGuard::Requested();
      if (summary_.interrupted) break;
      const PipelineStage& stage = config_.stages[i];
      // What it is compared with.
      if (!MeasureStart(stage)) break;
      if (!summary_.table.stages[i].done && !RunStage(stage, summary_.table.stages[i])) break;
      if (!MeasureMade(stage)) break;
      WritePipelineReport(config_.output / "report.html", config_, summary_.table);
      if (stage.name == options_.until) break;
    }
    return std::move(summary_);
  }

 private:
  // False: Ctrl-C.
  bool RunStage(const PipelineStage& stage, PipelineProgress& progress) {
    spdlog::info("stage {} of {}: {} ({}), in {}", std::distance(config_.stages.data(), &stage) + 1,
                 config_.stages.size(), stage.name, stage.kind(), stage.output().string());
    // What was measured of another model of this name.
    fs::remove_all(Measurements(stage.name));
    const auto start = std::chrono::steady_clock::now();
    summary_.interrupted = !std::visit([this](const auto& run) { return Ends(run); }, stage.run);
    if (summary_.interrupted) return false;
    progress.done = true;
    progress.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    record_.SetDone(stage, config_, progress.seconds);
    return true;
  }
  // Whether it has gone to its end. A stage that was killed before it wrote anything begins.
  bool Ends(const SftConfig& config) const {
    TrainOptions options = options_.sft_options(config);
    options.resume = fs::exists(config.output);
    options.quiet = options_.quiet;
    return !RunSft(context_, config, options).interrupted;
  }
  bool Ends(const RewardConfig& config) const {
    return !RunReward(context_, config,
                      {.resume = fs::exists(config.output), .quiet = options_.quiet})
                .training.interrupted;
  }
  bool Ends(const GrpoConfig& config) const {
    return !RunGrpo(context_, config,
                    {.resume = fs::exists(config.output), .quiet = options_.quiet})
                .interrupted;
  }
  bool Ends(const DistillConfig& config) const {
    const DistillSummary summary = RunDistillation(context_, config,
                                                   {.resume = fs::exists(config.output),
                                                    .quiet = options_.quiet,
                                                    .version = options_.version});
    return !summary.interrupted && !(summary.student && summary.student->interrupted);
  }

  fs::path Measurements(const std::string& name) const {
    return config_.output / "evaluation" / name;
  }

  // The name of the model that a stage begins with; empty: it has none.
  std::string StartOf(const PipelineStage& stage) const {
    if (stage.begins_with().empty()) return "";
    const PipelineStage* maker = config_.MakerOf(stage.begins_with());
    return maker != nullptr ? maker->name : stage.begins_with().string();
  }
  bool IsKnown(const std::string& name) const {
    return std::any_of(summary_.table.models.begin(), summary_.table.models.end(),
                       [&](const PipelineModel& model) { return model.name == name; });
  }
  // A model that no stage made. False: Ctrl-C.
  bool MeasureStart(const PipelineStage& stage) {
    const std::string name = StartOf(stage);
    if (name.empty() || IsKnown(name) || stage.makes_reward_model() ||
        config_.evaluation.start == "none")
      return true;
    return Measure({.name = name, .kind = {}, .begun_with = {}, .model = stage.begins_with()},
                   {.model = stage.begins_with(), .plain = config_.evaluation.start == "plain"},
                   "before-" + stage.name);
  }
  // What it made. False: Ctrl-C.
  bool MeasureMade(const PipelineStage& stage) {
    if (stage.makes().empty() || stage.makes_reward_model()) return true;
    AskedModel asked{.model = stage.makes()};
    if (stage.makes_adapter()) asked = {.model = stage.begins_with(), .adapter = stage.makes()};
    return Measure({.name = stage.name,
                    .kind = std::string(stage.kind()),
                    .begun_with = StartOf(stage),
                    .model = stage.makes()},
                   asked, stage.name);
  }
  bool Measure(PipelineModel model, const AskedModel& asked, const std::string& directory) {
    auto scores =
        ScoreModel(context_, asked, tasks_, config_, Measurements(directory), options_.quiet);
    summary_.interrupted = !scores;
    if (!scores) return false;
    model.scores = *std::move(scores);
    for (size_t i = 0; i < model.scores.size(); ++i) {
      const Estimated& accuracy = model.scores[i].accuracy;
      spdlog::info("{}: {:.1f} % of {} ({:.1f} to {:.1f})", model.name, 100 * accuracy.value,
                   tasks_[i].name, 100 * accuracy.low, 100 * accuracy.high);
    }
    summary_.table.models.push_back(std::move(model));
    return true;
  }

  Context& context_;
  const PipelineConfig& config_;
  const PipelineOptions& options_;
  const std::vector<NamedTask> tasks_;
  PipelineRecord record_;
  PipelineSummary summary_;
};

}  // namespace

std::vector<std::string> MissingInputs(const PipelineConfig& config) {
  std::vector<std::string> missing;
  for (const PipelineStage& stage : config.stages) {
    for (const fs::path& input : stage.inputs()) {
      // Its maker is an earlier stage.
      const fs::path relative = input.lexically_relative(config.output);
      const bool is_made = !relative.empty() && *relative.begin() != "..";
      if (!is_made && !fs::exists(input))
        missing.push_back(fmt::format("stage '{}': {}", stage.name, input.string()));
    }
  }
  return missing;
}

PipelineSummary RunPipeline(Context& context, const PipelineConfig& config,
                            const PipelineOptions& options) {
  if (!options.until.empty() && config.Find(options.until) == nullptr)
    throw UsageError("--until", fmt::format("'{}' is no stage", options.until));
  const std::vector<std::string> missing = MissingInputs(config);
  if (!missing.empty()) {
    throw Error("",
                fmt::format("what stages begin with is not there: {}", fmt::join(missing, "; ")),
                "nothing was run");
  }
  const auto has_run = [](const PipelineStage& stage) { return fs::exists(stage.output()); };
  if (!options.resume && std::any_of(config.stages.begin(), config.stages.end(), has_run)) {
    throw Error(config.output.string(), "holds a pipeline already",
                "give --resume to go on with it, or another output");
  }
  CreateDirectories(config.output);
  // Between the stages, too.
  const InterruptGuard interrupt;
  return Runner(context, config, options).Run();
}

}  // namespace fathom

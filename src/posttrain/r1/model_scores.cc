#include "posttrain/r1/model_scores.h"

#include <algorithm>
#include <memory>

#include "base/directories.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/progress.h"
#include "infer/loaded_model.h"
#include "posttrain/answers/answer_extraction.h"
#include "posttrain/evaluation/sample_engine.h"
#include "posttrain/evaluation/task_evaluation.h"
#include "posttrain/rewards/answer_judge.h"

namespace fathom {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

TaskEvaluationOptions OptionsOf(const PipelineConfig& config, const AskedModel& asked,
                                const NamedTask& task, const LoadedModel& model) {
  const PipelineConfig::Evaluation& evaluation = config.evaluation;
  TaskEvaluationOptions options{
      .samples_each = evaluation.temperature == 0 ? 1 : evaluation.samples,
      .max_tokens = evaluation.max_tokens,
      .at_a_time = evaluation.at_a_time,
      .judge = {.rules = ParseAnswerRules(evaluation.extract, "evaluation.extract")}};
  options.prompt.plain = asked.plain;
  options.prompt.instruction = evaluation.instruction;
  if (asked.plain) {
    options.prompt.examples = task.examples;
  } else {
    options.prompt.system = evaluation.system;
    if (evaluation.think != "model") options.prompt.think = evaluation.think == "on";
  }
  options.sampling = model.defaults().sampling;
  options.sampling.temperature = evaluation.temperature;
  options.sampling.top_p = evaluation.top_p;
  options.sampling.top_k = 0;
  options.sampling.min_p = 0;
  options.sampling.seed = config.seed;
  options.sampling.Validate();
  return options;
}

// What decides a sample, for the file that keeps it.
ordered_json Settings(const PipelineConfig& config, const AskedModel& asked,
                      const NamedTask& task) {
  const PipelineConfig::Evaluation& evaluation = config.evaluation;
  return {{"model", asked.model.string()},
          {"adapter", asked.adapter.string()},
          {"task", task.name},
          {"content", task.fingerprint},
          {"plain", asked.plain},
          {"shots", asked.plain ? task.examples.size() : 0},
          {"system", evaluation.system},
          {"instruction", evaluation.instruction},
          {"think", evaluation.think},
          {"max_tokens", evaluation.max_tokens},
          {"temperature", evaluation.temperature},
          {"top_p", evaluation.top_p},
          {"extract", evaluation.extract},
          {"seed", config.seed}};
}

// A file's name for the samples of task number `i`.
std::string FileName(const NamedTask& task, size_t i) {
  std::string name = fs::exists(task.name) ? fs::path(task.name).stem().string() : task.name;
  std::replace(name.begin(), name.end(), ':', '-');
  return fmt::format("{}-{}.jsonl", i + 1, name);
}

}  // namespace

std::vector<NamedTask> LoadTasks(const PipelineConfig::Evaluation& evaluation) {
  std::vector<NamedTask> tasks;
  for (const std::string& task : evaluation.tasks) {
    tasks.push_back(LoadTask(task, static_cast<size_t>(evaluation.limit),
                             static_cast<size_t>(evaluation.shots), evaluation.examples,
                             {.task = "evaluation.tasks",
                              .limit = "evaluation.limit",
                              .shots = "evaluation.shots",
                              .examples = "evaluation.examples"}));
    for (const TaskProblem& problem : tasks.back().problems)
      RequireOwnJudge(problem, fmt::format("measure {} with fathom eval --verifier", task));
  }
  return tasks;
}

std::optional<std::vector<EvaluationSummary>> ScoreModel(Context& context, const AskedModel& asked,
                                                         const std::vector<NamedTask>& tasks,
                                                         const PipelineConfig& config,
                                                         const fs::path& directory, bool quiet) {
  std::vector<EvaluationSummary> summaries;
  if (tasks.empty()) return summaries;
  CreateDirectories(directory);
  const InterruptGuard interrupt;
  for (size_t i = 0; i < tasks.size(); ++i) {
    const NamedTask& task = tasks[i];
    LoadedModel model(asked.model, std::nullopt, MtpUse::kNone, asked.adapter);
    const TaskEvaluationOptions options = OptionsOf(config, asked, task, model);
    TaskEvaluation evaluation(model, task.problems, options, nullptr);
    SampleLog log(directory / FileName(task, i), Settings(config, asked, task));
    const int64_t missing = evaluation.Missing(log);
    if (missing > 0) {
      SampleEngine sampling(context, model, std::min(missing, options.at_a_time),
                            evaluation.longest(), quiet);
      Progress progress(task.name, "samples", static_cast<double>(missing), quiet);
      const bool whole =
          evaluation.Run(sampling.engine(), log, [&](int64_t samples, int64_t tokens) {
            progress.Update(static_cast<double>(samples),
                            fmt::format("{} tokens", FormatCount(static_cast<double>(tokens))));
            return !InterruptGuard::Requested();
          });
      if (!whole) return std::nullopt;
    }
    summaries.push_back(
        Summarize(task.problems, log, options.samples_each, {}, options.judge.match));
  }
  return summaries;
}

}  // namespace fathom

#include "train/trainer.h"

#include <chrono>
#include <cmath>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/progress.h"
#include "ops/backend.h"
#include "train/checkpoint.h"
#include "train/report.h"
#include "train/run_log.h"
#include "train/throughput.h"
#include "train/training_step.h"

namespace fathom {
namespace {

using Clock = std::chrono::steady_clock;
namespace fs = std::filesystem;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// What a model wrote, without what would move a terminal's cursor.
std::string ForTerminal(std::string_view text) {
  std::string shown;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\r') continue;
    shown += (byte < ' ' && c != '\n' && c != '\t') || byte == 0x7F ? '?' : c;
  }
  return shown;
}

class Trainer {
 public:
  Trainer(Context& context, const TrainingSettings& settings, TrainingTask& task,
          const MemoryPlan& plan, const TrainOptions& options)
      : context_(context),
        settings_(settings),
        task_(task),
        plan_(plan),
        options_(options),
        stages_(task.stages()),
        model_(settings, task.model(), task.init_from(), context.backend->allocator()),
        store_(model_.store()),
        optimizer_(settings.optimizer, store_, context.backend->allocator()) {
    if (settings.ema_decay > 0)
      average_.emplace(settings.ema_decay, store_, context.backend->allocator());
    for (const TrainingStage& stage : stages_) total_steps_ += stage.steps;
  }

  TrainSummary Run() {
    Start();
    log_.emplace(settings_.output / "log.jsonl", progress_.step,
                 settings_.tensorboard ? settings_.output / "tensorboard" : fs::path());
    ShowStart();
    for (; progress_.stage < static_cast<int64_t>(stages_.size());
         ++progress_.stage, progress_.stage_step = 0) {
      if (!RunStage(stages_[static_cast<size_t>(progress_.stage)])) {
        summary_.interrupted = true;
        break;
      }
    }
    if (summary_.interrupted) {
      log_->WriteInterrupted(progress_.step);
    } else {
      Finish();
    }
    WriteReport(settings_.output);
    summary_.step = progress_.step;
    summary_.tokens = progress_.tokens;
    summary_.seconds = progress_.seconds;
    summary_.loss = progress_.loss;
    return summary_;
  }

 private:
  // From the task's beginning, or from the newest checkpoint.
  void Start() {
    const auto newest = NewestCheckpoint(settings_.output);
    if (newest) {
      progress_ = LoadCheckpoint(*newest, task_.model(), model_, optimizer_,
                                 average_ ? &*average_ : nullptr);
      if (progress_.stage >= static_cast<int64_t>(stages_.size())) {
        throw Error(newest->string(),
                    fmt::format("was made in extension {}, and the configuration has {}",
                                progress_.stage, stages_.size() - 1),
                    "put the [[extension]] back");
      }
      spdlog::info("resuming from {}", newest->string());
    } else {
      if (options_.resume) {
        spdlog::info("{} has no checkpoint to go on from: starting at step 0",
                     settings_.output.string());
      }
      model_.Begin(task_.model(), *context_.pool, options_.quiet);
      progress_.base_fingerprint = model_.base_fingerprint();
      optimizer_.Reset(context_);
      if (average_) average_->Reset(context_);
    }
    WriteFileAtomically(settings_.output / "config.toml", task_.ConfigToml());
  }

  void ShowStart() {
    const ParameterCounts counts = CountParameters(task_.model());
    spdlog::info("model: {} parameters, {} active a token, {} more in {} MTP module(s)",
                 FormatCount(static_cast<double>(counts.total)),
                 FormatCount(static_cast<double>(counts.active)),
                 FormatCount(static_cast<double>(counts.mtp)),
                 task_.model().num_nextn_predict_layers);
    nlohmann::ordered_json line = {{"kind", "start"},
                                   {"step", progress_.step},
                                   {"steps", total_steps_},
                                   {"parameters", counts.total},
                                   {"active_parameters", counts.active}};
    DescribeExpertLayers(task_.model(), line);
    if (model_.adapters()) {
      const int64_t trained = model_.trained_parameters();
      line["trained_parameters"] = trained;
      spdlog::info("training {} of them in adapters of rank {} beside {}",
                   FormatCount(static_cast<double>(trained)), settings_.lora.rank,
                   settings_.lora.base.string());
    }
    WarnOfWarmup(settings_.schedule, stages_.front().steps);
    task_.Describe(line);
    log_->WriteNow(line);
    spdlog::info("memory by role:\n{}", plan_.ToTable());
    peak_flops_ = context_.backend->MeasurePeakFlops(context_, settings_.ModelPrecision().act);
    spdlog::info("this machine multiplies {} at {} FLOP/s on {} thread(s)",
                 Name(settings_.ModelPrecision().act), FormatCount(peak_flops_),
                 context_.pool->threads());
  }

  // Returns false when the user asked to stop.
  bool RunStage(const TrainingStage& stage) {
    Transformer transformer(stage.model, settings_.ModelPrecision(), store_,
                            context_.backend->allocator());
    TrainingStep training_step(settings_, transformer, store_, optimizer_,
                               context_.backend->allocator());
    training_step.SetSoftTargets(task_.soft_targets());
    training_step.SetObjective(task_.objective());
    const std::unique_ptr<RowSource> rows = task_.Rows(static_cast<size_t>(progress_.stage));
    CheckSameData(stage, *rows);
    const auto stage_tokens =
        static_cast<double>((stage.steps - progress_.stage_step) * stage.batch_tokens);
    Progress progress(stage.name, "tokens", stage_tokens, options_.quiet);
    double stage_done = 0;
    TokenRows batch;
    if (settings_.checkpoint.best && progress_.step == 0) Validate(stage, transformer, progress);
    while (progress_.stage_step < stage.steps) {
      if (options_.before_step) options_.before_step();
      const auto start = Clock::now();
      const int64_t s = progress_.stage_step;
      rows->Read(static_cast<uint64_t>(s * stage.batch_rows()), stage.batch_rows(), batch);
      const double lr = stage.lr.value_or(
          LearningRate(settings_.schedule, settings_.optimizer.lr, s, stage.steps));
      const bool main_stage = progress_.stage == 0;
      const auto fraction = static_cast<double>(s) / static_cast<double>(stage.steps);
      const bool early_mtp = main_stage && fraction < settings_.mtp.switch_fraction;
      const bool balancing = main_stage && fraction < settings_.balance.bias_stop_fraction;
      const double mtp_weight = early_mtp ? settings_.mtp.weight : settings_.mtp.late_weight;
      const StepResult result =
          training_step.Run(context_, batch, stage.MicroBatchRows(settings_), progress_.step, lr,
                            mtp_weight, balancing ? settings_.balance.bias_speed : 0);
      if (!result.bad.empty()) {
        StopForBadNumbers(progress_.step + 1, "the loss or its gradient is not finite", result.bad);
      }
      if (average_) average_->Update(context_);
      ++progress_.step;
      ++progress_.stage_step;
      const double tokens = static_cast<double>(batch.rows * batch.length);
      progress_.tokens += static_cast<uint64_t>(tokens);
      const double seconds = SecondsSince(start);
      if (options_.after_step) options_.after_step(seconds);
      progress_.seconds += seconds;
      stage_done += tokens;
      const double mfu =
          TrainingFlops(stage.model, tokens, result.attention_pairs, model_.adapters()) / seconds /
          peak_flops_;
      progress_.loss =
          progress_.step == 1 ? result.loss : 0.95 * progress_.loss + 0.05 * result.loss;
      LogStep(result, lr, mtp_weight, tokens / seconds, mfu);
      progress.Update(stage_done,
                      fmt::format("step {}/{}, loss {:.3f}, {:.0f}% MFU", progress_.step,
                                  total_steps_, progress_.loss, 100 * mfu));
      const bool last_of_stage = progress_.stage_step == stage.steps;
      const bool last =
          last_of_stage && progress_.stage + 1 == static_cast<int64_t>(stages_.size());
      const bool best = settings_.checkpoint.best;
      // The last model is judged on all that is held out; to be chosen, like the others before.
      if ((Due(settings_.validation.every) && !last_of_stage) || (best && last))
        Validate(stage, transformer, progress);
      if (Due(settings_.sample.every) && options_.sample) Sample(transformer, progress);
      const bool stop = InterruptGuard::Requested();
      // The end of a stage is no end of the run, so it has no checkpoint of its own.
      if (Due(settings_.checkpoint.every) || stop || last) {
        progress.Clear();
        Save(stage);
      }
      if (stop && progress_.step < total_steps_) {
        progress.Clear();
        spdlog::info("stopped at step {}; go on with --resume", progress_.step);
        return false;
      }
    }
    return true;
  }

  // A resumed stage has to read the rows that it would have read: no other ones, none twice; and
  // one that has ended may not be scored on text that it was trained on. What else the
  // configuration says may change on purpose.
  void CheckSameData(const TrainingStage& stage, const RowSource& rows) {
    Hash64 hash;
    hash.UpdateField(rows.Fingerprint());
    hash.UpdateField(static_cast<uint64_t>(stage.batch_rows()));
    const uint64_t fingerprint = hash.Digest();
    auto settings = task_.RowSettings(static_cast<size_t>(progress_.stage));
    const int64_t micro_batch_tokens = stage.MicroBatchRows(settings_) * stage.sequence_length;
    if (progress_.stage_step > 0) {
      if (progress_.data_fingerprint != fingerprint) ThrowOtherData(settings);
      if (progress_.micro_batch_tokens != micro_batch_tokens) {
        spdlog::warn(
            "the micro-batch changed from {} to {} tokens: sums are taken in another order from "
            "here on",
            progress_.micro_batch_tokens, micro_batch_tokens);
      }
    }
    progress_.data_fingerprint = fingerprint;
    progress_.row_settings = std::move(settings);
    progress_.micro_batch_tokens = micro_batch_tokens;
  }

  [[noreturn]] void ThrowOtherData(const std::map<std::string, std::string>& settings) const {
    const std::string hint = fmt::format(
        "put it back; or start a run with another output that goes on from these weights, with "
        "model.init_from = \"{}\"",
        NewestCheckpoint(settings_.output).value_or("").string());
    const auto& before = progress_.row_settings;
    for (const auto* keys : {&before, &settings}) {
      for (const auto& [key, ignored] : *keys) {
        const auto was = before.find(key), is = settings.find(key);
        if (was != before.end() && is != settings.end() && was->second == is->second) continue;
        const auto value = [](auto found, const auto& map) {
          return found == map.end() ? std::string("absent") : found->second;
        };
        throw Error(key,
                    fmt::format("is {}, but was {} when the checkpoint was made: rows of text "
                                "would be repeated, left out or held out too late",
                                value(is, settings), value(was, before)),
                    hint);
      }
    }
    throw Error(settings_.output.string(),
                "the text of the data sources, or the tokenizer, is not what the checkpoint was "
                "made with",
                hint);
  }

  bool Due(int64_t every) const { return every > 0 && progress_.step % every == 0; }

  [[noreturn]] void StopForBadNumbers(int64_t step, std::string_view what, std::string_view bad) {
    const auto newest = NewestCheckpoint(settings_.output);
    throw Error(
        fmt::format("step {}", step), fmt::format("{}; the first bad tensor is {}", what, bad),
        newest ? fmt::format("the last good checkpoint is {}; a smaller optimizer.lr may help",
                             newest->string())
               : "a smaller optimizer.lr may help");
  }

  void LogStep(const StepResult& result, double lr, double mtp_weight, double tokens_per_second,
               double mfu) {
    nlohmann::ordered_json line = {{"kind", "step"},
                                   {"step", progress_.step},
                                   {"tokens", progress_.tokens},
                                   {"loss", result.loss},
                                   {"lr", lr},
                                   {"grad_norm", result.grad_norm},
                                   {"tokens_per_second", std::round(tokens_per_second)},
                                   {"mfu", std::round(mfu * 1e4) / 1e4}};
    if (!result.mtp_loss.empty()) {
      line["mtp_loss"] = result.mtp_loss;
      line["mtp_weight"] = mtp_weight;
    }
    if (task_.soft_targets() != nullptr) line["kl"] = result.kl;
    if (task_.objective() != nullptr) line["examples"] = result.targets;
    for (const auto& [name, mean] : result.parts) line[name] = mean;
    if (settings_.balance.sequence_alpha > 0) line["balance_loss"] = result.balance_loss;
    LogExpertLoad(result.expert_load, progress_.step, total_steps_, settings_.balance.load_entries,
                  line);
    log_->WriteNow(line);
  }

  void Validate(const TrainingStage& stage, Transformer& transformer, Progress& progress) {
    transformer.Pack(context_, settings_.Form(), /*training=*/false);
    const auto judgement = task_.Judge(context_, transformer, stage,
                                       static_cast<uint64_t>(settings_.validation.tokens));
    if (!judgement) return;
    nlohmann::ordered_json line = {{"kind", "validation"}, {"step", progress_.step}};
    line.update(judgement->line);
    log_->WriteNow(line);
    progress.Clear();
    const std::string loss = progress_.step > 0 ? fmt::format("loss {:.3f}, ", progress_.loss) : "";
    spdlog::info("step {}: {}{}", progress_.step, loss, judgement->text);
    if (!settings_.checkpoint.best) return;
    if (progress_.step == 0) progress_.start_score = judgement->score;
    if (progress_.best_step >= 0 && judgement->score >= progress_.best_score) return;
    progress_.best_step = progress_.step;
    progress_.best_score = judgement->score;
    ExportModel(BestPath(), stage.model, store_, task_.companions(), DType::kF32, options_.quiet);
  }

  void Sample(Transformer& transformer, Progress& progress) {
    transformer.Pack(context_, AttentionForm::kAbsorbed, /*training=*/false);
    const std::string text =
        options_.sample(context_, transformer, *task_.companions().tokenizer, settings_.sample);
    log_->WriteNow({{"kind", "sample"},
                    {"step", progress_.step},
                    {"prompt", settings_.sample.prompt},
                    {"text", text}});
    progress.Clear();
    spdlog::info("step {} writes:\n{}", progress_.step, ForTerminal(text));
  }

  void Save(const TrainingStage& stage) {
    // What the last update overflowed would only be seen in the next step.
    const std::string bad = FirstBadParameter(context_, store_);
    if (!bad.empty()) StopForBadNumbers(progress_.step, "its update is not finite", bad);
    SaveCheckpoint(settings_.output / "checkpoints" / fmt::format("step-{}", progress_.step),
                   stage.model, store_, optimizer_, average_ ? &*average_ : nullptr,
                   task_.companions(), progress_, options_.quiet);
    PruneCheckpoints(settings_.output, settings_.checkpoint.keep);
  }

  void Finish() {
    const TrainingStage& stage = stages_.back();
    if (progress_.best_step >= 0) {
      summary_.best_step = progress_.best_step;
      summary_.start_score = progress_.start_score;
      summary_.best_score = progress_.best_score;
      spdlog::info("the model is that of step {}, the best at a validation", progress_.best_step);
      LoadTrained(BestPath(), stage.model, model_);
    }
    const DType weights = settings_.precision.recipe == "f32" ? DType::kF32 : DType::kBF16;
    summary_.model = settings_.output / (model_.adapters() ? "adapter" : "model");
    ExportModel(summary_.model, stage.model, store_, task_.companions(), weights, options_.quiet);
    if (average_) {
      average_->Swap(context_);
      ExportModel(settings_.output / (model_.adapters() ? "adapter-average" : "model-average"),
                  stage.model, store_, task_.companions(), weights, options_.quiet);
      average_->Swap(context_);
    }
    Transformer transformer(stage.model, settings_.ModelPrecision(), store_,
                            context_.backend->allocator());
    transformer.Pack(context_, settings_.Form(), /*training=*/false);
    const auto judgement = task_.Judge(context_, transformer, stage, 0);
    nlohmann::ordered_json line = {{"kind", "result"}, {"step", progress_.step}};
    if (summary_.best_step >= 0) line["best_step"] = summary_.best_step;
    if (judgement) line.update(judgement->line);
    line["seconds"] = progress_.seconds;
    task_.Finish(judgement, line);
    log_->WriteNow(line);
  }

  fs::path BestPath() const { return settings_.output / "best"; }

  Context& context_;
  const TrainingSettings& settings_;
  TrainingTask& task_;
  const MemoryPlan& plan_;
  const TrainOptions& options_;
  const std::vector<TrainingStage>& stages_;
  TrainedModel model_;
  ParameterStore& store_;
  Optimizer optimizer_;
  std::optional<ParameterAverage> average_;
  int64_t total_steps_ = 0;
  TrainingProgress progress_;
  TrainSummary summary_;
  std::optional<RunLog> log_;
  double peak_flops_ = 1;
};

}  // namespace

void RefuseExistingRun(const TrainingSettings& settings, const TrainOptions& options) {
  if (options.resume || !NewestCheckpoint(settings.output)) return;
  throw Error(settings.output.string(), "there are checkpoints of a run already",
              "go on with --resume, or choose another output");
}

TrainSummary RunTraining(Context& context, const TrainingSettings& settings, TrainingTask& task,
                         const MemoryPlan& plan, const TrainOptions& options) {
  return Trainer(context, settings, task, plan, options).Run();
}

}  // namespace fathom

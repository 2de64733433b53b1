#include "train/trainer.h"

#include <chrono>
#include <cmath>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/progress.h"
#include "formats/mapped_model.h"
#include "ops/backend.h"
#include "train/checkpoint.h"
#include "train/evaluation.h"
#include "train/memory_plan.h"
#include "train/report.h"
#include "train/run_log.h"
#include "train/throughput.h"
#include "train/training_step.h"

namespace fathom {
namespace {

using Clock = std::chrono::steady_clock;
namespace fs = std::filesystem;

// Text that is repeated more often than this teaches little.
constexpr int kManyEpochs = 4;

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

// One stretch of a run with its own context length, batch and learning rate.
struct Stage {
  ModelConfig model;
  int64_t steps, sequence_length, batch_rows, micro_batch_rows;
};

class Trainer {
 public:
  Trainer(Context& context, const RunConfig& config, const TrainOptions& options)
      : context_(context),
        config_(config),
        options_(options),
        plan_(PlanMemory(context, config)),
        inputs_(PrepareRun(config, *context.pool, options.quiet)),
        store_(inputs_.model, config.ModelPrecision().sum, context.backend->allocator()),
        optimizer_(config.optimizer, store_, context.backend->allocator()) {
    if (config.ema_decay > 0)
      average_.emplace(config.ema_decay, store_, context.backend->allocator());
    MakeStages();
    CheckSample();
  }

  TrainSummary Run() {
    Start();
    log_.emplace(config_.output / "log.jsonl", progress_.step,
                 config_.tensorboard ? config_.output / "tensorboard" : fs::path());
    ShowStart();
    for (; progress_.stage < static_cast<int64_t>(stages_.size());
         ++progress_.stage, progress_.stage_step = 0) {
      if (!RunStage(stages_[static_cast<size_t>(progress_.stage)])) {
        summary_.interrupted = true;
        break;
      }
    }
    if (!summary_.interrupted) Finish();
    WriteReport(config_.output);
    summary_.step = progress_.step;
    summary_.tokens = progress_.tokens;
    summary_.seconds = progress_.seconds;
    summary_.loss = progress_.loss;
    return summary_;
  }

 private:
  void MakeStages() {
    const auto micro_rows = [&](int64_t batch_tokens, int64_t length) {
      const int64_t tokens =
          config_.micro_batch_tokens > 0 ? config_.micro_batch_tokens : batch_tokens;
      return std::max<int64_t>(1, tokens / length);
    };
    const int64_t length = config_.data.sequence_length;
    stages_.push_back({inputs_.model, config_.steps, length, config_.batch_tokens / length,
                       micro_rows(config_.batch_tokens, length)});
    for (const RunConfig::Extension& extension : config_.extensions) {
      stages_.push_back({ExtendedConfig(inputs_.model, config_, extension), extension.steps,
                         extension.sequence_length,
                         extension.batch_tokens / extension.sequence_length,
                         micro_rows(extension.batch_tokens, extension.sequence_length)});
    }
    if (config_.schedule.warmup_steps >= config_.steps) {
      spdlog::warn(
          "schedule.warmup_steps {} is not less than steps {}: the learning rate never stays at "
          "optimizer.lr",
          config_.schedule.warmup_steps, config_.steps);
    }
    for (size_t i = 0; i < stages_.size(); ++i) {
      total_steps_ += stages_[i].steps;
      // A source that is too small for a later stage is an Error now, not when its turn comes.
      const TrainingRows rows = MakeTrainingRows(config_, inputs_, static_cast<int>(i));
      const auto uses =
          rows.UseAfter(static_cast<uint64_t>(stages_[i].steps * stages_[i].batch_rows));
      epochs_.resize(uses.size());
      for (size_t s = 0; s < uses.size(); ++s) epochs_[s] += uses[s].epochs();
    }
  }

  // What the text shown while training asks for is an Error now, not when its turn comes.
  void CheckSample() const {
    if (config_.sample.every == 0) return;
    std::vector<int32_t> prompt;
    inputs_.tokenizer->Encode(config_.sample.prompt, {.added_tokens = false}, prompt);
    const int64_t begin = inputs_.model.bos_token_id >= 0 ? 1 : 0;
    const auto length = static_cast<int64_t>(prompt.size()) + begin;
    if (length == 0) {
      throw Error("sample.prompt", "is empty, and the model has no begin token to go on from",
                  "give a few words");
    }
    const int64_t context_length = inputs_.model.max_position_embeddings;
    if (length >= context_length) {
      throw Error("sample.prompt",
                  fmt::format("its {} tokens leave no room in the model's context of {}", length,
                              context_length),
                  "give a shorter one");
    }
  }

  // Fresh, from another model, or from the newest checkpoint.
  void Start() {
    const auto newest = NewestCheckpoint(config_.output);
    if (newest) {
      progress_ = LoadCheckpoint(*newest, inputs_.model, store_, optimizer_,
                                 average_ ? &*average_ : nullptr);
      if (progress_.stage >= static_cast<int64_t>(stages_.size())) {
        throw Error(newest->string(),
                    fmt::format("was made in extension {}, and the configuration has {}",
                                progress_.stage, config_.extensions.size()),
                    "put the [[extension]] back");
      }
      spdlog::info("resuming from {}", newest->string());
    } else {
      if (options_.resume) {
        spdlog::info("{} has no checkpoint to go on from: starting at step 0",
                     config_.output.string());
      }
      if (config_.model.init_from.empty()) {
        InitializeParameters(inputs_.model, config_.seed, *context_.pool, store_, options_.quiet);
      } else {
        LoadMasters(config_.model.init_from, inputs_.model, store_);
      }
      optimizer_.Reset(context_);
      if (average_) average_->Reset(context_);
    }
    WriteFileAtomically(config_.output / "config.toml", config_.ToToml());
  }

  void ShowStart() {
    const ParameterCounts counts = CountParameters(inputs_.model);
    spdlog::info("model: {} parameters, {} active a token, {} more in {} MTP module(s)",
                 FormatCount(static_cast<double>(counts.total)),
                 FormatCount(static_cast<double>(counts.active)),
                 FormatCount(static_cast<double>(counts.mtp)),
                 inputs_.model.num_nextn_predict_layers);
    nlohmann::ordered_json sources = nlohmann::ordered_json::array();
    for (size_t s = 0; s < epochs_.size(); ++s) {
      const TokenCorpus& corpus = inputs_.corpora[s];
      spdlog::info("{}: {} epochs in {} steps", corpus.name,
                   epochs_[s] < 0.01 ? "less than 0.01" : fmt::format("{:.2f}", epochs_[s]),
                   total_steps_);
      if (epochs_[s] > kManyEpochs) {
        spdlog::warn(
            "{} will be read {:.1f} times; beyond {} times, text read again teaches less and less "
            "(arXiv 2305.16264): give it more text or a smaller weight",
            corpus.name, epochs_[s], kManyEpochs);
      }
      sources.push_back({{"name", corpus.name},
                         {"documents", corpus.train->documents()},
                         {"tokens", corpus.train->tokens()},
                         {"held_out_documents", corpus.held_out->documents()},
                         {"epochs", epochs_[s]}});
    }
    Log({{"kind", "start"},
         {"step", progress_.step},
         {"parameters", counts.total},
         {"active_parameters", counts.active},
         {"sources", sources}});
    spdlog::info("memory by role:\n{}", plan_.ToTable());
    peak_flops_ = context_.backend->MeasurePeakFlops(context_, config_.ModelPrecision().act);
    spdlog::info("this machine multiplies {} at {} FLOP/s on {} thread(s)",
                 Name(config_.ModelPrecision().act), FormatCount(peak_flops_),
                 context_.pool->threads());
  }

  // Returns false when the user asked to stop.
  bool RunStage(const Stage& stage) {
    Transformer transformer(stage.model, config_.ModelPrecision(), store_,
                            context_.backend->allocator());
    TrainingStep training_step(config_, transformer, store_, optimizer_,
                               context_.backend->allocator());
    TrainingRows rows = MakeTrainingRows(config_, inputs_, static_cast<int>(progress_.stage));
    CheckSameData(stage, rows);
    const auto stage_tokens = static_cast<double>((stage.steps - progress_.stage_step) *
                                                  stage.batch_rows * stage.sequence_length);
    Progress progress(
        progress_.stage == 0 ? "training" : fmt::format("extending to {}", stage.sequence_length),
        "tokens", stage_tokens, options_.quiet);
    double stage_done = 0;
    TokenRows batch;
    while (progress_.stage_step < stage.steps) {
      if (options_.before_step) options_.before_step();
      const auto start = Clock::now();
      const int64_t s = progress_.stage_step;
      rows.Read(static_cast<uint64_t>(s * stage.batch_rows), stage.batch_rows, batch);
      const double lr = RateAt(s);
      const bool main_stage = progress_.stage == 0;
      const auto fraction = static_cast<double>(s) / static_cast<double>(stage.steps);
      const bool early_mtp = main_stage && fraction < config_.mtp.switch_fraction;
      const bool balancing = main_stage && fraction < config_.balance.bias_stop_fraction;
      const double mtp_weight = early_mtp ? config_.mtp.weight : config_.mtp.late_weight;
      const StepResult result =
          training_step.Run(context_, batch, stage.micro_batch_rows, progress_.step, lr, mtp_weight,
                            balancing ? config_.balance.bias_speed : 0);
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
          TrainingFlops(stage.model, tokens, result.attention_pairs) / seconds / peak_flops_;
      progress_.loss =
          progress_.step == 1 ? result.loss : 0.95 * progress_.loss + 0.05 * result.loss;
      LogStep(result, lr, mtp_weight, tokens / seconds, mfu);
      progress.Update(stage_done,
                      fmt::format("step {}/{}, loss {:.3f}, {:.0f}% MFU", progress_.step,
                                  total_steps_, progress_.loss, 100 * mfu));
      const bool last = progress_.stage_step == stage.steps;
      if (Due(config_.validation.every) && !last) Validate(stage, transformer, progress);
      if (Due(config_.sample.every) && options_.sample) Sample(transformer, progress);
      const bool stop = InterruptGuard::Requested();
      // The end of a stage is no end of the run, so it has no checkpoint of its own.
      if (Due(config_.checkpoint.every) || stop ||
          (last && progress_.stage + 1 == static_cast<int64_t>(stages_.size()))) {
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
  void CheckSameData(const Stage& stage, const TrainingRows& rows) {
    Hash64 hash;
    hash.UpdateField(rows.Fingerprint());
    hash.UpdateField(static_cast<uint64_t>(stage.batch_rows));
    const uint64_t fingerprint = hash.Digest();
    auto settings = RowSettings(config_, static_cast<int>(progress_.stage));
    const int64_t micro_batch_tokens = stage.micro_batch_rows * stage.sequence_length;
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
        NewestCheckpoint(config_.output).value_or("").string());
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
    throw Error(config_.output.string(),
                "the text of the data sources, or the tokenizer, is not what the checkpoint was "
                "made with",
                hint);
  }

  double RateAt(int64_t stage_step) const {
    if (progress_.stage == 0)
      return LearningRate(config_.schedule, config_.optimizer.lr, stage_step, config_.steps);
    return config_.extensions[static_cast<size_t>(progress_.stage - 1)].lr;
  }

  bool Due(int64_t every) const { return every > 0 && progress_.step % every == 0; }

  [[noreturn]] void StopForBadNumbers(int64_t step, std::string_view what, std::string_view bad) {
    const auto newest = NewestCheckpoint(config_.output);
    throw Error(
        fmt::format("step {}", step), fmt::format("{}; the first bad tensor is {}", what, bad),
        newest ? fmt::format("the last good checkpoint is {}; a smaller optimizer.lr may help",
                             newest->string())
               : "a smaller optimizer.lr may help");
  }

  void Log(nlohmann::ordered_json line) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    line["time"] = std::round(std::chrono::duration<double>(now).count() * 1e3) / 1e3;
    log_->Write(line);
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
    if (config_.balance.sequence_alpha > 0) line["balance_loss"] = result.balance_loss;
    double worst = 0;
    for (const auto& load : result.expert_load) worst = std::max(worst, MaxViolation(load));
    if (!result.expert_load.empty()) line["max_violation"] = std::round(worst * 1e4) / 1e4;
    Log(line);
  }

  void Validate(const Stage& stage, Transformer& transformer, Progress& progress) {
    transformer.Pack(context_, config_.Form(), /*training=*/false);
    const HeldOutScore score =
        ScoreHeldOut(context_, transformer, inputs_, stage.sequence_length, stage.micro_batch_rows,
                     config_.Form(), static_cast<uint64_t>(config_.validation.tokens), config_.seed,
                     options_.quiet);
    if (score.bytes == 0) return;
    nlohmann::ordered_json line = {{"kind", "validation"},
                                   {"step", progress_.step},
                                   {"bits_per_byte", score.bits_per_byte},
                                   {"loss", score.loss},
                                   {"bytes", score.bytes}};
    AddMtp(score, line);
    Log(line);
    progress.Clear();
    spdlog::info("step {}: loss {:.3f}, held out {:.3f} bits per byte", progress_.step,
                 progress_.loss, score.bits_per_byte);
  }

  static void AddMtp(const HeldOutScore& score, nlohmann::ordered_json& line) {
    if (score.mtp_loss.empty()) return;
    line["mtp_loss"] = score.mtp_loss;
    line["mtp_acceptance"] = score.mtp_acceptance;
  }

  void Sample(Transformer& transformer, Progress& progress) {
    transformer.Pack(context_, AttentionForm::kAbsorbed, /*training=*/false);
    const std::string text =
        options_.sample(context_, transformer, *inputs_.tokenizer, config_.sample);
    Log({{"kind", "sample"},
         {"step", progress_.step},
         {"prompt", config_.sample.prompt},
         {"text", text}});
    progress.Clear();
    spdlog::info("step {} writes:\n{}", progress_.step, ForTerminal(text));
  }

  void Save(const Stage& stage) {
    // What the last update overflowed would only be seen in the next step.
    const std::string bad = FirstBadParameter(context_, store_);
    if (!bad.empty()) StopForBadNumbers(progress_.step, "its update is not finite", bad);
    SaveCheckpoint(config_.output / "checkpoints" / fmt::format("step-{}", progress_.step),
                   stage.model, store_, optimizer_, average_ ? &*average_ : nullptr,
                   *inputs_.tokenizer, progress_, options_.quiet);
    PruneCheckpoints(config_.output, config_.checkpoint.keep);
  }

  void Finish() {
    const Stage& stage = stages_.back();
    const DType weights = config_.precision.recipe == "f32" ? DType::kF32 : DType::kBF16;
    summary_.model = config_.output / "model";
    ExportModel(summary_.model, stage.model, store_, *inputs_.tokenizer, weights, options_.quiet);
    if (average_) {
      average_->Swap(context_);
      ExportModel(config_.output / "model-average", stage.model, store_, *inputs_.tokenizer,
                  weights, options_.quiet);
      average_->Swap(context_);
    }
    Transformer transformer(stage.model, config_.ModelPrecision(), store_,
                            context_.backend->allocator());
    transformer.Pack(context_, config_.Form(), /*training=*/false);
    const HeldOutScore score =
        ScoreHeldOut(context_, transformer, inputs_, stage.sequence_length, stage.micro_batch_rows,
                     config_.Form(), 0, config_.seed, options_.quiet);
    summary_.bits_per_byte = score.bits_per_byte;
    if (config_.validation.byte_baseline && score.bytes > 0) {
      try {
        summary_.baseline_bits_per_byte = HeldOutByteBaseline(config_, options_.quiet);
      } catch (const Error& error) {
        if (!InterruptGuard::Requested()) throw;
        spdlog::warn("{}: it is left out of the result", error.what());
      }
    }
    nlohmann::ordered_json line = {{"kind", "result"},
                                   {"step", progress_.step},
                                   {"bits_per_byte", score.bits_per_byte},
                                   {"loss", score.loss},
                                   {"held_out_documents", score.documents},
                                   {"held_out_bytes", score.bytes},
                                   {"baseline_bits_per_byte", summary_.baseline_bits_per_byte},
                                   {"seconds", progress_.seconds}};
    AddMtp(score, line);
    Log(line);
  }

  // Refused before anything is made.
  static MemoryPlan PlanMemory(Context& context, const RunConfig& config) {
    const ModelConfig model = RunModelConfig(config);
    const MemoryPlan plan = PlanTraining(config, model, *context.backend, *context.pool);
    RefuseWhatDoesNotFit(config, model, plan, static_cast<double>(AvailableMemory()),
                         *context.backend, *context.pool);
    return plan;
  }

  Context& context_;
  const RunConfig& config_;
  const TrainOptions& options_;
  MemoryPlan plan_;
  RunInputs inputs_;
  ParameterStore store_;
  Optimizer optimizer_;
  std::optional<ParameterAverage> average_;
  std::vector<Stage> stages_;
  int64_t total_steps_ = 0;
  std::vector<double> epochs_;  // of each source, over the whole run
  TrainingProgress progress_;
  TrainSummary summary_;
  std::optional<RunLog> log_;
  double peak_flops_ = 1;
};

}  // namespace

TrainSummary Train(Context& context, const RunConfig& config, const TrainOptions& options) {
  // Before anything of it is made anew.
  if (!options.resume && NewestCheckpoint(config.output)) {
    throw Error(config.output.string(), "there are checkpoints of a run already",
                "go on with --resume, or choose another output");
  }
  InterruptGuard interrupt;
  return Trainer(context, config, options).Run();
}

}  // namespace fathom

#include "posttrain/grpo/grpo.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/directories.h"
#include "base/error.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/random.h"
#include "formats/mapped_model.h"
#include "infer/loaded_model.h"
#include "posttrain/grpo/experience.h"
#include "posttrain/grpo/grpo_plan.h"
#include "posttrain/grpo/lesson.h"
#include "posttrain/grpo/policy_step.h"
#include "posttrain/grpo/reward_watch.h"
#include "train/report.h"
#include "train/run_log.h"
#include "train/run_setup.h"
#include "train/training_step.h"

namespace fathom {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using nlohmann::ordered_json;

constexpr uint64_t kBatchStreams = 0x6772706f6d696e69;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

class Grpo {
 public:
  Grpo(Context& context, const GrpoConfig& config, const ChatModel& model, const ProblemPool& pool,
       RewardSet& rewards, const TrainOptions& options)
      : context_(context),
        config_(config),
        options_(options),
        loss_(config.Loss()),
        model_(model),
        companions_(CompanionsOf(config.model.init_from, model_.tokenizer)),
        pool_(pool),
        trained_(config, model_.config, config.model.init_from, context.backend->allocator()),
        store_(trained_.store()),
        optimizer_(config.optimizer, store_, context.backend->allocator()),
        transformer_(model_.config, config.ModelPrecision(), store_, context.backend->allocator()),
        explorer_(context, config, model_, pool_, transformer_, rewards),
        policy_step_(config, loss_, config.rollout.temperature, transformer_, store_, optimizer_,
                     context.backend->allocator()) {
    companions_.adapter = DescribeAdapters(config);
  }

  GrpoSummary Run() {
    Start();
    log_.emplace(config_.output / "log.jsonl", progress_.step);
    if (!config_.reward.models.empty()) watch_.emplace(config_);
    ShowStart();
    Progress progress("reinforcement learning", "steps",
                      static_cast<double>(config_.steps - progress_.step), options_.quiet);
    const int64_t first = progress_.step;
    if (first == 0 && Interrupted([&] { Validate(progress); })) return Stop(progress);
    while (progress_.step < config_.steps) {
      const uint64_t draws = progress_.draws;
      if (Interrupted([&] { Step(progress); })) {
        // Given up while its answers were written: nothing has changed but what was drawn.
        progress_.draws = draws;
        progress.Clear();
        Save();
        return Stop(progress);
      }
      progress.Update(static_cast<double>(progress_.step - first), note_);
      const bool last = progress_.step == config_.steps;
      if (Due(config_.validation.every) && !last) (void)Interrupted([&] { Validate(progress); });
      if (Due(config_.checkpoint.every) || last || InterruptGuard::Requested()) {
        progress.Clear();
        Save();
      }
      if (InterruptGuard::Requested() && !last) return Stop(progress);
    }
    if (Interrupted([&] { Validate(progress); })) return Stop(progress);
    progress.Clear();
    return Finish();
  }

 private:
  // Whether Ctrl-C ended the work: whoever writes answers stops with an Error then.
  template <typename Work>
  static bool Interrupted(Work work) {
    try {
      work();
      return false;
    } catch (const Error&) {
      if (!InterruptGuard::Requested()) throw;
      return true;
    }
  }

  void Start() {
    const auto newest = NewestCheckpoint(config_.output);
    if (newest) {
      progress_ = LoadCheckpoint(*newest, model_.config, trained_, optimizer_, nullptr);
      if (progress_.data_fingerprint != pool_.Fingerprint()) {
        throw Error(config_.output.string(),
                    "the problems, their prompts or the seed are not what the checkpoint was made "
                    "with",
                    "put them back; or start a run with another output that goes on from these "
                    "weights with model.init_from");
      }
      spdlog::info("resuming from {}", newest->string());
    } else {
      trained_.Begin(model_.config, *context_.pool);
      progress_.base_fingerprint = trained_.base_fingerprint();
      optimizer_.Reset(context_);
      progress_.data_fingerprint = pool_.Fingerprint();
    }
    CreateDirectories(config_.output);
    WriteFileAtomically(config_.output / "config.toml", config_.ToToml());
  }

  void ShowStart() {
    spdlog::info("{} problems to learn from, {} held out; {} answers to {} problems a step",
                 pool_.problems().size(), pool_.held_out().size(), config_.rollout.answers,
                 config_.rollout.problems);
    if (pool_.held_out().empty())
      spdlog::warn("no problem is held out: nothing says whether the model gets better");
    WarnOfWarmup(config_.schedule, config_.steps);
    ordered_json line = {{"kind", "start"},
                         {"step", progress_.step},
                         {"steps", config_.steps},
                         {"problems", pool_.problems().size()},
                         {"held_out_problems", pool_.held_out().size()},
                         {"chat_template", model_.chat.name()}};
    DescribeExpertLayers(model_.config, line);
    log_->WriteNow(line);
  }

  bool Due(int64_t every) const { return every > 0 && progress_.step % every == 0; }

  // Log-probs of the reference, which is the model that the run began with or a later policy.
  std::vector<std::vector<double>> ReferenceLogProbs(std::span<const Rollout* const> rollouts) {
    const int64_t every = config_.policy.reference_every;
    const int64_t step = every > 0 ? progress_.step / every * every : 0;
    if (!reference_ || reference_step_ != step) {
      reference_.reset();
      const bool own = step == 0 || trained_.adapters();
      reference_.emplace(own ? config_.model.init_from : ReferencePath(step),
                         config_.ModelPrecision(), MtpUse::kNone,
                         own && step > 0 ? ReferencePath(step) : fs::path());
      reference_->Pack(context_, {.pages = 1, .batch_tokens = 1, .logit_rows = 1}, true);
      reference_step_ = step;
    }
    return AnswerLogProbs(context_, reference_->transformer(), rollouts, AttentionForm::kAbsorbed,
                          config_.rollout.temperature,
                          config_.MicroBatchTokens(config_.batch_tokens));
  }
  fs::path ReferencePath(int64_t step) const {
    return config_.output / "references" / fmt::format("step-{}", step);
  }

  // The policy becomes the reference of the steps to come. Whoever goes on from a checkpoint
  // between finds it.
  void KeepReference() {
    const int64_t every = config_.policy.reference_every;
    if (config_.policy.kl == 0 || every == 0 || progress_.step % every != 0) return;
    if (progress_.step == 0 || fs::exists(ReferencePath(progress_.step))) return;
    ExportModel(ReferencePath(progress_.step), model_.config, store_, companions_, DType::kF32,
                options_.quiet);
  }

  void Step(Progress& progress) {
    const auto start = Clock::now();
    KeepReference();
    const Experience experience = explorer_.Gather(progress_.draws);
    const double rollout_seconds = SecondsSince(start);
    std::vector<Lesson> batch;
    for (size_t i = 0; i < experience.episodes.size(); ++i) {
      const Episode& episode = experience.episodes[i];
      if (!config_.policy.learn_unfinished && !episode.finished) continue;
      batch.push_back({.episode = &episode, .advantage = experience.advantages[i]});
    }
    const double lr =
        LearningRate(config_.schedule, config_.optimizer.lr, progress_.step, config_.steps);
    Updates updates;
    if (!batch.empty()) {
      if (config_.policy.kl > 0) AddReferenceLogProbs(batch);
      for (int64_t epoch = 0; epoch < config_.policy.inner_epochs; ++epoch) {
        Update(batch, epoch, lr, updates);
      }
    }
    ++progress_.step;
    const double seconds = SecondsSince(start);
    progress_.seconds += seconds;
    progress_.tokens += static_cast<uint64_t>(experience.tokens);
    LogStep(experience, updates, lr, rollout_seconds, seconds);
    if (updates.count == 0) WarnOfNothing(progress);
    if (Due(config_.sample.every)) LogSamples(experience, progress);
  }

  // Once; the log has groups_without_spread of every step.
  void WarnOfNothing(Progress& progress) {
    if (std::exchange(warned_of_nothing_, true)) return;
    progress.Clear();
    spdlog::warn(
        "step {} taught nothing, and later ones may not either: in no group did answers differ in "
        "their reward; problems that are neither too hard nor too easy help, and more "
        "rollout.answers",
        progress_.step);
  }

  void AddReferenceLogProbs(std::vector<Lesson>& batch) {
    std::vector<const Rollout*> rollouts;
    for (const Lesson& lesson : batch) {
      for (const Rollout& rollout : lesson.episode->sequences) rollouts.push_back(&rollout);
    }
    std::vector<std::vector<double>> logprobs = ReferenceLogProbs(rollouts);
    size_t next = 0;
    for (Lesson& lesson : batch) {
      for (size_t i = 0; i < lesson.episode->sequences.size(); ++i)
        lesson.reference_logprobs.push_back(std::move(logprobs[next++]));
    }
  }

  // What the updates of one step came to.
  struct Updates {
    int64_t count = 0;
    PolicySums sums;
    double grad_norm = 0;  // their sum
    ExpertLoad expert_load;
  };

  void Update(const std::vector<Lesson>& batch, int64_t epoch, double lr, Updates& updates) {
    // Parts of a mini-batch are of all groups: the order is shuffled, the same for a step.
    std::vector<size_t> order(batch.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    const auto parts = std::min(batch.size(), static_cast<size_t>(config_.policy.mini_batches));
    if (parts > 1) {
      RandomStream random(MixKey(MixKey(config_.seed, kBatchStreams),
                                 static_cast<uint64_t>(progress_.step * 1024 + epoch)));
      for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.NextBelow(i)]);
    }
    for (size_t part = 0; part < parts; ++part) {
      const size_t begin = part * order.size() / parts, end = (part + 1) * order.size() / parts;
      const auto some = WeighLessons(loss_, batch, std::span(order).subspan(begin, end - begin));
      const int64_t per_step = config_.policy.inner_epochs * config_.policy.mini_batches;
      const int64_t number = progress_.step * per_step + updates.count;
      const PolicyStepResult result = policy_step_.Run(context_, some, number, lr);
      if (!result.bad.empty()) {
        throw Error(fmt::format("step {}", progress_.step + 1),
                    fmt::format("is not finite: {}", result.bad),
                    "the checkpoints are as they were; a smaller optimizer.lr may help");
      }
      // Before anything has changed, the trainer computes what the engine computed.
      const bool exact = config_.precision.attention == "absorbed";
      if (exact && updates.count == 0 && result.sums.deviation != 0) {
        throw Error(fmt::format("step {}", progress_.step + 1),
                    fmt::format("a log-prob of the trainer differs from the engine's by {:.3g}",
                                result.sums.deviation),
                    "this should not happen: please report it with the configuration; "
                    "precision.attention = \"expanded\" goes on without the check");
      }
      updates.sums.Add(result.sums);
      updates.grad_norm += result.grad_norm;
      AddLoad(result.expert_load, updates.expert_load);
      ++updates.count;
    }
  }

  void LogStep(const Experience& experience, const Updates& updates, double lr,
               double rollout_seconds, double seconds) {
    const PolicySums& sums = updates.sums;
    const auto written = static_cast<double>(std::max<int64_t>(1, experience.written));
    const auto tokens = static_cast<double>(std::max<int64_t>(1, sums.tokens));
    progress_.loss = sums.loss;
    ordered_json line = {{"kind", "step"},
                         {"step", progress_.step},
                         {"tokens", progress_.tokens},
                         {"loss", sums.loss},
                         {"reward", experience.reward / written}};
    for (size_t c = 0; c < explorer_.rewards().size(); ++c)
      line[std::string(explorer_.rewards().name(c))] = experience.components[c] / written;
    // Since the run was started.
    for (size_t c = 0; c < explorer_.rewards().size(); ++c) {
      for (const RewardStatus status :
           {RewardStatus::kNotANumber, RewardStatus::kTimedOut, RewardStatus::kFailed}) {
        const int64_t count = explorer_.rewards().count(c, status);
        if (count > 0)
          line[fmt::format("{}_{}", explorer_.rewards().name(c), Name(status))] = count;
      }
    }
    double gold = 0;
    if (watch_) {
      for (size_t c = 0; c < explorer_.rewards().size(); ++c) {
        if (explorer_.rewards().name(c) == config_.reward.gold)
          gold = experience.components[c] / written;
      }
      line["proxy"] = experience.proxy / written;
      line["gold"] = gold;
    }
    if (config_.rollout.turns > 1) line["turns"] = experience.turns / written;
    line["answer_tokens"] = experience.tokens / written;
    line["finished"] = experience.finished / written;
    line["groups_without_spread"] = experience.groups_without_spread;
    // Of a step in which nothing was learnt there is none of these.
    if (updates.count > 0) {
      line["kl"] = sums.kl / tokens;
      line["ratio"] = sums.ratio / tokens;
      line["clipped"] = sums.clipped / tokens;
      line["deviation"] = sums.deviation;
      line["grad_norm"] = updates.grad_norm / static_cast<double>(updates.count);
    }
    line["lr"] = lr;
    LogExpertLoad(updates.expert_load, progress_.step, config_.steps, config_.balance.load_entries,
                  line);
    line["rollout_seconds"] = std::round(rollout_seconds * 1e3) / 1e3;
    line["seconds"] = std::round(seconds * 1e3) / 1e3;
    log_->WriteNow(line);
    if (watch_) watch_->Add(progress_.step, experience.proxy / written, gold, *log_);
    note_ = fmt::format("step {}/{}, reward {:.3f}, right {:.1f} %, {:.0f} tokens an answer",
                        progress_.step, config_.steps, experience.reward / written,
                        100 * experience.right / written, experience.tokens / written);
  }

  std::string Shown(const Episode& episode) const {
    if (episode.said.empty()) return model_.tokenizer.Decode(episode.sequences.front().answer);
    std::string text;
    for (const ChatMessage& message : episode.said) {
      if (!text.empty()) text += "\n\n";
      text += message.role + ": ";
      if (message.reasoning) text += fmt::format("<think>{}</think>", *message.reasoning);
      text += message.content;
    }
    return text;
  }

  // The first group of a step: the best and the worst answer.
  void LogSamples(const Experience& experience, Progress& progress) {
    if (experience.episodes.empty()) return;
    const auto group = static_cast<size_t>(config_.rollout.answers);
    const auto better = [](const Reward& a, const Reward& b) { return a.total < b.total; };
    const auto begin = experience.rewards.begin();
    const auto [worst, best] =
        std::minmax_element(begin, begin + static_cast<std::ptrdiff_t>(group), better);
    progress.Clear();
    for (const auto& which : {best, worst}) {
      const auto i = static_cast<size_t>(which - begin);
      std::string parts;
      for (size_t c = 0; c < explorer_.rewards().size(); ++c) {
        parts += fmt::format("{}{} {:.3f}", c == 0 ? ": " : ", ", explorer_.rewards().name(c),
                             experience.rewards[i].components[c].value);
      }
      const Episode& episode = experience.episodes[i];
      const std::string text =
          fmt::format("{}\n\n{}\n\n[reward {:.3f}{}]", episode.problem->problem.question(),
                      Shown(episode), experience.rewards[i].total, parts);
      log_->WriteNow({{"kind", "sample"},
                      {"step", progress_.step},
                      {"text", text},
                      {"reward", experience.rewards[i].total}});
    }
  }

  // Greedy answers to the first validation.tokens held-out problems.
  void Validate(Progress& progress) {
    const size_t count =
        std::min(pool_.held_out().size(), static_cast<size_t>(config_.validation.tokens));
    if (count == 0) return;
    const Explorer::Accuracy accuracy = explorer_.Judge(count);
    accuracy_ = accuracy.right;
    if (progress_.step == 0) progress_.start_score = accuracy_;
    log_->WriteNow({{"kind", "validation"},
                    {"step", progress_.step},
                    {"accuracy", accuracy_},
                    {"problems", count},
                    {"answer_tokens", accuracy.tokens}});
    progress.Clear();
    spdlog::info("step {}: {:.1f} % of {} held-out problems right, {:.0f} tokens an answer",
                 progress_.step, 100 * accuracy_, count, accuracy.tokens);
  }

  void Save() {
    const std::string bad = FirstBadParameter(context_, store_);
    if (!bad.empty()) {
      throw Error(fmt::format("step {}", progress_.step),
                  fmt::format("its update is not finite: {}", bad),
                  "the checkpoints are as they were; a smaller optimizer.lr may help");
    }
    SaveCheckpoint(config_.output / "checkpoints" / fmt::format("step-{}", progress_.step),
                   model_.config, store_, optimizer_, nullptr, companions_, progress_,
                   options_.quiet);
    PruneCheckpoints(config_.output, config_.checkpoint.keep);
    PruneReferences();
  }

  // Whatever checkpoint is gone on from finds its reference.
  void PruneReferences() {
    const int64_t every = config_.policy.reference_every;
    if (every == 0) return;
    const int64_t oldest = OldestCheckpointStep(config_.output).value_or(0);
    for (int64_t step = oldest / every * every - every; step > 0; step -= every) {
      if (fs::remove_all(ReferencePath(step)) == 0) break;
    }
  }

  GrpoSummary Stop(Progress& progress) {
    progress.Clear();
    log_->WriteInterrupted(progress_.step);
    WriteReport(config_.output);
    const auto newest = NewestCheckpoint(config_.output);
    spdlog::info("stopped at step {}; go on with --resume{}", progress_.step,
                 newest ? fmt::format(" (from {})", newest->filename().string()) : "");
    return {.interrupted = true, .step = progress_.step, .seconds = progress_.seconds};
  }

  GrpoSummary Finish() {
    GrpoSummary summary{.step = progress_.step, .seconds = progress_.seconds};
    summary.model = config_.output / (trained_.adapters() ? "adapter" : "model");
    const DType weights = config_.precision.recipe == "f32" ? DType::kF32 : DType::kBF16;
    ExportModel(summary.model, model_.config, store_, companions_, weights, options_.quiet);
    summary.held_out =
        std::min(static_cast<int64_t>(pool_.held_out().size()), config_.validation.tokens);
    if (summary.held_out > 0) {
      summary.accuracy_before = progress_.start_score;
      summary.accuracy = accuracy_;
    }
    ordered_json line = {{"kind", "result"}, {"step", progress_.step}};
    if (summary.held_out > 0) {
      line["accuracy_before"] = summary.accuracy_before;
      line["accuracy"] = summary.accuracy;
    }
    line["seconds"] = progress_.seconds;
    log_->WriteNow(line);
    WriteReport(config_.output);
    return summary;
  }

  Context& context_;
  const GrpoConfig& config_;
  const TrainOptions& options_;
  PolicyLossOptions loss_;
  const ChatModel& model_;
  ModelCompanions companions_;
  const ProblemPool& pool_;
  TrainedModel trained_;
  ParameterStore& store_;
  Optimizer optimizer_;
  Transformer transformer_;
  Explorer explorer_;
  PolicyStep policy_step_;
  std::optional<LoadedModel> reference_;
  int64_t reference_step_ = -1;
  TrainingProgress progress_;
  std::optional<RunLog> log_;
  std::optional<RewardWatch> watch_;  // with reward models
  std::string note_;
  double accuracy_ = -1;
  bool warned_of_nothing_ = false;
};

}  // namespace

GrpoSummary RunGrpo(Context& context, const GrpoConfig& config, const TrainOptions& options) {
  RefuseExistingRun(config, options);
  InterruptGuard interrupt;
  // Its models are in memory before it is looked what the rest fits into.
  RewardSet rewards = MakeRewards(context, config, options.quiet);
  const ChatModel model = ChatModel::OpenWriter(config.model.init_from);
  const ProblemPool pool(config, model);
  // Refused before anything is made.
  RefuseWhatDoesNotFit(context, config, model.config, PlanGrpo(context, config, model, pool));
  return Grpo(context, config, model, pool, rewards, options).Run();
}

}  // namespace fathom

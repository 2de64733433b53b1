#include "posttrain/reward_model/reward_training.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>

#include "base/directories.h"
#include "base/error.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/progress.h"
#include "base/random.h"
#include "base/scratch_directory.h"
#include "data/permutation.h"
#include "formats/model_source.h"
#include "posttrain/chat_model.h"
#include "posttrain/reward_model/score_objective.h"
#include "train/run_setup.h"

namespace fathom {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr uint64_t kJudgedStreams = 0x7265776172646a64;

ModelConfig ScoringModel(ModelConfig model) {
  model.num_labels = 1;
  model.num_nextn_predict_layers = 0;
  return model;
}

TrainingStage ScoringStage(const RewardConfig& config, const ModelConfig& model, int64_t steps) {
  return {.model = model,
          .steps = steps,
          .sequence_length = config.data.sequence_length,
          .batch_tokens = config.batch_tokens,
          .name = "training a reward model"};
}

class RewardTraining : public TrainingTask {
 public:
  // data: the folder for the encoded examples.
  RewardTraining(const RewardConfig& config, const fs::path& data, ThreadPool& pool, bool quiet)
      : config_(config),
        quiet_(quiet),
        pairs_(config.Kind() == ScoreKind::kPairwise),
        from_(ChatModel::Open(config.model.init_from)),
        model_(ScoringModel(from_.config)),
        companions_(CompanionsOf(config.model.init_from, from_.tokenizer)),
        texts_(from_.chat, from_.tokenizer) {
    if (pairs_) {
      objective_ = std::make_unique<PairwiseObjective>(config.centering);
    } else {
      objective_ = std::make_unique<PointwiseObjective>();
    }
    ReadExamples(data, pool);
    PackedDocumentRows rows(layout_, training_, RowOptions());
    const int64_t batch_rows = config.batch_tokens / config.data.sequence_length;
    const int64_t steps = config.steps > 0 ? config.steps : rows.StepsOf(config.epochs, batch_rows);
    epochs_ = rows.EpochsOf(steps, batch_rows);
    filled_ = PackedDocuments(layout_, training_, RowOptions(), 0).filled();
    stages_.push_back(ScoringStage(config, model_, steps));
  }

  const ModelConfig& model() const override { return model_; }
  const std::vector<TrainingStage>& stages() const override { return stages_; }
  const ModelCompanions& companions() const override { return companions_; }
  const RowObjective* objective() const override { return objective_.get(); }

  fs::path init_from() const override { return config_.model.init_from; }

  std::unique_ptr<RowSource> Rows(size_t) const override {
    return std::make_unique<PackedDocumentRows>(layout_, training_, RowOptions());
  }

  std::map<std::string, std::string> RowSettings(size_t) const override {
    std::map<std::string, std::string> settings = config_.Values();
    std::erase_if(settings, [](const auto& setting) {
      const std::string& key = setting.first;
      return !((key.starts_with("data.") && !key.ends_with(".name")) || key == "seed" ||
               key == "batch_tokens" || key == "kind");
    });
    return settings;
  }
  std::string ConfigToml() const override { return config_.ToToml(); }

  void Describe(ordered_json& line) const override {
    spdlog::info("{:.2f} epochs in {} steps; {:.0f} % of a row's tokens belong to examples",
                 epochs_, stages_[0].steps, 100 * filled_);
    ordered_json sources = ordered_json::array();
    for (const RowCorpus& corpus : corpora_) {
      sources.push_back({{"name", corpus.name},
                         {"examples", corpus.train->documents()},
                         {"held_out_examples", corpus.held_out->documents()},
                         {"too_long", corpus.too_long}});
    }
    line["reward_kind"] = config_.kind;
    line["sources"] = sources;
    line["chat_template"] = from_.chat.name();
    line["epochs"] = epochs_;
    line["filled"] = filled_;
  }

  std::optional<Judgement> Judge(Context& context, const Transformer& transformer,
                                 const TrainingStage& stage, uint64_t tokens) override {
    const std::vector<Place> places = HeldOut(tokens);
    if (places.empty()) return std::nullopt;
    judged_places_ = places;
    judged_.clear();
    const int64_t most = stage.MicroBatchRows(config_) * stage.sequence_length;
    Progress progress("judging held-out examples", "examples", static_cast<double>(places.size()),
                      quiet_ || tokens > 0);
    std::vector<std::vector<int32_t>> texts;
    std::vector<double> scores;
    int64_t held = 0;
    const auto flush = [&] {
      if (texts.empty()) return;
      const auto more = SequenceScores(context, transformer, texts, config_.Form());
      scores.insert(scores.end(), more.begin(), more.end());
      texts.clear();
      held = 0;
      progress.Update(static_cast<double>(scores.size()) / (pairs_ ? 2 : 1));
    };
    for (const Place& place : places) {
      ScoredRow row = Read(place);
      judged_.push_back({.value = row.value});
      for (std::vector<int32_t>& text : row.texts) {
        if (held + static_cast<int64_t>(text.size()) > most) flush();
        held += static_cast<int64_t>(text.size());
        texts.push_back(std::move(text));
      }
    }
    flush();
    for (size_t i = 0; i < judged_.size(); ++i) {
      judged_[i].score = scores[pairs_ ? 2 * i : i];
      if (pairs_) judged_[i].worse_score = scores[2 * i + 1];
    }
    statistics_ = MakeScoreStatistics(judged_, pairs_);
    return Describe(*statistics_);
  }

  void Finish(const std::optional<Judgement>& judgement, ordered_json&) override {
    if (judgement) WriteHeldOut();
  }

  RewardSummary Summary(TrainSummary training) const {
    RewardSummary summary{.training = std::move(training)};
    if (!summary.training.interrupted && statistics_) {
      summary.held_out = statistics_;
      summary.held_out_examples = judged_.size();
    }
    return summary;
  }

 private:
  struct Place {
    size_t source;
    uint64_t index;
  };

  PackedDocumentsOptions RowOptions() const {
    return {.sequence_length = config_.data.sequence_length, .depth = 0, .seed = config_.seed};
  }

  void ReadExamples(const fs::path& data, ThreadPool& pool) {
    const ScoredRowEncoder encoder(
        texts_, config_.Kind(), model_.vocab_size,
        {.row = config_.data.sequence_length, .text = model_.max_position_embeddings});
    const RowCorpusOptions options{.held_out_fraction = config_.data.held_out_fraction,
                                   .seed = config_.seed};
    for (size_t i = 0; i < config_.data.sources.size(); ++i) {
      const SourceSpec& source = config_.data.sources[i];
      corpora_.push_back(MakeRowCorpus(source, encoder, options, data / fmt::format("source-{}", i),
                                       "reading examples", pool, quiet_));
      const RowCorpus& corpus = corpora_.back();
      if (corpus.train->documents() == 0) {
        throw Error(corpus.name, fmt::format("of its {} rows none is left to learn", corpus.rows),
                    corpus.too_long > 0 ? "they are longer than data.sequence_length"
                                        : "is data.held_out_fraction too large?");
      }
      if (corpus.too_long > 0) {
        spdlog::warn(
            "{}: {} examples of more than {} tokens, or with a text beyond the model's "
            "context of {}, were left out",
            corpus.name, corpus.too_long, config_.data.sequence_length,
            model_.max_position_embeddings);
      }
      spdlog::info(
          "{}: {} examples, {} tokens; {} held out", corpus.name, corpus.train->documents(),
          FormatCount(static_cast<double>(corpus.train->tokens())), corpus.held_out->documents());
      training_.push_back({.store = corpus.train, .weight = source.weight});
    }
    if (HeldOut(0).empty()) {
      spdlog::warn(
          "no example is held out: nothing says how good the scores are, or chooses the best "
          "weights (a larger data.held_out_fraction holds out more)");
    }
  }

  ScoredRow Read(const Place& place) const {
    return ReadScoredDocument(*corpora_[place.source].held_out, place.index);
  }

  // Held-out examples of at most so many tokens in an order of the seed's, or all of them.
  std::vector<Place> HeldOut(uint64_t tokens) const {
    std::vector<Place> all, some;
    for (size_t s = 0; s < corpora_.size(); ++s) {
      for (uint64_t i = 0; i < corpora_[s].held_out->documents(); ++i) all.push_back({s, i});
    }
    if (tokens == 0 || all.empty()) return all;
    const Permutation order(all.size(), MixKey(config_.seed, kJudgedStreams));
    uint64_t held = 0;
    for (uint64_t i = 0; i < all.size() && held < tokens; ++i) {
      some.push_back(all[order(i)]);
      held += corpora_[some.back().source].held_out->DocumentTokens(some.back().index);
    }
    return some;
  }

  Judgement Describe(const ScoreStatistics& statistics) const {
    const Estimated& accuracy = statistics.accuracy;
    Judgement judgement{
        .score = statistics.loss,
        .text = fmt::format("held-out {} {:.1f} % right [{:.1f}, {:.1f}], loss {:.3f}",
                            pairs_ ? "pairs" : "labels", 100 * accuracy.value, 100 * accuracy.low,
                            100 * accuracy.high, statistics.loss),
        .line = {{pairs_ ? "pair_accuracy" : "label_accuracy", accuracy.value},
                 {"accuracy_low", accuracy.low},
                 {"accuracy_high", accuracy.high},
                 {"loss", statistics.loss},
                 {"calibration_error", statistics.calibration_error}}};
    if (!pairs_ && std::isfinite(statistics.auc)) {
      judgement.line["auc"] = statistics.auc;
      judgement.text += fmt::format(", AUC {:.3f}", statistics.auc);
    }
    judgement.line["held_out_examples"] = judged_.size();
    return judgement;
  }

  // The last judgement's examples, most wrong first.
  void WriteHeldOut() const {
    std::vector<size_t> order(judged_.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
      return judged_[a].Agreement(pairs_) < judged_[b].Agreement(pairs_);
    });
    std::string text;
    for (const size_t i : order) {
      const ScoredRow row = Read(judged_places_[i]);
      const JudgedExample& judged = judged_[i];
      ordered_json line;
      const auto decode = [&](const std::vector<int32_t>& ids, size_t begin) {
        return from_.tokenizer.Decode(std::span(ids).subspan(begin));
      };
      if (pairs_) {
        const std::vector<int32_t>&better = row.texts[0], &worse = row.texts[1];
        const auto [end, unused] =
            std::mismatch(better.begin(), better.end(), worse.begin(), worse.end());
        const auto shared = static_cast<size_t>(end - better.begin());
        line = {{"prompt", from_.tokenizer.Decode(std::span(better).first(shared))},
                {"chosen", decode(better, shared)},
                {"rejected", decode(worse, shared)},
                {"chosen_score", judged.score},
                {"rejected_score", judged.worse_score},
                {"margin", judged.value}};
      } else {
        line = {{"text", decode(row.texts[0], 0)},
                {"label", static_cast<int>(judged.value)},
                {"score", judged.score},
                {"probability", Sigmoid(judged.score)}};
      }
      text += line.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
    }
    WriteFileAtomically(config_.output / "held-out.jsonl", text);
  }

  const RewardConfig& config_;
  bool quiet_, pairs_;
  ChatModel from_;
  ModelConfig model_;
  ModelCompanions companions_;
  ScoredTextEncoder texts_;
  ScoredLayout layout_;
  std::unique_ptr<RowObjective> objective_;
  std::vector<RowCorpus> corpora_;  // one a source
  std::vector<PackedSource> training_;
  std::vector<TrainingStage> stages_;
  double epochs_ = 0, filled_ = 0;
  // Of the last judgement.
  std::vector<Place> judged_places_;
  std::vector<JudgedExample> judged_;
  std::optional<ScoreStatistics> statistics_;
};

}  // namespace

RewardSummary RunReward(Context& context, const RewardConfig& config, const TrainOptions& options) {
  RefuseExistingRun(config, options);
  InterruptGuard interrupt;
  // Refused before anything is made.
  const std::vector<TrainingStage> stages = {
      ScoringStage(config, ScoringModel(ReadModelConfig(config.model.init_from)), 1)};
  const MemoryPlan plan = PlanTraining(config, stages, *context.backend, *context.pool);
  RefuseWhatDoesNotFit(config, stages, plan, static_cast<double>(AvailableMemory()),
                       *context.backend, *context.pool);
  RewardTraining task(config, config.output / "data", *context.pool, options.quiet);
  return task.Summary(RunTraining(context, config, task, plan, options));
}

std::vector<TrainingStage> RewardStages(const RewardConfig& config, ThreadPool& pool, bool quiet) {
  InterruptGuard interrupt;
  const ScratchDirectory scratch("fathom-reward");
  return RewardTraining(config, scratch.path(), pool, quiet).stages();
}

}  // namespace fathom

#include "train/pretraining.h"

#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/memory.h"
#include "train/evaluation.h"
#include "train/run_setup.h"

namespace fathom {
namespace {

// Text that is repeated more often than this teaches little.
constexpr int kManyEpochs = 4;

// Running text to predict, judged by the bits per byte of documents that are held out.
class Pretraining : public TrainingTask {
 public:
  Pretraining(const RunConfig& config, ThreadPool& pool, bool quiet)
      : config_(config),
        quiet_(quiet),
        inputs_(PrepareRun(config, pool, quiet)),
        stages_(RunStages(config, inputs_.model)) {
    CheckSample();
    // A source that is too small for a later stage is an Error now, not when its turn comes.
    for (size_t i = 0; i < stages_.size(); ++i) {
      const auto uses =
          MakeTrainingRows(config_, inputs_, static_cast<int>(i))
              .UseAfter(static_cast<uint64_t>(stages_[i].steps * stages_[i].batch_rows()));
      epochs_.resize(uses.size());
      for (size_t s = 0; s < uses.size(); ++s) epochs_[s] += uses[s].epochs();
    }
  }

  const ModelConfig& model() const override { return inputs_.model; }
  const std::vector<TrainingStage>& stages() const override { return stages_; }
  const ModelCompanions& companions() const override { return inputs_.companions; }

  std::filesystem::path init_from() const override { return config_.model.init_from; }

  std::unique_ptr<RowSource> Rows(size_t stage) const override {
    return std::make_unique<TrainingRows>(
        MakeTrainingRows(config_, inputs_, static_cast<int>(stage)));
  }
  std::map<std::string, std::string> RowSettings(size_t stage) const override {
    return fathom::RowSettings(config_, static_cast<int>(stage));
  }
  std::string ConfigToml() const override { return config_.ToToml(); }

  void Describe(nlohmann::ordered_json& line) const override {
    int64_t steps = 0;
    for (const TrainingStage& stage : stages_) steps += stage.steps;
    nlohmann::ordered_json sources = nlohmann::ordered_json::array();
    for (size_t s = 0; s < epochs_.size(); ++s) {
      const TokenCorpus& corpus = inputs_.corpora[s];
      spdlog::info("{}: {} epochs in {} steps", corpus.name,
                   epochs_[s] < 0.01 ? "less than 0.01" : fmt::format("{:.2f}", epochs_[s]), steps);
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
    line["sources"] = sources;
  }

  std::optional<Judgement> Judge(Context& context, const Transformer& transformer,
                                 const TrainingStage& stage, uint64_t tokens) override {
    const HeldOutScore score =
        ScoreHeldOut(context, transformer, inputs_, stage.sequence_length,
                     stage.MicroBatchRows(config_), config_.Form(), tokens, config_.seed, quiet_);
    if (score.bytes == 0) return std::nullopt;
    Judgement judgement{.score = score.bits_per_byte,
                        .text = fmt::format("held out {:.3f} bits per byte", score.bits_per_byte),
                        .line = {{"bits_per_byte", score.bits_per_byte},
                                 {"loss", score.loss},
                                 {"held_out_documents", score.documents},
                                 {"held_out_bytes", score.bytes}}};
    if (!score.mtp_loss.empty()) {
      judgement.line["mtp_loss"] = score.mtp_loss;
      judgement.line["mtp_acceptance"] = score.mtp_acceptance;
    }
    return judgement;
  }

  void Finish(const std::optional<Judgement>& judgement, nlohmann::ordered_json& line) override {
    if (!judgement) return;
    bits_per_byte_ = judgement->score;
    if (!config_.byte_baseline) return;
    try {
      baseline_bits_per_byte_ = HeldOutByteBaseline(config_, quiet_);
      line["baseline_bits_per_byte"] = baseline_bits_per_byte_;
    } catch (const Error& error) {
      if (!InterruptGuard::Requested()) throw;
      spdlog::warn("{}: it is left out of the result", error.what());
    }
  }

  double bits_per_byte() const { return bits_per_byte_; }
  double baseline_bits_per_byte() const { return baseline_bits_per_byte_; }

 private:
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

  const RunConfig& config_;
  bool quiet_;
  RunInputs inputs_;
  std::vector<TrainingStage> stages_;
  std::vector<double> epochs_;  // of each source, over the whole run
  double bits_per_byte_ = 0, baseline_bits_per_byte_ = 0;
};

}  // namespace

PretrainingSummary Pretrain(Context& context, const RunConfig& config,
                            const TrainOptions& options) {
  RefuseExistingRun(config, options);
  InterruptGuard interrupt;
  // Refused before anything is made.
  const std::vector<TrainingStage> stages = RunStages(config, RunModelConfig(config));
  const MemoryPlan plan = PlanTraining(config, stages, *context.backend, *context.pool);
  RefuseWhatDoesNotFit(config, stages, plan, static_cast<double>(AvailableMemory()),
                       *context.backend, *context.pool);
  Pretraining task(config, *context.pool, options.quiet);
  PretrainingSummary summary{RunTraining(context, config, task, plan, options)};
  summary.bits_per_byte = task.bits_per_byte();
  summary.baseline_bits_per_byte = task.baseline_bits_per_byte();
  return summary;
}

}  // namespace fathom

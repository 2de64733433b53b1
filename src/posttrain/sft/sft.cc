#include "posttrain/sft/sft.h"

#include <algorithm>
#include <filesystem>
#include <optional>

#include "base/directories.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/progress.h"
#include "base/scratch_directory.h"
#include "formats/model_source.h"
#include "posttrain/chat_model.h"
#include "posttrain/sft/conversation_corpus.h"
#include "posttrain/sft/soft_teacher.h"
#include "train/run_setup.h"
#include "train/training_step.h"

namespace fathom {
namespace {

namespace fs = std::filesystem;

ModelConfig TunedModel(const SftConfig& config, ModelConfig model) {
  if (!config.model.mtp) model.num_nextn_predict_layers = 0;
  if (config.data.sequence_length > model.max_position_embeddings) {
    throw Error("data.sequence_length",
                fmt::format("{} is more than the model's context of {}",
                            config.data.sequence_length, model.max_position_embeddings),
                "give a smaller one");
  }
  return model;
}

TrainingStage TunedStage(const SftConfig& config, const ModelConfig& model, int64_t steps) {
  return {.model = model,
          .steps = steps,
          .sequence_length = config.data.sequence_length,
          .batch_tokens = config.batch_tokens,
          .name = "tuning"};
}

class Tuning : public TrainingTask {
 public:
  // data: the folder for the encoded conversations. teacher: null, or what has to outlive it.
  Tuning(const SftConfig& config, const fs::path& data, const SoftTeacher* teacher,
         ThreadPool& pool, bool quiet)
      : config_(config),
        quiet_(quiet),
        teacher_(teacher),
        from_(ChatModel::OpenWriter(config.model.init_from)),
        model_(TunedModel(config, from_.config)),
        companions_(CompanionsOf(config.model.init_from, from_.tokenizer)),
        encoder_(from_.chat, from_.tokenizer,
                 config.data.turns == "last" ? LearntTurns::kLast : LearntTurns::kAll) {
    companions_.adapter = DescribeAdapters(config);
    ReadConversations(data, pool);
    PackedDocumentRows rows = MakeRows();
    const int64_t batch_rows = config.batch_tokens / config.data.sequence_length;
    const int64_t steps = config.steps > 0 ? config.steps : rows.StepsOf(config.epochs, batch_rows);
    epochs_ = rows.EpochsOf(steps, batch_rows);
    filled_ = PackedDocuments(layout_, training_, RowOptions(), 0).filled();
    stages_.push_back(TunedStage(config, model_, steps));
  }

  const ModelConfig& model() const override { return model_; }
  const std::vector<TrainingStage>& stages() const override { return stages_; }
  const ModelCompanions& companions() const override { return companions_; }

  fs::path init_from() const override { return config_.model.init_from; }

  std::unique_ptr<RowSource> Rows(size_t) const override {
    return std::make_unique<PackedDocumentRows>(layout_, training_, RowOptions());
  }

  std::map<std::string, std::string> RowSettings(size_t) const override {
    std::map<std::string, std::string> settings = config_.Values();
    std::erase_if(settings, [](const auto& setting) {
      const std::string& key = setting.first;
      return !((key.starts_with("data.") && !key.ends_with(".name")) || key == "seed" ||
               key == "batch_tokens");
    });
    return settings;
  }
  std::string ConfigToml() const override { return config_.ToToml(); }
  const SoftTargets* soft_targets() const override {
    return teacher_ != nullptr ? &teacher_->targets() : nullptr;
  }

  void Describe(nlohmann::ordered_json& line) const override {
    spdlog::info("{:.2f} epochs in {} steps; {:.0f} % of a row's tokens belong to conversations",
                 epochs_, stages_[0].steps, 100 * filled_);
    nlohmann::ordered_json sources = nlohmann::ordered_json::array();
    for (const RowCorpus& corpus : corpora_) {
      sources.push_back({{"name", corpus.name},
                         {"conversations", corpus.rows},
                         {"sequences", corpus.train->documents()},
                         {"tokens", corpus.train->tokens()},
                         {"targets", corpus.train->bytes()},
                         {"held_out_sequences", corpus.held_out->documents()},
                         {"too_long", corpus.too_long}});
    }
    line["sources"] = sources;
    line["chat_template"] = from_.chat.name();
    line["epochs"] = epochs_;
    line["filled"] = filled_;
  }

  std::optional<Judgement> Judge(Context& context, const Transformer& transformer,
                                 const TrainingStage& stage, uint64_t tokens) override {
    if (held_out_sequences_ == 0) return std::nullopt;
    const PackedDocuments rows(layout_, held_out_, RowOptions(), 0, tokens);
    const int64_t at_once = stage.MicroBatchRows(config_);
    double nats = 0, kl = 0;
    int64_t targets = 0;
    Progress progress("judging held-out answers", "rows", static_cast<double>(rows.rows()),
                      quiet_ || tokens > 0);
    for (int64_t first = 0; first < rows.rows(); first += at_once) {
      const int64_t count = std::min(at_once, rows.rows() - first);
      TokenRows batch;
      batch.Reset(count, config_.data.sequence_length, model_.num_nextn_predict_layers);
      for (int64_t i = 0; i < count; ++i) rows.ReadRow(first + i, i, batch);
      const LossOutput output =
          LanguageModelLoss(context, transformer, MakeLossInput(batch),
                            {.form = config_.Form(), .soft = soft_targets()}, nullptr);
      nats += output.nll[0];
      kl += output.kl;
      targets += output.targets[0];
      progress.Update(static_cast<double>(first + count));
    }
    const auto all = static_cast<double>(std::max<int64_t>(1, targets));
    const double loss = nats / all;
    Judgement judgement{.score = loss,
                        .text = fmt::format("held-out answers {:.3f}", loss),
                        .line = {{"loss", loss},
                                 {"held_out_sequences", rows.documents()},
                                 {"held_out_targets", targets}}};
    if (teacher_ != nullptr) {
      judgement.text += fmt::format(", {:.3f} from the teacher", kl / all);
      judgement.line["kl"] = kl / all;
    }
    return judgement;
  }

  void Finish(const std::optional<Judgement>&, nlohmann::ordered_json&) override {}

 private:
  PackedDocumentsOptions RowOptions() const {
    return {.sequence_length = config_.data.sequence_length,
            .depth = model_.num_nextn_predict_layers,
            .seed = config_.seed};
  }
  PackedDocumentRows MakeRows() const { return {layout_, training_, RowOptions()}; }

  void ReadConversations(const fs::path& data, ThreadPool& pool) {
    const ConversationCorpusOptions options{
        .most_tokens = config_.data.sequence_length + 1,
        .too_long = config_.data.too_long == "truncate" ? TooLong::kTruncate : TooLong::kDrop,
        .solution =
            config_.data.solution == "thoughts" ? SolutionPart::kThoughts : SolutionPart::kContent,
        .rows = {.held_out_fraction = config_.data.held_out_fraction, .seed = config_.seed}};
    for (size_t i = 0; i < config_.data.sources.size(); ++i) {
      const SourceSpec& source = config_.data.sources[i];
      corpora_.push_back(MakeConversationCorpus(source, encoder_, model_.vocab_size, options,
                                                data / fmt::format("source-{}", i), pool, quiet_));
      const RowCorpus& corpus = corpora_.back();
      spdlog::info(
          "{}: {} conversations, {} tokens of which {} are learnt; {} sequences held out",
          corpus.name, corpus.rows, FormatCount(static_cast<double>(corpus.train->tokens())),
          FormatCount(static_cast<double>(corpus.train->bytes())), corpus.held_out->documents());
      training_.push_back({.store = corpus.train, .weight = source.weight});
      held_out_.push_back({.store = corpus.held_out});
      held_out_sequences_ += corpus.held_out->documents();
    }
    if (held_out_sequences_ == 0) {
      spdlog::warn(
          "no conversation is held out, so that no validation can choose the best weights (a "
          "larger "
          "data.held_out_fraction holds out more)");
    }
  }

  const SftConfig& config_;
  bool quiet_;
  const SoftTeacher* teacher_;
  ChatModel from_;
  ModelConfig model_;
  ModelCompanions companions_;
  ConversationEncoder encoder_;
  std::vector<RowCorpus> corpora_;  // one a source
  ConversationLayout layout_;
  std::vector<PackedSource> training_, held_out_;
  uint64_t held_out_sequences_ = 0;
  std::vector<TrainingStage> stages_;
  double epochs_ = 0, filled_ = 0;
};

MemoryPlan PlanTuning(Context& context, const SftConfig& config) {
  const std::vector<TrainingStage> stages = {
      TunedStage(config, TunedModel(config, ReadModelConfig(config.model.init_from)), 1)};
  MemoryPlan plan = PlanTraining(config, stages, *context.backend, *context.pool);
  RefuseWhatDoesNotFit(config, stages, plan, static_cast<double>(AvailableMemory()),
                       *context.backend, *context.pool);
  return plan;
}

}  // namespace

void CheckSft(Context& context, const SftConfig& config) {
  const ChatModel from = ChatModel::OpenWriter(config.model.init_from);
  const ConversationEncoder encoder(from.chat, from.tokenizer, LearntTurns::kAll);
  PlanTuning(context, config);
}

TrainSummary RunSft(Context& context, const SftConfig& config, const TrainOptions& options) {
  RefuseExistingRun(config, options);
  InterruptGuard interrupt;
  // It is in memory before it is looked what the rest fits into.
  std::optional<SoftTeacher> teacher;
  const SftConfig::Soft& soft = config.soft_targets;
  if (!soft.teacher.empty()) {
    teacher.emplace(context, soft.teacher, ChatModel::Open(config.model.init_from), soft.weight,
                    soft.temperature, options.quiet);
  }
  // Refused before anything is made.
  const MemoryPlan plan = PlanTuning(context, config);
  Tuning task(config, config.output / "data", teacher ? &*teacher : nullptr, *context.pool,
              options.quiet);
  return RunTraining(context, config, task, plan, options);
}

std::vector<TrainingStage> SftStages(const SftConfig& config, ThreadPool& pool, bool quiet) {
  InterruptGuard interrupt;
  const ScratchDirectory scratch("fathom-sft");
  return Tuning(config, scratch.path(), nullptr, pool, quiet).stages();
}

std::vector<int32_t> SftSamplePrompt(const SftConfig& config) {
  const ChatModel from = ChatModel::Open(config.model.init_from);
  const ChatMessage message[] = {{.role = "user", .content = config.sample.prompt}};
  std::vector<int32_t> prompt = from.chat.Encode(from.tokenizer, message);
  const int64_t room = from.config.max_position_embeddings - static_cast<int64_t>(prompt.size());
  if (room < 1) {
    throw Error("sample.prompt",
                fmt::format("its {} tokens leave no room in the model's context of {}",
                            prompt.size(), from.config.max_position_embeddings),
                "give a shorter one");
  }
  return prompt;
}

}  // namespace fathom

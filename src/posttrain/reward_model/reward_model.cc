#include "posttrain/reward_model/reward_model.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "model/language_model_loss.h"

namespace fathom {

RewardModel::RewardModel(Context& context, const std::filesystem::path& directory,
                         std::optional<Precision> precision, int64_t batch_tokens, bool quiet)
    : context_(context),
      model_(directory, precision, MtpUse::kNone, {}, ModelHead::kScore),
      chat_(ChatTemplate::Load(
          [&](std::string_view name) { return model_.mapped().source().SideFile(name); },
          directory.string(), &model_.RequireTokenizer())),
      encoder_(chat_, model_.RequireTokenizer()),
      longest_(std::min(batch_tokens, model_.config().max_position_embeddings)) {
  model_.Pack(context, {.pages = 1, .batch_tokens = batch_tokens, .logit_rows = batch_tokens},
              quiet);
}

std::vector<double> RewardModel::Score(std::span<const std::vector<int32_t>> texts) {
  std::vector<double> scores;
  for (size_t begin = 0; begin < texts.size();) {
    size_t end = begin;
    for (int64_t tokens = 0; end < texts.size(); ++end) {
      const auto length = static_cast<int64_t>(texts[end].size());
      FATHOM_CHECK(length >= 1 && length <= longest_);
      tokens += length;
      if (end > begin && tokens > longest_) break;
    }
    const auto some = SequenceScores(context_, model_.transformer(),
                                     texts.subspan(begin, end - begin), AttentionForm::kAbsorbed);
    scores.insert(scores.end(), some.begin(), some.end());
    begin = end;
  }
  return scores;
}

namespace {

class ModelReward : public RewardFunction {
 public:
  ModelReward(std::unique_ptr<RewardModel> model, std::string name, ScoredPart part)
      : model_(std::move(model)), name_(std::move(name)), part_(part) {}

  std::string_view name() const override { return name_; }

  void Score(std::span<const RewardInput> inputs, std::span<RewardValue> values) override {
    std::vector<std::vector<int32_t>> texts;
    std::vector<size_t> of;  // which input a text is of
    for (size_t i = 0; i < inputs.size(); ++i) {
      try {
        texts.push_back(Read(inputs[i]));
        of.push_back(i);
      } catch (const Error& error) {
        values[i].status = RewardStatus::kFailed;
        // The first says more than a count.
        if (!std::exchange(warned_, true)) spdlog::warn("{} (counted from here on)", error.what());
      }
    }
    const std::vector<double> scores = model_->Score(texts);
    for (size_t i = 0; i < of.size(); ++i) values[of[i]].value = scores[i];
  }

 private:
  // Throws Error for what the model cannot read.
  std::vector<int32_t> Read(const RewardInput& input) const {
    const CompletionParts parts = SplitCompletion(*input.completion);
    std::vector<ChatMessage> messages = input.problem->messages;
    ChatMessage& answer = messages.emplace_back();
    answer.role = "assistant";
    answer.content = parts.answer;
    if (part_ == ScoredPart::kWhole && !parts.thinking.empty()) answer.reasoning = parts.thinking;
    std::vector<int32_t> text =
        model_->encoder().Encode(ChatMessagesToData(messages), {.now = 0}, name_);
    if (static_cast<int64_t>(text.size()) > model_->longest()) {
      throw Error(name_, fmt::format("a text of {} tokens is longer than the {} that are read",
                                     text.size(), model_->longest()));
    }
    return text;
  }

  std::unique_ptr<RewardModel> model_;
  std::string name_;
  ScoredPart part_;
  bool warned_ = false;
};

}  // namespace

std::unique_ptr<RewardFunction> MakeModelReward(std::unique_ptr<RewardModel> model,
                                                std::string name, ScoredPart part) {
  return std::make_unique<ModelReward>(std::move(model), std::move(name), part);
}

}  // namespace fathom

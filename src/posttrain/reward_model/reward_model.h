#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "infer/loaded_model.h"
#include "posttrain/reward_model/scored_texts.h"
#include "posttrain/rewards/reward.h"

namespace fathom {

// A model that scores texts, opened to do so.
class RewardModel {
 public:
  // precision: as LoadedModel's. batch_tokens: the most that are computed at a time; a longer text
  // is not scored. The context has to outlive it. Throws Error when the model has no head that
  // scores, no tokenizer or no chat template, and when it does not fit into memory.
  RewardModel(Context& context, const std::filesystem::path& directory,
              std::optional<Precision> precision, int64_t batch_tokens, bool quiet);
  RewardModel(const RewardModel&) = delete;
  RewardModel& operator=(const RewardModel&) = delete;

  const ScoredTextEncoder& encoder() const { return encoder_; }
  // The most tokens of a text: batch_tokens, or the model's context where that is shorter.
  int64_t longest() const { return longest_; }

  // Of texts of 1 to longest() tokens. A score depends on its text alone.
  std::vector<double> Score(std::span<const std::vector<int32_t>> texts);

 private:
  Context& context_;
  LoadedModel model_;
  ChatTemplate chat_;
  ScoredTextEncoder encoder_;
  int64_t longest_;
};

// What of a completion a reward model reads: R1's helpful one reads the answer behind the thoughts,
// its safety one reads them, too.
enum class ScoredPart : uint8_t { kAnswer, kWhole };

// The scores of a reward model as a component. It reads the problem's messages (without what a
// run's configuration puts before them) and the completion; kFailed where that is longer than the
// model takes, kNotANumber where the model says so.
std::unique_ptr<RewardFunction> MakeModelReward(std::unique_ptr<RewardModel> model,
                                                std::string name, ScoredPart part);

}  // namespace fathom

#include "posttrain/rewards/reward.h"

#include <cmath>

#include "base/error.h"
#include "posttrain/rewards/length_reward.h"

namespace fathom {
namespace {

// A component that looks at one completion at a time.
template <typename F>
class SingleReward : public RewardFunction {
 public:
  SingleReward(std::string_view name, F score) : name_(name), score_(std::move(score)) {}

  std::string_view name() const override { return name_; }
  void Score(std::span<const RewardInput> inputs, std::span<RewardValue> values) override {
    for (size_t i = 0; i < inputs.size(); ++i) values[i].value = score_(inputs[i]);
  }

 private:
  std::string_view name_;
  F score_;
};

template <typename F>
std::unique_ptr<RewardFunction> Make(std::string_view name, F score) {
  return std::make_unique<SingleReward<F>>(name, std::move(score));
}

}  // namespace

std::string_view Name(RewardStatus status) {
  switch (status) {
    case RewardStatus::kScored:
      return "scored";
    case RewardStatus::kNotANumber:
      return "nan";
    case RewardStatus::kTimedOut:
      return "timeout";
    case RewardStatus::kFailed:
      break;
  }
  return "failed";
}

RewardValue Checked(RewardValue value, double on_failure) {
  if (value.status == RewardStatus::kScored && !std::isfinite(value.value)) {
    value.status = RewardStatus::kNotANumber;
  }
  if (value.status != RewardStatus::kScored) value.value = on_failure;
  return value;
}

std::unique_ptr<RewardFunction> MakeAccuracyReward(JudgeOptions options) {
  return Make("accuracy", [options = std::move(options)](const RewardInput& input) {
    return JudgeCompletion(*input.problem, *input.completion, options).right ? 1.0 : 0.0;
  });
}

std::unique_ptr<RewardFunction> MakeFormatReward(ThinkFormat format) {
  return Make("format", [format](const RewardInput& input) {
    return HasFormat(*input.completion, format) ? 1.0 : 0.0;
  });
}

std::unique_ptr<RewardFunction> MakeLanguageReward(Script script) {
  return Make("language", [script](const RewardInput& input) {
    const CompletionParts parts = SplitCompletion(*input.completion);
    return ShareOfWords(parts.thinking.empty() ? parts.answer : parts.thinking, script);
  });
}

std::unique_ptr<RewardFunction> MakeOverlongReward(int64_t longest, int64_t buffer) {
  return Make("overlong", [longest, buffer](const RewardInput& input) {
    return OverlongPenalty(input.completion->tokens, longest, buffer);
  });
}

void RewardSet::Add(std::unique_ptr<RewardFunction> function, double weight, double on_failure) {
  FATHOM_CHECK(std::isfinite(weight) && std::isfinite(on_failure));
  components_.push_back({std::move(function), weight, on_failure});
}

std::vector<Reward> RewardSet::Score(std::span<const RewardInput> inputs) {
  std::vector<Reward> rewards(inputs.size());
  for (Component& component : components_) {
    std::vector<RewardValue> values(inputs.size());
    component.function->Score(inputs, values);
    for (size_t i = 0; i < inputs.size(); ++i) {
      const RewardValue value = Checked(values[i], component.on_failure);
      ++component.counts[static_cast<size_t>(value.status)];
      rewards[i].total += component.weight * value.value;
      rewards[i].components.push_back(value);
    }
  }
  return rewards;
}

}  // namespace fathom

#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/tasks/task_problem.h"
#include "posttrain/rewards/answer_judge.h"
#include "posttrain/rewards/completion.h"
#include "posttrain/rewards/language.h"

namespace fathom {

// How a component came to its value.
enum class RewardStatus : uint8_t {
  kScored,
  kNotANumber,  // it said NaN or an infinity
  kTimedOut,
  kFailed,  // it said nothing, or nonsense
};
std::string_view Name(RewardStatus status);  // "scored", "nan", "timeout", "failed"

struct RewardValue {
  double value = 0;
  RewardStatus status = RewardStatus::kScored;
};

struct RewardInput {
  const TaskProblem* problem;
  const Completion* completion;
  const RewardValue* verdict = nullptr;  // of the environment that it talked to, where it did
};

// What is no number is kNotANumber, and what was not scored gets the value `on_failure`.
RewardValue Checked(RewardValue value, double on_failure);

// One component of a reward. Scores a batch, so that those that ask other processes can ask for
// many at a time. Never throws for what a model wrote.
class RewardFunction {
 public:
  virtual ~RewardFunction() = default;
  virtual std::string_view name() const = 0;
  // values[i] is what inputs[i] gets.
  virtual void Score(std::span<const RewardInput> inputs, std::span<RewardValue> values) = 0;
};

// 1 for a right answer, 0 for others. ("accuracy")
std::unique_ptr<RewardFunction> MakeAccuracyReward(JudgeOptions options);
// 1 where HasFormat. ("format")
std::unique_ptr<RewardFunction> MakeFormatReward(ThinkFormat format);
// ShareOfWords of the thoughts, or of the answer where nothing was thought. ("language")
std::unique_ptr<RewardFunction> MakeLanguageReward(Script script);
// OverlongPenalty. ("overlong")
std::unique_ptr<RewardFunction> MakeOverlongReward(int64_t longest, int64_t buffer);

// What a completion gets: components in the order of the set, before their weights, and their
// weighted sum.
struct Reward {
  double total = 0;
  std::vector<RewardValue> components;
};

// A weighted sum of components, each of which is kept.
class RewardSet {
 public:
  // weight: finite. on_failure: the value of what could not be scored, before its weight.
  void Add(std::unique_ptr<RewardFunction> function, double weight, double on_failure = 0);

  std::vector<Reward> Score(std::span<const RewardInput> inputs);

  size_t size() const { return components_.size(); }
  std::string_view name(size_t component) const { return components_[component].function->name(); }
  double weight(size_t component) const { return components_[component].weight; }
  // How often the component ended so, since the beginning.
  int64_t count(size_t component, RewardStatus status) const {
    return components_[component].counts[static_cast<size_t>(status)];
  }

 private:
  struct Component {
    std::unique_ptr<RewardFunction> function;
    double weight, on_failure;
    int64_t counts[4] = {};
  };
  std::vector<Component> components_;
};

}  // namespace fathom

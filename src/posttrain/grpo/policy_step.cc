#include "posttrain/grpo/policy_step.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "ops/backend.h"
#include "train/training_step.h"

namespace fathom {
namespace {

// Some rollouts as one flat batch, a sequence each. The last token is only predicted.
class RolloutBatch {
 public:
  // As many of the rollouts from `begin` on as `most` tokens hold, one at least. at(i): one of
  // them.
  template <typename At>
  RolloutBatch(size_t begin, size_t end, int64_t most, const At& at) {
    for (size_t i = begin; i < end; ++i) {
      const Rollout& next = at(i);
      if (size() > 0 && tokens() + InputTokens(next) > most) break;
      Add(next);
    }
  }

  LossInput Input() const {
    return {.sequences = sequences_, .inputs = {ids_}, .targets = {targets_}};
  }
  size_t size() const { return answers_.size(); }
  // The part of an array over the batch's tokens that belongs to an answer.
  template <typename T>
  std::span<T> Answer(std::span<T> values, size_t i) const {
    return values.subspan(answers_[i].first, answers_[i].second);
  }

 private:
  static int64_t InputTokens(const Rollout& rollout) {
    return static_cast<int64_t>(rollout.prompt.size() + rollout.answer.size()) - 1;
  }
  int64_t tokens() const { return static_cast<int64_t>(ids_.size()); }
  void Add(const Rollout& rollout) {
    const auto begin = static_cast<int64_t>(ids_.size());
    ids_.insert(ids_.end(), rollout.prompt.begin(), rollout.prompt.end());
    ids_.insert(ids_.end(), rollout.answer.begin(), rollout.answer.end() - 1);
    targets_.resize(ids_.size(), -1);
    const auto first =
        static_cast<int64_t>(targets_.size()) - static_cast<int64_t>(rollout.answer.size());
    std::copy(rollout.answer.begin(), rollout.answer.end(), targets_.begin() + first);
    sequences_.push_back({.begin = begin, .count = static_cast<int64_t>(ids_.size()) - begin});
    answers_.push_back({static_cast<size_t>(first), rollout.answer.size()});
  }

  std::vector<int32_t> ids_, targets_;
  std::vector<BatchSequence> sequences_;
  std::vector<std::pair<size_t, size_t>> answers_;  // begin, count
};

}  // namespace

std::vector<std::vector<double>> AnswerLogProbs(Context& context, const Transformer& transformer,
                                                std::span<const Rollout* const> rollouts,
                                                AttentionForm form, double temperature,
                                                int64_t group_tokens) {
  std::vector<std::vector<double>> logprobs;
  for (size_t begin = 0; begin < rollouts.size();) {
    const RolloutBatch batch(begin, rollouts.size(), group_tokens,
                             [&](size_t i) -> const Rollout& { return *rollouts[i]; });
    std::vector<double> all = TokenLosses(context, transformer, batch.Input(), form, temperature);
    for (size_t i = 0; i < batch.size(); ++i) {
      std::vector<double>& answer = logprobs.emplace_back();
      for (const double loss : batch.Answer(std::span(all), i)) answer.push_back(-loss);
    }
    begin += batch.size();
  }
  return logprobs;
}

PolicyStep::PolicyStep(const TrainingSettings& settings, const PolicyLossOptions& loss,
                       double temperature, Transformer& transformer, ParameterStore& store,
                       Optimizer& optimizer, Allocator& allocator)
    : settings_(settings),
      loss_(loss),
      temperature_(temperature),
      transformer_(transformer),
      store_(store),
      optimizer_(optimizer),
      saved_(allocator) {
  saved_.recompute = settings.precision.recompute;
}

PolicyStepResult PolicyStep::Run(Context& context, std::span<const WeighedRollout> rollouts,
                                 int64_t step, double lr) {
  transformer_.Pack(context, settings_.Form(), /*training=*/true);
  for (const Parameter* parameter : store_.masters()) {
    if (!parameter->grad.empty()) context.backend->Zero(context, parameter->grad);
  }
  int64_t all_tokens = 0;
  for (const WeighedRollout& rollout : rollouts)
    all_tokens += static_cast<int64_t>(rollout.rollout->answer.size());
  const int64_t most = settings_.MicroBatchTokens(settings_.batch_tokens);
  PolicyStepResult result;
  for (size_t begin = 0; begin < rollouts.size();) {
    const RolloutBatch batch(begin, rollouts.size(), most,
                             [&](size_t i) -> const Rollout& { return *rollouts[i].rollout; });
    LossOptions options{
        .form = settings_.Form(), .target_weight = {0}, .temperature = temperature_};
    options.doutput = [&](std::span<const double> logprobs) {
      std::vector<double> gradient(logprobs.size());
      for (size_t i = 0; i < batch.size(); ++i) {
        const WeighedRollout& rollout = rollouts[begin + i];
        const auto tokens = static_cast<int64_t>(rollout.rollout->answer.size());
        const double scale =
            TokenScale(loss_, static_cast<int64_t>(rollouts.size()), all_tokens, tokens);
        result.sums.Add(AnswerLoss(loss_,
                                   {.old_logprobs = rollout.rollout->logprobs,
                                    .reference_logprobs = rollout.reference_logprobs,
                                    .advantage = rollout.advantage},
                                   batch.Answer(logprobs, i), scale,
                                   batch.Answer(std::span(gradient), i)));
      }
      return gradient;
    };
    LanguageModelLoss(context, transformer_, batch.Input(), options, &saved_);
    CountExperts(saved_, result.expert_load);
    begin += batch.size();
    if (!std::isfinite(result.sums.loss)) {
      result.bad = FirstBadParameter(context, store_);
      if (result.bad.empty()) result.bad = "the loss";
      return result;
    }
  }
  const Optimizer::Norm norm = optimizer_.Step(context, lr, step + 1);
  result.grad_norm = norm.before_clipping;
  if (!norm.finite) result.bad = "a gradient";
  return result;
}

}  // namespace fathom

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
  // Of an array over the batch's tokens, what belongs to the written tokens of an answer.
  std::vector<double> Written(std::span<const double> values, size_t i) const {
    std::vector<double> written;
    for (const auto& [begin, count] : answers_[i].rollout->written) {
      const auto part = values.subspan(answers_[i].begin + begin, count);
      written.insert(written.end(), part.begin(), part.end());
    }
    return written;
  }
  // The other way round.
  void PutWritten(std::span<const double> written, size_t i, std::span<double> values) const {
    for (const auto& [begin, count] : answers_[i].rollout->written) {
      std::copy_n(written.begin(), count, values.begin() + answers_[i].begin + begin);
      written = written.subspan(count);
    }
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
    const size_t first = targets_.size() - rollout.answer.size();
    for (const auto& [at, count] : rollout.written)
      std::copy_n(rollout.answer.begin() + at, count, targets_.begin() + first + at);
    sequences_.push_back({.begin = begin, .count = static_cast<int64_t>(ids_.size()) - begin});
    answers_.push_back({&rollout, first});
  }

  std::vector<int32_t> ids_, targets_;
  std::vector<BatchSequence> sequences_;
  struct Answer {
    const Rollout* rollout;
    size_t begin;  // of its tokens as targets
  };
  std::vector<Answer> answers_;
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
      std::vector<double>& answer = logprobs.emplace_back(batch.Written(all, i));
      for (double& value : answer) value = -value;
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
        std::vector<double> part(rollout.rollout->logprobs.size());
        result.sums.Add(AnswerLoss(loss_,
                                   {.old_logprobs = rollout.rollout->logprobs,
                                    .reference_logprobs = rollout.reference_logprobs,
                                    .advantage = rollout.advantage},
                                   batch.Written(logprobs, i), rollout.scale, part));
        batch.PutWritten(part, i, gradient);
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

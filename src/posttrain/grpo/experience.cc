#include "posttrain/grpo/experience.h"

#include <algorithm>

#include "base/random.h"
#include "infer/transformer_executor.h"
#include "posttrain/answers/answer_extraction.h"
#include "posttrain/grpo/policy_loss.h"
#include "posttrain/reward_model/reward_model.h"
#include "posttrain/verifier/verifier.h"

namespace fathom {
namespace {

constexpr uint64_t kRolloutStreams = 0x6772706f726f6c6c;

VerifierOptions VerifierOf(const GrpoConfig& config, bool messages) {
  return {.command = config.reward.verifier,
          .workers = static_cast<int>(config.reward.verifier_workers),
          .timeout_seconds = config.reward.verifier_timeout,
          .messages = messages};
}

}  // namespace

RewardSet MakeRewards(Context& context, const GrpoConfig& config, bool quiet) {
  RewardSet rewards;
  const GrpoConfig::RewardSettings& wanted = config.reward;
  rewards.Add(MakeAccuracyReward({.rules = ParseAnswerRules(wanted.extract, "reward.extract")}),
              wanted.accuracy);
  if (wanted.format != 0) {
    rewards.Add(MakeFormatReward(wanted.think_format == "think" ? ThinkFormat::kThink
                                                                : ThinkFormat::kThinkAnswer),
                wanted.format);
  }
  if (wanted.language != 0)
    rewards.Add(MakeLanguageReward(ScriptOfLanguage(wanted.language_code).value()),
                wanted.language);
  if (wanted.overlong != 0) {
    rewards.Add(MakeOverlongReward(config.rollout.max_tokens, wanted.overlong_buffer),
                wanted.overlong);
  }
  if (!wanted.verifier.empty()) {
    rewards.Add(MakeExternalReward(VerifierOf(config, /*messages=*/false)), wanted.external,
                wanted.external_on_failure);
  }
  for (const auto& model : wanted.models) {
    auto opened = std::make_unique<RewardModel>(
        context, model.path, std::nullopt, config.MicroBatchTokens(config.batch_tokens), quiet);
    rewards.Add(MakeModelReward(std::move(opened), model.name,
                                model.reads == "whole" ? ScoredPart::kWhole : ScoredPart::kAnswer),
                model.weight, model.on_failure);
  }
  return rewards;
}

Explorer::Explorer(Context& context, const GrpoConfig& config, const ChatModel& model,
                   const ProblemPool& pool, Transformer& policy, RewardSet& rewards)
    : context_(context),
      config_(config),
      model_(model),
      pool_(pool),
      policy_(policy),
      rewards_(rewards) {
  if (config.rollout.turns > 1) environment_.emplace(VerifierOf(config, /*messages=*/true));
}

bool Explorer::IsRight(const Reward& reward) const {
  for (size_t c = 0; c < rewards_.size(); ++c) {
    const bool judges = rewards_.name(c) == "accuracy" || rewards_.name(c) == "external";
    if (judges && reward.components[c].value > 0.5) return true;
  }
  return false;
}

std::vector<Episode> Explorer::Play(const std::vector<const PromptedProblem*>& problems,
                                    int64_t answers, double temperature, uint64_t seed) {
  policy_.Pack(context_, AttentionForm::kAbsorbed, /*training=*/false);
  int64_t pages = 0;
  for (const PromptedProblem* problem : problems) {
    const auto length = static_cast<int64_t>(problem->prompt.size()) + config_.rollout.MostTokens();
    pages += answers * KvCache::Pages(length) + 1;
  }
  TransformerExecutor executor(context_, policy_, pages);
  Engine engine(executor, {.max_running = 1024});
  return PlayEpisodes(engine, model_, config_, problems,
                      {.answers = answers,
                       .max_tokens = config_.rollout.max_tokens,
                       .temperature = temperature,
                       .seed = seed,
                       .turns = config_.rollout.turns,
                       .message_tokens = config_.rollout.message_tokens},
                      environment_ ? &*environment_ : nullptr);
}

std::vector<Reward> Explorer::Score(const std::vector<Episode>& episodes) {
  std::vector<RewardInput> inputs;
  for (const Episode& episode : episodes) {
    inputs.push_back({.problem = &episode.problem->problem,
                      .completion = &episode.completion,
                      .verdict = episode.verdict ? &*episode.verdict : nullptr});
  }
  return rewards_.Score(inputs);
}

Experience Explorer::Gather(uint64_t& draws) {
  Experience experience;
  experience.components.resize(rewards_.size());
  const int64_t group = config_.rollout.answers;
  int64_t groups = 0;
  for (int64_t round = 0; round <= config_.rollout.refills && groups < config_.rollout.problems;
       ++round) {
    std::vector<const PromptedProblem*> problems;
    for (int64_t i = groups; i < config_.rollout.problems; ++i)
      problems.push_back(&pool_.Draw(draws++));
    std::vector<Episode> episodes = Play(problems, group, config_.rollout.temperature,
                                         MixKey(MixKey(config_.seed, kRolloutStreams), draws));
    const std::vector<Reward> rewards = Score(episodes);
    for (size_t g = 0; g < problems.size(); ++g) {
      std::vector<double> totals;
      for (int64_t a = 0; a < group; ++a) {
        const size_t i = g * static_cast<size_t>(group) + static_cast<size_t>(a);
        totals.push_back(rewards[i].total);
        experience.reward += rewards[i].total;
        experience.right += IsRight(rewards[i]) ? 1 : 0;
        experience.turns += static_cast<double>(episodes[i].turns);
        experience.tokens += static_cast<double>(episodes[i].tokens);
        experience.finished += episodes[i].finished ? 1 : 0;
        for (size_t c = 0; c < rewards_.size(); ++c) {
          const double value = rewards[i].components[c].value;
          experience.components[c] += value;
          if (rewards_.name(c) != config_.reward.gold)
            experience.proxy += rewards_.weight(c) * value;
        }
        ++experience.written;
      }
      const std::vector<double> advantages =
          GroupAdvantages(totals, config_.policy.scale_advantages);
      if (std::all_of(advantages.begin(), advantages.end(), [](double a) { return a == 0; })) {
        ++experience.groups_without_spread;
        continue;
      }
      ++groups;
      for (int64_t a = 0; a < group; ++a) {
        const size_t i = g * static_cast<size_t>(group) + static_cast<size_t>(a);
        experience.episodes.push_back(std::move(episodes[i]));
        experience.rewards.push_back(rewards[i]);
        experience.advantages.push_back(advantages[static_cast<size_t>(a)]);
      }
    }
  }
  return experience;
}

Explorer::Accuracy Explorer::Judge(size_t count) {
  std::vector<const PromptedProblem*> problems;
  for (size_t i = 0; i < count; ++i) problems.push_back(&pool_.held_out()[i]);
  const std::vector<Episode> episodes = Play(problems, 1, /*temperature=*/0, config_.seed);
  const std::vector<Reward> rewards = Score(episodes);
  double right = 0, tokens = 0;
  for (size_t i = 0; i < count; ++i) {
    right += IsRight(rewards[i]) ? 1 : 0;
    tokens += static_cast<double>(episodes[i].tokens);
  }
  const auto n = static_cast<double>(count);
  return {.right = right / n, .tokens = tokens / n};
}

}  // namespace fathom

#include "posttrain/grpo/grpo_config.h"

#include <fmt/ranges.h>

#include <set>

#include "base/error.h"
#include "base/file.h"
#include "posttrain/answers/answer_extraction.h"
#include "posttrain/rewards/language.h"
#include "train/config_fields.h"

namespace fathom {
namespace {

template <typename Config, typename Fields>
void Describe(Config& config, Fields& fields) {
  DescribeSettings(config, fields, [](auto&) {});
  DescribeLora(config, fields);
  fields.Field("steps", config.steps, 1, kMostSteps);
  fields.Section("model",
                 [&](auto& section) { section.Field("init_from", config.model.init_from); });
  fields.Section("data", [&](auto& section) {
    section.Field("held_out_fraction", config.data.held_out_fraction, 0, 0.9);
    section.Field("held_out", config.data.held_out);
    const GrpoConfig::ProblemSource plain;
    section.Sections("source", config.data.sources, plain, [](auto& table, auto& source) {
      table.Require("path");
      table.Field("path", source.path);
    });
  });
  fields.Section("prompt", [&](auto& section) {
    section.Field("system", config.prompt.system);
    section.Field("think", config.prompt.think);
  });
  fields.Section("rollout", [&](auto& section) {
    section.Field("problems", config.rollout.problems, 1, 1 << 20);
    section.Field("answers", config.rollout.answers, 2, 1 << 16);
    section.Field("max_tokens", config.rollout.max_tokens, 1, 1 << 24);
    section.Field("temperature", config.rollout.temperature, 0.01, 100);
    section.Field("refills", config.rollout.refills, 0, 1000);
    section.Field("turns", config.rollout.turns, 1, 1000);
    section.Field("message_tokens", config.rollout.message_tokens, 1, 1 << 20);
  });
  fields.Section("policy", [&](auto& section) {
    section.Field("clip_low", config.policy.clip_low, 0, 1);
    section.Field("clip_high", config.policy.clip_high, 0, 1e6);
    section.Field("kl", config.policy.kl, 0, 100);
    section.Field("norm", config.policy.norm, {"answer", "token", "constant"});
    section.Field("ratio", config.policy.ratio, {"token", "answer"});
    section.Field("scale_advantages", config.policy.scale_advantages);
    section.Field("inner_epochs", config.policy.inner_epochs, 1, 1000);
    section.Field("mini_batches", config.policy.mini_batches, 1, 100000);
    section.Field("reference_every", config.policy.reference_every, 0);
    section.Field("learn_unfinished", config.policy.learn_unfinished);
  });
  fields.Section("reward", [&](auto& section) {
    section.Field("accuracy", config.reward.accuracy, -1e6, 1e6);
    section.Field("format", config.reward.format, -1e6, 1e6);
    section.Field("language", config.reward.language, -1e6, 1e6);
    section.Field("overlong", config.reward.overlong, -1e6, 1e6);
    section.Field("think_format", config.reward.think_format, {"think", "think-answer"});
    section.Field("language_code", config.reward.language_code);
    section.Field("overlong_buffer", config.reward.overlong_buffer, 0);
    section.Field("extract", config.reward.extract);
    section.Field("verifier", config.reward.verifier);
    section.Field("external", config.reward.external, -1e6, 1e6);
    section.Field("external_on_failure", config.reward.external_on_failure, -1e6, 1e6);
    section.Field("verifier_workers", config.reward.verifier_workers, 1, 1024);
    section.Field("verifier_timeout", config.reward.verifier_timeout, 0.001, 86400);
    section.Field("gold", config.reward.gold);
    section.Field("hacking_window", config.reward.hacking_window, 4, 1 << 20);
    const GrpoConfig::RewardSettings::Model plain;
    section.Sections("model", config.reward.models, plain, [](auto& table, auto& model) {
      table.Require("path");
      table.Field("path", model.path);
      table.Field("name", model.name);
      table.Field("weight", model.weight, -1e6, 1e6);
      table.Field("reads", model.reads, {"answer", "whole"});
      table.Field("on_failure", model.on_failure, -1e6, 1e6);
    });
  });
}

// Components are logged by name, beside what else a step's line has.
void CheckComponents(const GrpoConfig& config, std::string_view where) {
  const GrpoConfig::RewardSettings& reward = config.reward;
  std::set<std::string> names = {"accuracy"};
  if (reward.format != 0) names.insert("format");
  if (reward.language != 0) names.insert("language");
  if (reward.overlong != 0) names.insert("overlong");
  if (!reward.verifier.empty()) names.insert("external");
  const std::set<std::string> taken = {"kind",        "step",
                                       "tokens",      "loss",
                                       "reward",      "answer_tokens",
                                       "finished",    "kl",
                                       "ratio",       "groups_without_spread",
                                       "turns",       "clipped",
                                       "deviation",   "lr",
                                       "grad_norm",   "max_violation",
                                       "expert_load", "rollout_seconds",
                                       "seconds",     "time",
                                       "proxy",       "gold"};
  if (names.size() == 1 && reward.accuracy == 0 && reward.models.empty()) {
    throw Error(where, "no answer gets any reward: reward.accuracy is 0, and there is nothing else",
                "give a weight, a verifier or a reward model");
  }
  for (const auto& model : reward.models) {
    if (!model.name.empty() && !taken.contains(model.name) && names.insert(model.name).second)
      continue;
    throw Error(where, fmt::format("reward.model: the name '{}' is taken", model.name),
                "every component has one of its own, for example name = \"helpful\"");
  }
  if (reward.models.empty()) return;
  if (!names.contains(reward.gold)) {
    throw Error(where, fmt::format("reward.gold '{}' is no component of the reward", reward.gold),
                fmt::format("there are {}", fmt::join(names, ", ")));
  }
  if (reward.hacking_window % 2 != 0) throw Error(where, "reward.hacking_window is odd");
}

void CheckTogether(const GrpoConfig& config, std::string_view where) {
  const auto require = [&](bool holds, const std::string& what, std::string_view hint = {}) {
    if (!holds) throw Error(where, what, hint);
  };
  CheckSettings(config, 1, where);
  require(!config.model.init_from.empty(), "model.init_from is missing",
          "the model to go on with, for example model.init_from = \"runs/tuned/model\"");
  require(!config.data.sources.empty(), "there is no [[data.source]]",
          "give at least one, for example [[data.source]] path = \"problems.jsonl\"");
  require(config.rollout.problems * config.rollout.answers >= config.policy.mini_batches,
          "policy.mini_batches are more than answers of a step");
  require(config.rollout.turns == 1 || !config.reward.verifier.empty(),
          "rollout.turns are several, and there is no environment to talk to",
          "give its command as reward.verifier");
  require(config.rollout.turns == 1 || config.policy.ratio == "token",
          "policy.ratio = \"answer\" is for one answer, and rollout.turns are several",
          "leave policy.ratio out");
  require(config.ema_decay == 0, "ema_decay is for fathom train and fathom sft", "leave it out");
  require(ScriptOfLanguage(config.reward.language_code).has_value(),
          fmt::format("reward.language_code '{}' is not known", config.reward.language_code),
          "for example \"en\" or \"zh\"");
  ParseAnswerRules(config.reward.extract, fmt::format("{}: reward.extract", where));
  CheckComponents(config, where);
}

}  // namespace

GrpoConfig::GrpoConfig() {
  batch_tokens = 16384;
  optimizer.lr = 1e-6;
  optimizer.weight_decay = 0;
  // The first steps of AdamW are as large as any, whatever their gradients say.
  schedule = {.type = "constant", .warmup_steps = 10, .decay_fraction = 0.2, .min_lr_ratio = 0.1};
  // The bits of inference: the ratio of the first update is exactly 1.
  precision.attention = "absorbed";
  balance = {.bias_speed = 0, .bias_stop_fraction = 1, .sequence_alpha = 0};
  validation = {.every = 20, .tokens = 256};
  checkpoint = {.every = 50, .keep = 2};
}

PolicyLossOptions GrpoConfig::Loss() const {
  return {.clip_low = policy.clip_low,
          .clip_high = policy.clip_high,
          .kl = policy.kl,
          .norm = policy.norm == "token"      ? LossNorm::kToken
                  : policy.norm == "constant" ? LossNorm::kConstant
                                              : LossNorm::kAnswer,
          .ratio = policy.ratio == "answer" ? RatioOf::kAnswer : RatioOf::kToken,
          .longest = rollout.turns * rollout.max_tokens};
}

GrpoConfig GrpoConfig::Load(const std::filesystem::path& path,
                            const std::vector<std::string>& overrides) {
  return Parse(ReadFile(path), path.string(), path.parent_path(), overrides);
}

GrpoConfig GrpoConfig::Parse(std::string_view text, std::string_view where,
                             const std::filesystem::path& base,
                             const std::vector<std::string>& overrides) {
  return Read(ParseToml(text, where, overrides), where, base);
}

GrpoConfig GrpoConfig::Read(const toml::table& table, std::string_view where,
                            const std::filesystem::path& base) {
  FieldReader root(TomlTable(&table, std::string(where)), base);
  GrpoConfig config;
  Describe(config, root);
  root.Finish();
  CheckTogether(config, where);
  CheckLora(config, config.model.init_from, where);
  return config;
}

std::string GrpoConfig::ToToml() const {
  FieldWriter root;
  Describe(*this, root);
  return TomlText(root.Take());
}

}  // namespace fathom

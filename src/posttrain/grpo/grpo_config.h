#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/toml/toml_reader.h"
#include "posttrain/grpo/policy_loss.h"
#include "train/training_settings.h"

namespace fathom {

// Reinforcement learning with verifiable rewards as a grpo.toml describes it. Every key, its
// default and its meaning stand in docs/reinforcement-learning.md.
struct GrpoConfig : TrainingSettings {
  GrpoConfig();

  int64_t steps = 200;

  struct Model {
    std::filesystem::path init_from;
  } model;

  struct ProblemSource {
    std::filesystem::path path;  // a task file (data/tasks/task_file.h)
  };
  struct Data {
    std::vector<ProblemSource> sources;
    double held_out_fraction = 0.05;  // of the problems, by a hash of their ids; for validation
    std::filesystem::path held_out;   // in its place: a task file to validate on
  } data;

  struct Prompt {
    std::string system;  // before the problem's own messages, unless it is empty
    bool think = true;   // answers begin with thoughts, where the template can
  } prompt;

  struct RolloutSettings {
    int64_t problems = 16;  // of a step
    int64_t answers = 8;    // to each: the group
    int64_t max_tokens = 256;
    double temperature = 1;
    int64_t refills = 4;  // more problems drawn for those whose answers all got the same reward
    // With more than one turn, reward.verifier is an environment that may say something in place
    // of a reward; what it says has so many tokens at most.
    int64_t turns = 1, message_tokens = 256;

    // Of a problem's answer, or of the conversation about it.
    int64_t MostTokens() const { return turns * max_tokens + (turns - 1) * message_tokens; }
  } rollout;

  struct Policy {
    double clip_low = 0.2, clip_high = 0.2, kl = 0.001;
    std::string norm = "answer";  // "token", "constant"
    std::string ratio = "token";  // "answer"
    bool scale_advantages = true;
    int64_t inner_epochs = 1, mini_batches = 1;
    int64_t reference_every = 400;  // steps after which the reference is the policy; 0: never
    bool learn_unfinished = true;   // whether answers that were cut off are learnt from
  } policy;

  struct RewardSettings {
    double accuracy = 1, format = 0, language = 0, overlong = 0;  // weights
    std::string think_format = "think";                           // or "think-answer"
    std::string language_code = "en";
    int64_t overlong_buffer = 64;
    std::string extract = "boxed,tags,hash,sentence,number,line";
    // A command that judges answers (posttrain/verifier), its weight, what an answer gets that it
    // could not judge.
    std::string verifier;
    double external = 1, external_on_failure = 0;
    int64_t verifier_workers = 2;
    double verifier_timeout = 10;  // seconds
    // Models that score answers (posttrain/reward_model).
    struct Model {
      std::filesystem::path path;
      std::string name = "model";  // of the component
      double weight = 1;
      std::string reads = "answer";  // or "whole": the thoughts, too
      double on_failure = 0;         // what an answer gets that it could not score
    };
    std::vector<Model> models;
    // With models: the component that says what is wanted, of the last hacking_window steps of
    // which it is watched that it does not fall while the rest of the reward rises.
    std::string gold = "accuracy";
    int64_t hacking_window = 40;
  } reward;

  PolicyLossOptions Loss() const;

  // As RunConfig's.
  static GrpoConfig Load(const std::filesystem::path& path,
                         const std::vector<std::string>& overrides);
  static GrpoConfig Parse(std::string_view text, std::string_view where,
                          const std::filesystem::path& base,
                          const std::vector<std::string>& overrides);
  // From a table that is read already.
  static GrpoConfig Read(const toml::table& table, std::string_view where,
                         const std::filesystem::path& base);
  std::string ToToml() const;
};

}  // namespace fathom

#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "posttrain/distill/distill_config.h"
#include "posttrain/grpo/grpo_config.h"
#include "posttrain/reward_model/reward_config.h"
#include "posttrain/sft/sft_config.h"

namespace fathom {

// One stage: a run of its own, in OUTPUT/NAME, with the configuration that its command would have.
struct PipelineStage {
  std::string name;
  std::variant<SftConfig, RewardConfig, GrpoConfig, DistillConfig> run;

  std::string_view kind() const;  // "sft", "reward", "rl", "distill": the command
  const std::filesystem::path& output() const;
  // The model that it goes on with; of distillation the student's, empty without one.
  const std::filesystem::path& begins_with() const;
  // The model that it makes; empty: it makes data alone.
  std::filesystem::path makes() const;
  // What it makes scores texts, and writes none.
  bool makes_reward_model() const { return std::holds_alternative<RewardConfig>(run); }
  // Adapters beside begins_with() are what it makes.
  bool makes_adapter() const;
  // Files and directories that it reads.
  std::vector<std::filesystem::path> inputs() const;
  std::string ToToml() const;
};

// Stages one after another (DeepSeek-R1, arXiv 2501.12948, section 2.3), as a pipeline file
// describes them. Every key, its default and its meaning stand in docs/r1.md.
struct PipelineConfig {
  std::filesystem::path output;
  uint64_t seed = 1;  // of stages that give none
  std::vector<PipelineStage> stages;

  // What every model is measured by: those that the stages begin with, and those that they make.
  struct Evaluation {
    std::vector<std::string> tasks;  // as fathom eval --task has them; empty: nothing is measured
    int64_t limit = 0;               // problems of a task; 0: all of a file, 500 generated ones
    int64_t samples = 4;             // to each problem
    int64_t max_tokens = 1024;
    int64_t at_a_time = 64;
    double temperature = 0.6, top_p = 0.95;  // R1's (section 3)
    std::string system, instruction;
    std::string think = "on";  // as the stages teach it; "off", "model": where the template can
    std::string extract = "boxed,tags,hash,sentence,number,line";
    // How models that no stage made are asked: "chat", "plain" (text behind `shots` solved
    // problems, from `examples` or a generated task's own), or "none": not at all.
    std::string start = "plain";
    int64_t shots = 0;
    std::filesystem::path examples;
  } evaluation;

  // Null: there is no stage of this name.
  const PipelineStage* Find(std::string_view name) const;
  // The stage that made a model; null: none did.
  const PipelineStage* MakerOf(const std::filesystem::path& model) const;

  // Values that begin with '@' are made paths: "@NAME" is the model of an earlier stage, and
  // "@NAME/FILE" a file in its directory. Throws Error for what is not as docs/r1.md says, in a
  // stage as its own command does, and for references to nothing.
  static PipelineConfig Load(const std::filesystem::path& path,
                             const std::vector<std::string>& overrides);
  static PipelineConfig Parse(std::string_view text, std::string_view where,
                              const std::filesystem::path& base,
                              const std::vector<std::string>& overrides);
};

}  // namespace fathom

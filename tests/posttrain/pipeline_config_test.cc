// What a pipeline file may say, and what is said of one that cannot work.

#include "posttrain/r1/pipeline_config.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace fathom {
namespace {

constexpr const char* kTwoStages = R"(
  output = "runs/r1"
  seed = 7
  [[stage]]
  name = "cold-start"
  [stage.sft]
  model.init_from = "../base"
  data.source = [{path = "chats.jsonl"}]
  [[stage]]
  name = "reasoning"
  [stage.rl]
  seed = 9
  model.init_from = "@cold-start"
  data.source = [{path = "problems.jsonl"}, {path = "@cold-start/more.jsonl"}]
)";

PipelineConfig Parse(const std::string& text, const std::vector<std::string>& overrides = {}) {
  return PipelineConfig::Parse(text, "r1.toml", "/work/place", overrides);
}
std::string ErrorOf(const std::string& text, const std::vector<std::string>& overrides = {}) {
  try {
    Parse(text, overrides);
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing";
}
bool Has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(PipelineConfig, StagesReadWhatEarlierOnesMade) {
  const PipelineConfig config = Parse(kTwoStages);
  ASSERT_EQ(config.stages.size(), 2u);
  const auto& sft = std::get<SftConfig>(config.stages[0].run);
  const auto& rl = std::get<GrpoConfig>(config.stages[1].run);
  EXPECT_EQ(sft.output, "/work/place/runs/r1/cold-start");
  EXPECT_EQ(sft.model.init_from, "/work/base");
  EXPECT_EQ(sft.data.sources[0].path, "/work/place/chats.jsonl");
  EXPECT_EQ(sft.seed, 7u);
  EXPECT_EQ(rl.seed, 9u);
  EXPECT_EQ(rl.model.init_from, "/work/place/runs/r1/cold-start/model");
  EXPECT_EQ(rl.data.sources[1].path, "/work/place/runs/r1/cold-start/more.jsonl");
  EXPECT_EQ(config.MakerOf(rl.model.init_from), &config.stages[0]);
  EXPECT_EQ(config.MakerOf(sft.model.init_from), nullptr);
  EXPECT_EQ(std::get<GrpoConfig>(Parse(kTwoStages, {"stage[1].rl.steps=3"}).stages[1].run).steps,
            3);
}

TEST(PipelineConfig, DistillationMakesDataOrAModel) {
  const std::string text = std::string(kTwoStages) + R"(
    [[stage]]
    name = "rejection"
    [stage.distill]
    teacher.model = "@reasoning"
    data.source = [{path = "problems.jsonl"}]
  )";
  const PipelineConfig config = Parse(text);
  EXPECT_EQ(config.stages[2].makes(), "");
  EXPECT_EQ(std::get<DistillConfig>(config.stages[2].run).teacher.model,
            "/work/place/runs/r1/reasoning/model");
  EXPECT_EQ(Parse(text + "student.model.init_from = \"../base\"").stages[2].makes(),
            "/work/place/runs/r1/rejection/student/model");
  const std::string more = R"(
    [[stage]]
    name = "again"
    [stage.sft]
    data.source = [{path = "chats.jsonl"}]
    model.init_from = "@rejection")";
  EXPECT_TRUE(Has(ErrorOf(text + more),
                  "that stage makes no model (its data is "
                  "'@rejection/sft.jsonl'"))
      << ErrorOf(text + more);
}

TEST(PipelineConfig, ARewardModelIsForRewards) {
  const std::string text = std::string(kTwoStages) + R"(
    [[stage]]
    name = "helpful"
    [stage.reward]
    model.init_from = "@cold-start"
    data.source = [{path = "pairs.jsonl"}]
    [[stage]]
    name = "alignment"
    [stage.rl]
    model.init_from = "@reasoning"
    data.source = [{path = "problems.jsonl"}]
    reward.model = [{path = "@helpful", name = "helpful"}]
  )";
  const PipelineConfig config = Parse(text);
  const auto& rl = std::get<GrpoConfig>(config.stages[3].run);
  EXPECT_EQ(rl.reward.models.at(0).path, "/work/place/runs/r1/helpful/model");
  EXPECT_TRUE(Has(ErrorOf(text, {"stage[3].rl.model.init_from=\"@helpful\""}),
                  "begins with what stage 'helpful' made, which scores texts and writes none"));
}

TEST(PipelineConfig, WhatCannotWorkNamesTheStage) {
  const std::pair<std::vector<std::string>, std::string> cases[] = {
      {{"stage[1].rl.model.init_from=\"@cold-strat\""},
       "r1.toml: stage 'reasoning': model.init_from is '@cold-strat', and no earlier stage is "
       "called 'cold-strat' (did you mean 'cold-start'?)"},
      {{"stage[0].sft.model.init_from=\"@reasoning\""}, "no earlier stage is called 'reasoning'"},
      {{"stage[1].name=\"cold-start\""}, "stage 'cold-start': comes twice"},
      {{"stage[1].name=\"../out\""}, "'../out' is no name of a stage"},
      {{"stage[1].name=\"evaluation\""}, "'evaluation' is no name of a stage"},
      {{"stage[1].sft.steps=3"}, "stage 'reasoning': is both sft and rl"},
      {{"stage[1].rl.output=\"there\""}, "stage 'reasoning': output is the pipeline's own"},
      {{"stage[1].rl.rollout.anwsers=3"}, "did you mean 'rollout.answers'?"},
      {{"stage[1].rl.rollout.answers=1"}, "r1.toml: stage 'reasoning': rollout.answers"},
      {{"stage[0].sft.lora.rank=4"}, "that stage makes adapters, not a model"},
      {{"evaluation.extract=\"boxes\""}, "evaluation.extract"},
      {{"evaluation.start=\"maybe\""}, "evaluation.start"},
      {{"stages=3"}, "stages"},
  };
  for (const auto& [overrides, part] : cases)
    EXPECT_TRUE(Has(ErrorOf(kTwoStages, overrides), part)) << ErrorOf(kTwoStages, overrides);
  EXPECT_TRUE(Has(ErrorOf("output = \"x\""), "there is no [[stage]]"));
  EXPECT_TRUE(Has(ErrorOf("[[stage]]\nname = \"a\"\nrl = {}"), "output is missing"));
  EXPECT_TRUE(Has(ErrorOf("output = \"x\"\n[[stage]]\nname = \"a\""), "does not say what it does"));
  EXPECT_TRUE(Has(ErrorOf("output = \"x\"\n[[stage]]\nrl = {}"), "stage[0].name"));
  EXPECT_TRUE(
      Has(ErrorOf("output = \"x\"\n[[stage]]\nname = \"a\"\nrl = 3"), "stage 'a': rl is no table"));
}

}  // namespace
}  // namespace fathom

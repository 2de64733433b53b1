// Conversations of a tiny model with an environment.

#include "posttrain/grpo/episode.h"

#include <gtest/gtest.h>

#include "infer/loaded_model.h"
#include "infer/transformer_executor.h"
#include "posttrain/grpo/grpo.h"
#include "posttrain/grpo/policy_step.h"
#include "posttrain/sft_fixture.h"

namespace fathom::test {
namespace {

// Asks twice more, and is content with what it is told then.
constexpr char kAsksOn[] =
    "while read -r line; do case \"$line\" in *'\"turn\":1,'*) echo '{\"message\": \"c?\"}';; "
    "*'\"turn\":2,'*) echo '{\"message\": \"d?\"}';; *) echo '{\"reward\": 0.5}';; esac; done";
constexpr char kNeverContent[] = "while read -r line; do echo '{\"message\": \"c?\"}'; done";

// A model that has learnt to answer with three letters, and to end.
class EpisodeTest : public SftTest {
 protected:
  static void SetUpTestSuite() {
    SftTest::SetUpTestSuite();
    tuned_ = std::make_unique<TemporaryDirectory>();
    WriteChats(*tuned_);
    Tune(ConfigIn(*tuned_));
  }
  static void TearDownTestSuite() {
    tuned_.reset();
    SftTest::TearDownTestSuite();
  }

  EpisodeTest() {
    WriteFileAtomically(directory_ / "tasks.jsonl",
                        "{\"question\": \"a?\", \"kind\": \"external\"}\n"
                        "{\"question\": \"b?\", \"kind\": \"external\"}\n");
  }

  GrpoConfig Config(const std::string& environment, Settings settings = {}) {
    settings.insert(settings.begin(), "model.init_from=" + (*tuned_ / "run/model").string());
    constexpr char kText[] = R"(
      output = "run"
      steps = 4
      batch_tokens = 256
      precision.recipe = "f32"
      optimizer.lr = 0.001
      prompt.think = false
      rollout = {problems = 2, answers = 6, max_tokens = 8, turns = 3, message_tokens = 8}
      reward = {accuracy = 0, verifier = "-"}
      validation.every = 0
      checkpoint.every = 2
      data = {held_out_fraction = 0, source = [{path = "tasks.jsonl"}]}
    )";
    GrpoConfig config = GrpoConfig::Parse(kText, "grpo.toml", directory_.path(), settings);
    config.reward.verifier = environment;
    return config;
  }

  // Six conversations about each problem, and what the trainer would compute for each sequence.
  struct Played {
    std::vector<Episode> episodes;
    std::vector<std::vector<double>> logprobs;
  };
  Played Play(const GrpoConfig& config) {
    pool_.emplace(config, model_);
    std::vector<const PromptedProblem*> problems;
    for (const PromptedProblem& problem : pool_->problems()) problems.push_back(&problem);
    TestRun run(CreateCpuBackend(), 2);
    LoadedModel loaded(config.model.init_from, config.ModelPrecision(), MtpUse::kNone);
    loaded.Pack(run.context(), {.pages = 1, .batch_tokens = 1, .logit_rows = 1}, true);
    TransformerExecutor executor(run.context(), loaded.transformer(), 100);
    Engine engine(executor, {});
    ExternalJudge environment({.command = config.reward.verifier, .messages = true});
    Played played{.episodes = PlayEpisodes(engine, model_, config, problems,
                                           {.answers = 6,
                                            .max_tokens = config.rollout.max_tokens,
                                            .seed = 3,
                                            .turns = config.rollout.turns,
                                            .message_tokens = config.rollout.message_tokens},
                                           &environment),
                  .logprobs = {}};
    EXPECT_EQ(played.episodes.size(), 12);
    std::vector<const Rollout*> sequences;
    for (const Episode& episode : played.episodes) {
      for (const Rollout& sequence : episode.sequences) sequences.push_back(&sequence);
    }
    played.logprobs = AnswerLogProbs(run.context(), loaded.transformer(), sequences,
                                     AttentionForm::kAbsorbed, 1, 100);
    return played;
  }
  // The conversation in the template's words.
  std::string Rendered(const GrpoConfig& config, const Episode& episode) const {
    std::vector<ChatMessage> messages = PromptMessages(config, episode.problem->problem);
    messages.insert(messages.end(), episode.said.begin(), episode.said.end());
    return model_.chat.Render(ChatMessagesToData(messages), {.generation_prompt = false}).bytes();
  }
  std::string Text(const Rollout& sequence) const {
    std::vector<int32_t> ids = sequence.prompt;
    ids.insert(ids.end(), sequence.answer.begin(), sequence.answer.end());
    return model_.tokenizer.Decode(ids);
  }

  static inline std::unique_ptr<TemporaryDirectory> tuned_;
  const ChatModel model_ = ChatModel::OpenWriter(*tuned_ / "run/model");
  std::optional<ProblemPool> pool_;
};

TEST_F(EpisodeTest, AConversationIsOneSequenceWhoseAnswersAreLearnt) {
  const GrpoConfig config = Config(kAsksOn);
  const Played played = Play(config);
  int whole = 0;
  size_t sequence = 0;
  for (const Episode& episode : played.episodes) {
    ASSERT_EQ(episode.sequences.size(), 1);
    const Rollout& rollout = episode.sequences[0];
    ASSERT_EQ(rollout.written.size(), episode.turns);
    size_t written = 0, next = 0;
    for (const auto& [begin, count] : rollout.written) {
      EXPECT_EQ(begin > next, next > 0) << "something was said in between";
      next = begin + count;
      written += count;
    }
    EXPECT_EQ(next, rollout.answer.size());
    EXPECT_EQ(written, rollout.logprobs.size());
    EXPECT_EQ(written, episode.tokens);
    // As the trainer computes them, to the bit.
    EXPECT_EQ(rollout.logprobs, played.logprobs[sequence++]);
    EXPECT_EQ(episode.completion.text, episode.said.back().content);
    if (!episode.finished) continue;
    ++whole;
    EXPECT_EQ(episode.turns, 3);
    ASSERT_EQ(episode.said.size(), 5);
    EXPECT_EQ(episode.said[1].content, "c?");
    EXPECT_EQ(episode.said[3].content, "d?");
    EXPECT_EQ(episode.verdict->value, 0.5);
    EXPECT_EQ(Text(rollout), Rendered(config, episode));
  }
  EXPECT_GE(whole, 6);
}

// The template leaves earlier thoughts out of the history: what is learnt is what was seen.
TEST_F(EpisodeTest, WithThoughtsEveryTurnIsASequence) {
  const Played played = Play(Config(kAsksOn, {"prompt.think=true"}));
  size_t sequence = 0, several = 0;
  for (const Episode& episode : played.episodes) {
    ASSERT_EQ(episode.sequences.size(), episode.turns);
    for (const Rollout& rollout : episode.sequences) {
      ASSERT_EQ(rollout.written.size(), 1);
      EXPECT_EQ(rollout.written[0].second, rollout.answer.size());
      EXPECT_EQ(rollout.logprobs, played.logprobs[sequence++]);
    }
    if (episode.turns > 1) {
      ++several;
      EXPECT_NE(Text(episode.sequences[1]).find("c?"), std::string::npos);
    }
  }
  EXPECT_GE(several, 3);
}

TEST_F(EpisodeTest, WhatCannotBeGoneOnWithNeedsAReward) {
  const auto expect_failed = [&](const GrpoConfig& config, int64_t turns) {
    const Played played = Play(config);
    for (const Episode& episode : played.episodes) {
      EXPECT_TRUE(episode.turns == turns || !episode.finished);
      ASSERT_TRUE(episode.verdict.has_value());
      EXPECT_EQ(episode.verdict->status, RewardStatus::kFailed);
    }
  };
  // The last turn; answers that are cut off; no room for what is said.
  expect_failed(Config(kNeverContent, {"rollout.turns=2"}), 2);
  expect_failed(Config(kNeverContent, {"rollout.max_tokens=1"}), 1);
  expect_failed(Config(kNeverContent, {"rollout.message_tokens=2"}), 1);
}

// Rollouts and updates have the same bits (a difference would be an Error), and so have a run that
// is resumed and one that never stopped.
TEST_F(EpisodeTest, ARunLearnsFromConversations) {
  // What was said last is right if it begins with a b.
  const std::string environment =
      "while read -r line; do case \"$line\" in *'\"turn\":1,'*) echo '{\"message\": \"c?\"}';; "
      "*'\"answer\":\"b'*) echo '{\"reward\": 1}';; *) echo '{\"reward\": 0}';; esac; done";
  const Settings settings = {"rollout.turns=2", "reward.external_on_failure=0", "steps=4"};
  const auto learn = [&](Settings more, bool resume = false) {
    more.insert(more.begin(), settings.begin(), settings.end());
    const GrpoConfig config = Config(environment, more);
    TestRun run(CreateCpuBackend(), 2);
    RunGrpo(run.context(), config, {.resume = resume, .quiet = true});
    return config;
  };
  const GrpoConfig whole = learn({"output=whole"});
  const auto steps = Log(whole, "step");
  ASSERT_EQ(steps.size(), 4);
  for (const auto& step : steps) {
    EXPECT_GT(step.at("turns"), 1);
    EXPECT_LE(step.at("turns"), 2);
    // A step without spread has learnt nothing and has none.
    EXPECT_EQ(step.value("deviation", 0.0), 0);
  }
  EXPECT_GT(steps.back().at("kl"), 0);
  learn({"output=parts", "steps=2"});
  const GrpoConfig parts = learn({"output=parts"}, /*resume=*/true);
  ExpectSameFiles(parts.output / "model/model.safetensors",
                  whole.output / "model/model.safetensors");
}

TEST_F(EpisodeTest, SeveralTurnsWantAnEnvironment) {
  EXPECT_ERROR(Config("", {"reward.verifier="}), "rollout.turns are several");
  EXPECT_ERROR(Config("", {"policy.ratio=answer"}), "policy.ratio");
}

}  // namespace
}  // namespace fathom::test

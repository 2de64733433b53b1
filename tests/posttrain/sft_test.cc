// Whole tuning runs of a tiny model.

#include "posttrain/sft/sft.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "formats/mapped_model.h"
#include "posttrain/sft_fixture.h"

namespace fathom::test {
namespace {

TEST_F(SftTest, AnswersAreLearnt) {
  const SftConfig config = Config();
  const TrainSummary summary = Tune(config);
  EXPECT_GT(summary.start_score, 2);
  // Three letters of an answer and its end, all certain.
  EXPECT_LT(summary.best_score, 0.05);
  const auto start = Log(config, "start");
  ASSERT_EQ(start.size(), 1);
  EXPECT_EQ(start[0].at("sources")[0].at("conversations"), 300);
  EXPECT_EQ(start[0].at("sources")[0].at("sequences").get<int>() +
                start[0].at("sources")[0].at("held_out_sequences").get<int>(),
            300);
  EXPECT_EQ(start[0].at("chat_template"), "fathom");
  EXPECT_EQ(Log(config, "result")[0].at("loss"), summary.best_score);
  for (const char* file : {"tokenizer.json", "tokenizer_config.json"})
    EXPECT_EQ(ReadFile(config.output / "model" / file), ReadFile(Model() / file)) << file;
}

// A teacher's probabilities alone say what is right: no target counts.
TEST_F(SftTest, ATeachersProbabilitiesAreLearnt) {
  const SftConfig teacher = Config({"output=teacher"});
  Tune(teacher);
  const std::string path = (teacher.output / "model").string();
  const Settings soft = {"soft_targets.teacher=" + path, "soft_targets.weight=1"};
  const auto with = [&](Settings more) {
    more.insert(more.end(), soft.begin(), soft.end());
    return Config(more);
  };
  const SftConfig whole = with({"output=student"});
  const TrainSummary summary = Tune(whole);
  const auto validations = Log(whole, "validation");
  ASSERT_GE(validations.size(), 3u);
  EXPECT_GT(validations.front().at("kl"), 2);
  EXPECT_LT(validations.back().at("kl"), 0.25);
  EXPECT_LT(summary.best_score, 0.2);
  EXPECT_GT(Log(whole, "step").front().at("kl"), Log(whole, "step").back().at("kl"));
  // Resumed, it is the same to the bit.
  SftConfig first = with({"output=parts"});
  const SftConfig parts = first;
  TrainOptions options;
  Interrupt(first, 7, options);
  EXPECT_TRUE(Tune(first, options).interrupted);
  TrainOptions resume;
  resume.resume = true;
  Tune(parts, resume, /*threads=*/1);
  ExpectSameFiles(parts.output / "model/model.safetensors",
                  whole.output / "model/model.safetensors");
}

TEST_F(SftTest, ATeacherWithOtherTokensIsRefused) {
  const fs::path other = directory_ / "other";
  fs::copy(Model(), other, fs::copy_options::recursive);
  nlohmann::json tokenizer = nlohmann::json::parse(ReadFile(other / "tokenizer.json"));
  auto& vocabulary = tokenizer["model"]["vocab"];
  std::swap(vocabulary["a"], vocabulary["b"]);
  WriteFileAtomically(other / "tokenizer.json", tokenizer.dump());
  EXPECT_ERROR(Tune(Config({"soft_targets.teacher=" + other.string()})),
               "has another tokenizer than the student: token");
  EXPECT_FALSE(fs::exists(Config().output));
}

TEST_F(SftTest, ARunThatIsInterruptedAndResumedEndsTheSame) {
  const SftConfig whole = Config({"output=whole"});
  const TrainSummary expected = Tune(whole);
  for (const int64_t stop : {1, 8, 13}) {
    SCOPED_TRACE(stop);
    SftConfig parts = Config({fmt::format("output=stopped-{}", stop)});
    SftConfig first = parts;
    TrainOptions options;
    Interrupt(first, stop, options);
    EXPECT_TRUE(Tune(first, options).interrupted);
    TrainOptions resume;
    resume.resume = true;
    const TrainSummary summary = Tune(parts, resume, /*threads=*/1);
    EXPECT_EQ(summary.best_step, expected.best_step);
    EXPECT_EQ(summary.start_score, expected.start_score);
    ExpectSameFiles(parts.output / "model/model.safetensors",
                    whole.output / "model/model.safetensors");
    ExpectSameFiles(LastCheckpoint(parts) / "trainer/optimizer.safetensors",
                    LastCheckpoint(whole) / "trainer/optimizer.safetensors");
  }
}

TEST_F(SftTest, ARunThatIsResumedWithOtherConversationsIsRefused) {
  const SftConfig config = Config({"steps=4"});
  Tune(config);
  TrainOptions resume;
  resume.resume = true;
  EXPECT_ERROR(Tune(Config({"steps=8", "batch_tokens=512"}), resume), "batch_tokens: is");
  std::ofstream(directory_ / "chat.jsonl", std::ios::app) << Chat(0);
  EXPECT_ERROR(Tune(Config({"steps=8"}), resume), "is not what the checkpoint was made with");
  EXPECT_ERROR(Tune(config), "there are checkpoints of a run already");
  // It would look as if the other model had been tuned.
  EXPECT_ERROR(
      Tune(Config({"steps=8", "model.init_from=" + (config.output / "model").string()}), resume),
      "has other weights than the model that the run began with");
}

TEST_F(SftTest, EpochsBecomeSteps) {
  // 300 conversations, none held out, of 9 to 12 tokens each: 64 inputs a row, 4 rows a step.
  const auto steps = [&](const char* epochs) {
    ThreadPool pool(1);
    const SftConfig config =
        Config({std::string("epochs=") + epochs, "steps=0", "data.held_out_fraction=0"});
    const auto stages = SftStages(config, pool, /*quiet=*/true);
    EXPECT_FALSE(fs::exists(config.output));
    return stages.at(0).steps;
  };
  const int64_t once = steps("1");
  EXPECT_GE(once, 300 * 9 / 256);
  EXPECT_LE(once, 300 * 12 / 200);
  EXPECT_NEAR(static_cast<double>(steps("2")), 2.0 * static_cast<double>(once), 1);
  EXPECT_NEAR(static_cast<double>(steps("0.5")), 0.5 * static_cast<double>(once), 1);
}

TEST_F(SftTest, SequencesThatAreTooLongAreLeftOutOrCut) {
  const std::string question(200, 'q');
  std::ofstream(directory_ / "chat.jsonl", std::ios::app)
      << R"({"messages": [{"role": "user", "content": "a?"}, {"role": "assistant", "content": ")"
      << question << "\"}]}\n";
  const auto sequences = [&](const std::string& rule) {
    const SftConfig config = Config({"steps=1", "output=" + rule, "data.too_long=" + rule,
                                     "data.held_out_fraction=0", "checkpoint.best=false"});
    Tune(config);
    const nlohmann::json source = Log(config, "start")[0].at("sources")[0];
    EXPECT_EQ(source.at("too_long"), 1);
    return source.at("sequences").get<int>();
  };
  EXPECT_EQ(sequences("drop"), 300);
  EXPECT_EQ(sequences("truncate"), 301);
}

// The same answers, in a file of problems.
TEST_F(SftTest, ProblemsWithTheirAnswersAreLearntToo) {
  std::string text;
  for (int i = 0; i < 60; ++i) {
    text += fmt::format("{{\"question\": \"{}?\", \"answer\": \"{}\"}}\n",
                        static_cast<char>('a' + i % 8), static_cast<char>('a' + 3 * i % 8));
  }
  WriteFileAtomically(directory_ / "problems.jsonl", text);
  const SftConfig config = Config({"data.source[0].path=problems.jsonl"});
  const TrainSummary summary = Tune(config);
  EXPECT_GT(summary.start_score, 2);
  EXPECT_LT(summary.best_score, 0.5);
  EXPECT_EQ(Log(config, "start")[0].at("sources")[0].at("conversations"), 60);
}

TEST_F(SftTest, WhatIsWrongIsOneClearError) {
  EXPECT_ERROR(Config({"data.sequence_lenght=64"}), "did you mean 'data.sequence_length'");
  EXPECT_ERROR(Config({"data.turns=some"}), "'some' is not one of all, last");
  EXPECT_ERROR(Tune(Config({"data.sequence_length=128"})), "more than the model's context of 64");
  EXPECT_ERROR(Tune(Config({"model.init_from=nowhere"})), "nowhere");
  std::ofstream(directory_ / "chat.jsonl", std::ios::app) << "{\"messages\": [}\n";
  EXPECT_ERROR(Tune(Config()), "chat.jsonl:301");
  EXPECT_EQ(Tune(Config({"data.source[0].skip_bad_lines=true", "steps=1"})).step, 1);
  WriteFileAtomically(directory_ / "chat.jsonl",
                      "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}]}\n");
  EXPECT_ERROR(Tune(Config({"output=none"})), "chat.jsonl:1: messages: no message is an answer");
  WriteFileAtomically(directory_ / "chat.jsonl", "");
  EXPECT_ERROR(Tune(Config({"output=none"})), "have no answer to learn");
  WriteFileAtomically(directory_ / "chat.jsonl", "{\"question\": \"a?\"}\n");
  EXPECT_ERROR(Tune(Config({"output=none"})), "chat.jsonl:1: has no key 'answer'");
  WriteFileAtomically(directory_ / "chat.jsonl", "{\"text\": \"a\"}\n");
  EXPECT_ERROR(Tune(Config({"output=none"})),
               "chat.jsonl:1: has neither 'messages' nor a question");
}

TEST_F(SftTest, ConfigsReadBackAsTheyWereWritten) {
  const SftConfig config = Config(
      {"epochs=3.5", "steps=0", "data.turns=last", "data.too_long=truncate", "model.mtp=false"});
  const std::string text = config.ToToml();
  EXPECT_EQ(SftConfig::Parse(text, "again.toml", directory_.path(), {}).ToToml(), text);
  EXPECT_EQ(config.Values().at("epochs"), "3.5");
  EXPECT_EQ(config.Values().at("data.turns"), "'last'");
}

}  // namespace
}  // namespace fathom::test
